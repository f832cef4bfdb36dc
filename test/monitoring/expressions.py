"""What expressions ask for: the selectors in them, each with its metric's name."""

import re

# Strings go first, so that nothing in them is taken for PromQL.
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?(?!\s*\()(?![a-zA-Z0-9_:])")
WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "inf", "nan"}


def selectors(expression):
    """Of `rate(a{b="c"}[5m]) > 0`: a{b="c"}."""
    strings = []

    def hide(match):
        strings.append(match[0])
        return f"\0{len(strings) - 1}\0"

    text = STRING.sub(hide, expression)
    text = re.sub(r"\[[^\]]*\]", "", GROUPING.sub("", text))
    found = set()
    for name, matchers in SELECTOR.findall(text):
        if name not in WORDS:
            found.add(name + re.sub(r"\0(\d+)\0", lambda m: strings[int(m[1])], matchers))
    return found


def of_dashboard(dashboard):
    """As for all instances."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            yield f"{dashboard['title']}, {panel['title']}", expression
