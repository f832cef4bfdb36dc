#!/usr/bin/env python3
"""docs/metrics.md has a row for each metric of the sources and no other, with its type and, as the text's beginning, its help.
What other documents call a metric is one.

  metrics.py TREE
"""

import pathlib
import re
import sys

REFERENCE = "docs/metrics.md"
ADD = r"\bAdd(?:Counter|Gauge|Histogram)(?:Function)?\("
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|(?: ([^|]*))? \| ([^|]*) \|$", re.M)
PARTS = re.compile(r'"\s*\n\s*"')  # of one literal
WHOLE_NAME = re.compile(ADD + r'\s*(?:"(\w+)"|(?:const std::string& )?\w+)\s*,')
# With its help beside it, or in a constant; the function that is called says the type.
REGISTERED = re.compile(r'(counter|gauge|histogram)\w*\((?:\s*\w+,)*\s*"(\w+)",\s*(?:"((?:[^"\\]|\\.)*)"|(\w+))', re.I)


def sources(tree):
    for room in ("lib", "server", "storage"):
        for path in sorted(tree.glob(f"{room}/**/*")):
            if path.suffix in (".h", ".cc") and not re.search(r"_(test|bench|fuzz)\.\w+$", path.name):
                yield path, PARTS.sub("", path.read_text())


def registered(tree):
    """The names, what type and help some have, and what is wrong with how they are given."""
    texts, first_words, wrong = dict(sources(tree)), set(), []
    for path, text in texts.items():
        whole = WHOLE_NAME.findall(text)
        if len(whole) != len(re.findall(ADD, text)):
            wrong.append(f"{path.relative_to(tree)}: a metric's name is made of parts, and nobody finds it by its name")
        first_words.update(name.split("_")[0] for name in whole if name)
    # Not those behind a brace, which are labels.
    literal = re.compile(r'(?<!\{)"((?:%s)_[a-z0-9_]+)"' % "|".join(sorted(first_words)))
    names, known = set(), {}
    for text in texts.values():
        names.update(literal.findall(text))
        for kind, name, text_of_help, constant in REGISTERED.findall(text):
            if constant:
                text_of_help = re.search(rf'\b{constant} =\s*"([^"]*)"', text)[1]
            known[name] = kind.lower(), text_of_help
    return names, known, first_words, wrong


def rows(tree):
    """Of each metric its type, the names of its labels and its text. Labels' values stand in parentheses."""
    return [(name, kind, set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", labels))), text)
            for name, kind, labels, text in ROW.findall((tree / REFERENCE).read_text())]


def main(tree):
    names, known, first_words, wrong = registered(tree)
    written = rows(tree)
    rowed = [name for name, *_ in written]
    wrong += [f"{REFERENCE}: {name} has no row" for name in sorted(names - set(rowed))]
    wrong += [f"{REFERENCE}: {name} is no metric of the sources" for name in sorted(set(rowed) - names)]
    wrong += [f"{REFERENCE}: {name} has several rows" for name in sorted(set(rowed)) if rowed.count(name) > 1]
    for name, kind, _, text in written:
        expected, text_of_help = known.get(name, (kind, ""))
        if kind != expected:
            wrong.append(f"{REFERENCE}: {name} is a {expected}")
        if not text.startswith(text_of_help):
            wrong.append(f"{REFERENCE}: what {name} says begins otherwise than its help: {text_of_help}")
    mentioned = re.compile(r"`((?:%s)_[a-z0-9_]+)" % "|".join(sorted(first_words)))
    for document in sorted(set(tree.glob("docs/*.md")) - {tree / REFERENCE}) + sorted(tree.glob("deploy/**/*.md")):
        wrong += [f"{document.relative_to(tree)}: there is no metric {name}"
                  for name in mentioned.findall(document.read_text()) if name not in names]
    print("\n".join(wrong) or f"{len(names)} metrics have their rows")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
