#!/usr/bin/env python3
"""Writes the tables of docs/performance.md from build/bench/results.json: what stands between a line
`<!-- rows: PART -->` (or `targets`, `scale`) and the next `<!-- end -->`. With arguments, of these parts alone.
"""

import re
import sys

import results
import scale
from rig import ROOT

DOCUMENT = ROOT / "docs/performance.md"

# The rows that design targets are about, and what openshift-apiserver does there.
TARGETS = (
    ("small_answer/cpu", "0.38–0.51 ms"), ("small_answer/reference", "1 x"), ("latency/p99", "54–125 ms at saturation"),
    ("latency/p99-embedded", ""), ("many_streams/cpu", "239 requests/s"), ("large_answer/cpu", "46–63 ms"), ("large_answer/gzip", "94 ms"),
    ("large_answer/built", "every answer is built"), ("missing_images/one-percent", ""), ("missing_images/stall", "258 ms"),
    ("memory/B", "24 KB"), ("memory/empty", "288 MiB"), ("start/B-etcd", "37 s"), ("freshness/linearizable", "p50 3 ms, longest 266 ms"),
)
UNITS = {"x": "×", "us": "µs"}


def measured(row):
    unit = " ".join(UNITS.get(word, word) for word in row["unit"].split())
    return f"{results.shown(row['value'])} {unit}"


def target(row):
    if not row["target"]:
        return ""
    sign, bound = row["target"].split()
    return f"{ {'<': '<', '<=': '≤', '>=': '≥'}[sign] } {bound}" + {True: "", False: " **missed**", None: ""}[row["met"]]


def table(rows):
    yield "| figure | target | measured | spread | absolute, and what to know |"
    yield "|---|---|---|---|---|"
    for row in rows:
        yield f"| {row['figure']} | {target(row)} | {measured(row)} | {results.spread_of(row)} | {re.sub(r'(?<=[0-9]) us', ' µs', row['detail'])} |"


def of_part(part, rows):
    rows = [row for row in rows if row["part"] == part]
    if not rows:
        raise SystemExit(f"{part} isn't measured yet: ./dev bench --only={part}")
    quick = ", `--quick`" if rows[0]["quick"] else ""
    yield f"`{rows[0]['command']}`, at {rows[0]['commit']}{quick}"
    yield ""
    yield from table(rows)


def of_targets(rows):
    by_name = {row["row"]: row for row in rows}
    yield "| figure | openshift-apiserver | target | measured | spread | `./dev bench --only=` |"
    yield "|---|---|---|---|---|---|"
    for name, reference in TARGETS:
        row = by_name.get(name)
        if not row:
            raise SystemExit(f"{name} isn't measured yet")
        yield f"| {row['figure']} | {reference} | {target(row)} | {measured(row)} | {results.spread_of(row)} | `{row['part']}` |"


def main():
    measurements = results.load()
    makers = {"targets": lambda: of_targets(measurements["rows"]), "scale": lambda: scale.lines(scale.options_of([]))}

    def written(match):
        name = match[1]
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            return match[0]
        lines = makers[name]() if name in makers else of_part(name, measurements["rows"])
        return "\n".join([f"<!-- rows: {name} -->", *lines, "<!-- end -->"])

    text = DOCUMENT.read_text()
    DOCUMENT.write_text(re.sub(r"<!-- rows: (\w+) -->\n.*?<!-- end -->", written, text, flags=re.S))


if __name__ == "__main__":
    main()
