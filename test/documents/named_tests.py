#!/usr/bin/env python3
"""Each test that a document names exists, and each row of a table with a column "shown by" names one.

  named_tests.py TREE
"""

import pathlib
import re
import sys

GO = re.compile(r"^func (Test[A-Z]\w*)\(t ", re.M)
CXX = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\(\s*(\w+),\s*(\w+)", re.M)
NAMED = re.compile(r"`(Test[A-Z]\w*|[A-Z]\w*\.[A-Z]\w+|test/[\w/]+\.(?:py|sh))`")
SHOWN_BY = "shown by"


def tests(tree):
    names = {str(path.relative_to(tree)) for path in tree.glob("test/**/*") if path.suffix in (".py", ".sh")}
    for room in ("clients", "test"):
        for path in tree.glob(f"{room}/**/*_test.go"):
            names.update(GO.findall(path.read_text()))
    for room in ("lib", "storage", "server", "test"):
        for path in tree.glob(f"{room}/**/*_test.cc"):
            names.update(f"{suite}.{name}" for suite, name in CXX.findall(path.read_text()))
    return names


def rows(text):
    """Lines of tables whose head has the column."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            inside = False
        elif line.rstrip(" |").endswith(SHOWN_BY):
            inside = True
        elif inside and not line.startswith("|---"):
            yield number, line


def main(tree):
    known, wrong, shown = tests(tree), [], 0
    for document in sorted(tree.glob("docs/*.md")):
        text = document.read_text()
        place = document.relative_to(tree)
        for number, line in enumerate(text.splitlines(), 1):
            wrong += [f"{place}:{number}: no test is named {name}" for name in NAMED.findall(line) if name not in known]
        for number, line in rows(text):
            shown += 1
            last = line.rstrip(" |").rpartition("|")[2]
            if not NAMED.search(last):
                wrong.append(f"{place}:{number}: no test shows it")
    if not shown:
        wrong.append(f'no table of docs/ has a last column "{SHOWN_BY}"')
    print("\n".join(wrong) or f"{shown} rows are shown by tests")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
