#!/usr/bin/env python3
"""Measures the release binaries: README.md beside this file says what each row means."""

import argparse
import signal
import sys
import tempfile
import time

import answers
import arrivals
import instructions
import objects
import peers
import state
from load import Load
from results import FILE, Table
from rig import ROOT, Rig

# What design targets name comes first.
PARTS = [answers.small_answer, arrivals.latency, peers.many_streams, answers.large_answer, answers.missing_images, state.memory,
         state.start, arrivals.freshness, answers.in_flight, answers.protocols, answers.forms, answers.streams, arrivals.writes,
         arrivals.distance, arrivals.barrier, peers.delegation, peers.store, objects.lists, objects.watches,
         objects.informers, instructions.instructions]


class Bench:
    """What the parts share: processes, loads, the table, and how long to measure."""

    def __init__(self, options, work):
        self.quick = options.quick
        self.rig = Rig(options.bin_dir, options.peers, work)
        self.load = Load(self.rig)
        self.table = Table(self.quick)
        self.rounds, self.few_rounds = (3, 2) if self.quick else (5, 3)
        # Of CPU, for a round; of clock, for arrivals.
        self.seconds, self.short, self.arrival_seconds = (0.6, 0.4, 2) if self.quick else (2, 1.2, 5)


def chosen(only):
    parts = {part.__name__: part for part in PARTS}
    if not only:
        return PARTS
    unknown = [name for name in only.split(",") if name not in parts]
    if unknown:
        raise SystemExit(f"no such part: {', '.join(unknown)}; there are {', '.join(parts)}")
    return [parts[name] for name in only.split(",")]


def main():
    listed = "\n".join(f"  {part.__name__:<16} {part.__doc__.splitlines()[0]}" for part in PARTS)
    parser = argparse.ArgumentParser(description=f"{__doc__}\n\nparts:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short rounds, and a tenth of the large data")
    parser.add_argument("--only", default="", metavar="PART[,PART]", help="these parts")
    parser.add_argument("--bin-dir", default=ROOT / "build/bin", help="where strata-apiserver and strata-storage are")
    parser.add_argument("--peers", default=ROOT / "build/release/go", help="where etcd, kube-apiserver and benchload are")
    options = parser.parse_args()
    parts = chosen(options.only)
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as work:
        bench = Bench(options, work)
        start = time.monotonic()
        try:
            for part in parts:
                bench.table.start(part.__name__)
                print(f"\n{part.__name__}: {part.__doc__.splitlines()[0]}", flush=True)
                part(bench)
                bench.table.write()
        except BaseException as error:
            for complaint in bench.rig.complaints():
                print(complaint, file=sys.stderr)
            if isinstance(error, KeyboardInterrupt):
                sys.exit(130)
            raise
        missed = sum(row["met"] is False for row in bench.table.rows)
        print(f"\n{len(bench.table.rows)} rows, {missed} targets missed, {time.monotonic() - start:.0f} s; {FILE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
