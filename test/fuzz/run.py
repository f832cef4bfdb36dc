#!/usr/bin/env python3
"""Runs fuzz targets, several at once, and prints what came of each: `./dev fuzz`.

What a target learns stays in build/fuzz/corpus, what breaks it in build/fuzz/found, what it said in build/fuzz/logs.
Each run adds a line to build/fuzz/results.tsv: target, executions, seconds, edges, features, inputs that broke it.
`run.py --sums` says what all runs came to, as the table of docs/security.md.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/fuzz"
SEEDS = ROOT / "test/fuzz/corpus"
DICTIONARIES = ROOT / "test/fuzz/dictionaries"
HEAD = f"{'target':40}{'executions':>14}{'a second':>10}{'edges':>8}{'features':>10}{'found':>7}"

# What a line of text can do wrong it does in a short one, and ten times as many of those are tried.
MAX_LENGTHS = {
    "lib/base/duration": 64, "server/api/label_selector": 256, "server/api/list_options": 384,
    "server/api/request_info": 384, "server/api/continue_token": 384, "server/wire/negotiate": 256,
    "server/auth/csv": 384, "storage/reflector/key_range": 256,
}
# A quarter to a half of the time otherwise: what an input frees stands in the quarantine until the next one all the
# same, and an input that broke something has whole stacks when it is run again.
SANITIZER = "quarantine_size_mb=4:malloc_context_size=3"

Result = collections.namedtuple("Result", "target executions seconds edges features found")


def name_of(target: str) -> str:
    return target.replace("/", "_")


def command(target: str, seconds: int) -> list[str]:
    name = name_of(target)
    # The entropic schedule takes half of the time by itself where there are many features, as in JSON's decoder.
    # Leaks are looked for at the end, and not after each input.
    options = [f"-max_total_time={seconds}", "-timeout=10", "-entropic=0", "-detect_leaks=0", "-print_funcs=0",
               "-print_final_stats=1", f"-artifact_prefix={BUILD}/found/{name}-"]
    if (length := MAX_LENGTHS.get(target)) is not None:
        options.append(f"-max_len={length}")
    if (words := DICTIONARIES / f"{name}.dict").exists():
        options.append(f"-dict={words}")
    # libFuzzer writes what it learns to the first folder; the second holds the seeds that are kept.
    folders = [BUILD / "corpus" / name, SEEDS / name]
    return [str(BUILD / pathlib.PurePath(target).parent / f"{name}_fuzz"), *options, *map(str, folders)]


def last(pattern: str, text: str) -> int:
    return int((re.findall(pattern, text) or ["0"])[-1])


def run(target: str, seconds: int) -> Result:
    name = name_of(target)
    for folder in (BUILD / "corpus" / name, BUILD / "found", BUILD / "logs", SEEDS / name):
        folder.mkdir(parents=True, exist_ok=True)
    broken = lambda: set(BUILD.glob(f"found/{name}-*"))
    before = broken()
    log = BUILD / f"logs/{name}.log"
    with log.open("wb") as out:
        status = subprocess.run(command(target, seconds), stdout=out, stderr=out, check=False,
                                env=os.environ | {"ASAN_OPTIONS": f"{SANITIZER}:{os.environ.get('ASAN_OPTIONS', '')}"}).returncode
    said = log.read_text(errors="replace")
    found = len(broken() - before)
    result = Result(target, last(r"stat::number_of_executed_units: (\d+)", said) or last(r"\n#(\d+)", said),
                    max(1, last(r"Done \d+ runs in (\d+) second", said) or seconds),
                    last(r" cov: (\d+)", said), last(r" ft: (\d+)", said), found or int(status != 0))
    with (BUILD / "results.tsv").open("a") as out:
        print(*result, sep="\t", file=out)
    return result


def sums() -> list[Result]:
    """What each target came to over all of its runs."""
    all_runs: dict[str, Result] = {}
    for line in (BUILD / "results.tsv").read_text().splitlines():
        target, *numbers = line.split("\t")
        now = Result(target, *map(int, numbers))
        before = all_runs.get(target, Result(target, 0, 0, 0, 0, 0))
        all_runs[target] = Result(target, before.executions + now.executions, before.seconds + now.seconds,
                                  max(before.edges, now.edges), max(before.features, now.features),
                                  before.found + now.found)
    return [all_runs[target] for target in sorted(all_runs)]


def print_sums() -> None:
    print("| target | executions | edges | features |\n|---|---|---|---|")
    for result in sums():
        print(f"| `{result.target}` | {result.executions:,} | {result.edges:,} | {result.features:,} |")
    print(f"| all | {sum(result.executions for result in sums()):,} | | |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    parser.add_argument("--sums", action="store_true")
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    if arguments.sums:
        print_sums()
        return 0
    print(HEAD, flush=True)
    broken = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for result in pool.map(lambda target: run(target, arguments.seconds), arguments.targets):
            print(f"{result.target:40}{result.executions:14,}{result.executions // result.seconds:10,}"
                  f"{result.edges:8,}{result.features:10,}{result.found:7}", flush=True)
            broken += [result.target] if result.found else []
    if broken:
        print(f"broken: {' '.join(broken)}; build/fuzz/logs has how; to run one again: "
              "build/fuzz/ROOM/TARGET_fuzz build/fuzz/found/FILE", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
