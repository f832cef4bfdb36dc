#!/usr/bin/env python3
"""Each test that docs/security.md and docs/operations.md name is there, and each row of their tables of threats and of
bounds names one."""

import pathlib
import re
import sys

DOCUMENTS = ("docs/security.md", "docs/operations.md")
# Of these sections every row of a table has to name a test, in its last column.
JUDGED = {"docs/security.md": "Threats", "docs/operations.md": "What bounds the server"}
NAME = re.compile(r"`(Test[A-Z]\w*|[A-Z]\w+\.[A-Z]\w+|test/[\w/]+\.(?:py|sh))`")
CXX = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\(\s*(\w+),\s*(\w+)", re.M)
GO = re.compile(r"^func (Test\w+)\(", re.M)


def tests(root: pathlib.Path) -> set[str]:
    found = {str(path.relative_to(root)) for path in (root / "test").rglob("*") if path.suffix in (".py", ".sh")}
    for top in ("lib", "storage", "server", "test", "clients"):
        for path in (root / top).rglob("*_test.cc"):
            found |= {f"{suite}.{name}" for suite, name in CXX.findall(path.read_text())}
        for path in (root / top).rglob("*_test.go"):
            found |= set(GO.findall(path.read_text()))
    return found


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    there, wrong = tests(root), []
    for document in DOCUMENTS:
        text = (root / document).read_text()
        wrong += [f"{document}: there is no test {name}" for name in NAME.findall(text) if name not in there]
        section = text.split(f"\n## {JUDGED[document]}\n", 1)[-1].split("\n## ", 1)[0]
        judged = [line.strip(" |") for line in section.splitlines() if re.match(r"\|(?! (?:threat|what) \||---)", line)]
        if section == text or not judged:
            wrong.append(f"{document}: the table of {JUDGED[document]} isn't there")
        wrong += [f"{document}: no test is named for {row.split('|')[0].strip()}"
                  for row in judged if not NAME.search(row.rsplit(" | ", 1)[-1])]
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
