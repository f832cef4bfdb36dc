"""The rows: printed as they come, kept in a file that holds the last figures of every part."""

import json
import subprocess

from load import median
from rig import ROOT

FILE = ROOT / "build/bench/results.json"


def commit():
    head = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=10"], capture_output=True, text=True)
    return head.stdout.strip() or "unknown"


def machine():
    text = open("/proc/cpuinfo").read()
    model = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": text.count("processor\t"), "kernel": open("/proc/sys/kernel/osrelease").read().strip()}


def load():
    try:
        return json.loads(FILE.read_text())
    except FileNotFoundError:
        return {"rows": []}


class Table:
    def __init__(self, quick):
        self.quick, self.commit, self.rows, self.part = quick, commit(), [], ""

    def start(self, part):
        self.part = part

    def add(self, name, figure, value, unit, target=None, spread=None, detail="", **numbers):
        """`name` is the row's, for ever; `target` is "< 1" or ">= 0.9", of the unit, or None."""
        met = None
        if target:
            operator, bound = target.split()
            met = {"<": value < float(bound), "<=": value <= float(bound), ">=": value >= float(bound)}[operator]
        self.rows.append({"row": f"{self.part}/{name}", "part": self.part, "figure": figure, "value": value, "unit": unit, "target": target,
                          "met": met, "spread": spread, "detail": detail, "command": f"./dev bench --only={self.part}",
                          "commit": self.commit, "quick": self.quick, **numbers})
        print(self.line(self.rows[-1]), flush=True)

    @staticmethod
    def line(row):
        verdict = {True: "met", False: "MISSED", None: ""}[row["met"]]
        return (f"{row['figure']:<66} {shown(row['value'])} {row['unit']:<10} {spread_of(row):<17}"
                f"{row['target'] or '':<9}{verdict:<7} {row['detail']}")

    def ratio(self, name, figure, ours, theirs, unit, target=None, detail="", **numbers):
        """How many times less of something ours take than theirs, round by round."""
        ratios = sorted(t / o for o, t in zip(ours, theirs))
        a, b = median(ours) * 1e6, median(theirs) * 1e6
        self.add(name, figure, median(ratios), unit, target, [ratios[0], ratios[-1]],
                 f"{shown(a)} us, beside {shown(b)} us" + (f"; {detail}" if detail else ""), ours_us=a, theirs_us=b, **numbers)

    def write(self):
        """Rows of the parts that ran take the place of theirs; those of others stay, with the commit that they are of."""
        ran = {row["part"] for row in self.rows}
        kept = [row for row in load()["rows"] if row["part"] not in ran]
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(json.dumps({"machine": machine(), "rows": kept + self.rows}, indent=1) + "\n")


def shown(number):
    if number == 0 or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}" if abs(number) < 1 else f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def spread_of(row):
    return f"{shown(row['spread'][0])}..{shown(row['spread'][1])}" if row["spread"] else ""
