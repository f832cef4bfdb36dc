#!/usr/bin/env python3
"""Checks that the group and its resources are spelled in server/registry alone.

Everything else of server/ derives them from there (server/registry/resource.h), so that a resource is added in one
place. Only text in quotes counts; tests, benches and fuzz targets say what they expect in full.
"""

import pathlib
import re
import sys

SPELLED = re.compile(r"imagestreams|image\.openshift\.io")
TEST_FILE = re.compile(r"(_test|_fuzz|_bench)\.(cc|h)$")
# Comments, raw strings, strings, characters: whichever begins first.
TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\((?P<raw>.*?)\)(?P=mark)"|"(?P<text>(?:\\.|[^"\\\n])*)"|'(?:\\.|[^'\\\n])+'""",
    re.DOTALL,
)
# A copy of the roles that every OpenShift cluster has: they name what other servers serve, too.
DATA = {"server/auth/builtin_roles.cc"}


def spelled(source: str) -> list[int]:
    """The lines of the strings that spell them."""
    lines = []
    for token in TOKEN.finditer(source):
        text = token["raw"] if token["raw"] is not None else token["text"]
        if text is None or source[: token.start()].rpartition("\n")[2].lstrip().startswith("#include"):
            continue
        if SPELLED.search(text):
            lines.append(source.count("\n", 0, token.start()) + 1)
    return lines


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    assert spelled('f("imagestreams/x"); // "imagestreams"\n') == [1]
    assert spelled('/* "imagestreams" */ g(R"(\n a image.openshift.io)");') == [1]
    bad = []
    for path in sorted((root / "server").rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix not in (".cc", ".h") or TEST_FILE.search(name):
            continue
        if name.startswith("server/registry/") or name in DATA:
            continue
        bad += [f"{name}:{line}" for line in spelled(path.read_text())]
    for place in bad:
        print(f"{place}: a string spells the group or a resource; take it from server/registry")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
