"""Instructions, by callgrind: they move only when the code does, so a change shows its own difference."""

import collections
import pathlib
import re

from answers import FEW, Answers
from rig import ROOT, run

# Of server_layers_bench: the bench, the function whose calls count, and what a call is.
UNITS = (
    ("BM_CachedHit/real_time/threads:1", "strata::layers::Index::Find", "a cached answer is found"),
    ("Build/json/5/10", "strata::layers::Index::Build", "5 images of 10 layers, built as JSON"),
    ("Build/protobuf/5/10", "strata::layers::Index::Build", "5 images of 10 layers, built as protobuf"),
    ("Build/json/2000/12", "strata::layers::Index::Make", "2,000 images of 12 layers, gathered and built as JSON"),
    ("BM_Gather", "strata::layers::Index::Find", "2,000 images of 12 layers, seen to be too many for an io thread"),
    ("BM_DecodeImage", "strata::layers::DecodeImage", "an image's record, decoded"),
    ("BM_ApplyImage/0", "strata::layers::Index::Apply", "an image that changes, applied"),
)
REQUESTS = 4_000


def calls_of(profile):
    """(calls, instructions with what they call) of every function of a callgrind profile, and all instructions."""
    names, calls, inclusive, total = {}, collections.Counter(), collections.Counter(), 0
    callee, count = None, 0
    for line in pathlib.Path(profile).read_text().splitlines():
        if match := re.match(r"(c?fn)=\((\d+)\)(?: (.*))?$", line):
            if match[3]:
                names[match[2]] = match[3]
            if match[1] == "cfn":
                callee = match[2]
        elif line.startswith("calls="):
            count = int(line[6:].split()[0])
        elif count:
            calls[callee] += count
            inclusive[callee] += int(line.split()[1])
            count = 0
        elif line.startswith(("summary:", "totals:")):
            total = int(line.split()[1])
    return {names[key]: (calls[key], inclusive[key]) for key in calls}, total


def calls(functions, name):
    """Calls of the function of that name, whatever its arguments, and their instructions."""
    found = [value for full, value in functions.items() if full.split("(")[0] == name]
    if not found:
        raise SystemExit(f"callgrind saw no call of {name}")
    return sum(count for count, _ in found), sum(spent for _, spent in found)


def run_unit(bench, unit, function, seconds):
    profile = bench.rig.work / "unit.callgrind"
    run("valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", ROOT / "build/release/server/layers/server_layers_bench",
        f"--benchmark_filter=^{unit}$", f"--benchmark_min_time={seconds}")
    return calls(calls_of(profile)[0], function)


def one_call(bench, unit, function):
    """By two runs of different length: what only first calls do, symbols and tables, is in both."""
    few, begin = run_unit(bench, unit, function, 0.05)
    for seconds in (0.5, 5, 50):  # one call of a large one may take longer than the first
        many, end = run_unit(bench, unit, function, seconds)
        if many > few:
            return (end - begin) / (many - few)
    raise SystemExit(f"{unit}: one call takes longer than a minute")


def instructions(bench):
    """Of the hot path's unit benches, and of the whole server for each request."""
    for unit, function, figure in UNITS:
        bench.table.add(unit.replace("/", "."), figure, one_call(bench, unit, function), "instr", detail=f"{function} in {unit}")
    # The freshness read's share depends on how many requests come while one is on its way: it is shown by itself.
    whole_server(bench, "request-cached", "a request of the small answer, resourceVersion=0: the whole server", "?resourceVersion=0")
    whole_server(bench, "request", "the same, linearizable", "")


def whole_server(bench, name, figure, query):
    here, out = Answers(bench), bench.rig.work / f"{name}.callgrind"
    wrapper = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}")
    with here.served(*FEW, wrapper=wrapper) as (server, paths):
        path = paths[0] + query
        bench.load.h2load(server, path, 200)
        run("callgrind_control", "-z", server.pid)
        bench.load.h2load(server, path, REQUESTS)
        run("callgrind_control", "-d", server.pid)
        # Written in one go, before callgrind_control returns.
        (dump,) = bench.rig.work.glob(f"{out.name}.*")
    _, total = calls_of(dump)
    profile = ROOT / f"build/bench/profile-{name}.txt"
    profile.parent.mkdir(parents=True, exist_ok=True)
    profile.write_text("\n".join(profile_of(dump)) + "\n")
    bench.table.add(name, figure, total / REQUESTS, "instr", detail=f"user space, with one handshake in {REQUESTS:,}; its profile: {profile.relative_to(ROOT)}")


def profile_of(dump):
    """Functions by their own instructions, down to a half of a hundredth."""
    for line in run("callgrind_annotate", "--threshold=100", "--auto=no", dump).splitlines():
        match = re.match(r"\s*([\d,]+) \(\s*([\d.]+)%\)\s+(?:\S+?:)?(.*?)(?: \[.*/(.*)\])?$", line)
        # Frames that the threads were in when counting began have as their own what all of a request takes.
        if match and 0.5 <= float(match[2]) < 90:
            yield f"{float(match[2]):5.1f} %  {match[3]}  [{match[4]}]"
