#!/usr/bin/env python3
"""A file of more than 450 lines stands in docs/architecture.md, "Long files", with the reason; no other stands there."""

import pathlib
import re
import sys

MOST = 450
TOPS = ("lib", "storage", "server", "test", "clients")
KINDS = (".cc", ".h", ".go", ".py")
ROW = re.compile(r"^\|\s*`([^`]+)`\s*\|\s*(\S.*?)\s*\|$")


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    section = (root / "docs/architecture.md").read_text().split("\n## Long files\n", 1)[-1].split("\n## ", 1)[0]
    named = {match[1] for line in section.splitlines() if (match := ROW.match(line))}
    files = [path for top in TOPS for path in sorted((root / top).rglob("*")) if path.suffix in KINDS]
    long = {str(path.relative_to(root)) for path in files if path.read_text().count("\n") > MOST}
    for path in sorted(long - named):
        print(f"{path}: more than {MOST} lines; divide it, or say in docs/architecture.md why not")
    for path in sorted(named - long):
        print(f"docs/architecture.md: {path} isn't long, or isn't there")
    return 1 if long != named or not files else 0


if __name__ == "__main__":
    sys.exit(main())
