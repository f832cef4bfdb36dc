#!/usr/bin/env python3
"""Plays every recorded watch against strata-apiserver on a real backend, and compares the frames.

    watch_runner.py --apiserver=PATH --storage=PATH --load=PATH --write=PATH --backend=etcd|strata-storage|data-dir
                    [--etcd=PATH] [--recorded=DIRECTORY]

What was written through the API while it was recorded is put into the backend as a record. Revisions differ from the
recorded ones, uids and times don't, so frames have to be equal to the byte with our revisions in them. One server plays
them all, several at a time: they have namespaces of their own, and select images by labels of their own. Those of a
server's past come last, after a compaction.

A data directory can't be written while it is served: there each watch is opened when everything has been written.
Elsewhere, too, a watch that names its revision is opened once more afterwards, and has to be sent the same.
"""

import concurrent.futures
import http.client
import itertools
import pathlib

import command_line
import comparing_watches
from backends import backend
from identities import make_identities
from player import NotAnswered, Run, play, play_afterwards
from process import Trouble
from recorded import Recorded
from scenario import Scenario, Unclear
from server import Server
from verdicts import report
from writing import Writer

HERE = pathlib.Path(__file__).resolve().parent
AT_ONCE = 8


def judge(scenario, problems, played, deviation):
    """As verdicts has it."""
    if deviation:
        problems = deviation.check(scenario, played)
    if problems:
        return ("failed", "\n".join(problems))
    return ("deviates", deviation.why) if deviation else ("equal", "")


def compare_afterwards(run, played):
    expected = run.scenario.frames if run.scenario.from_history else [each for each in run.scenario.frames if each[0] < 0]
    return comparing_watches.compare(run.scenario, run.expected(expected), played, steps_count=False)


def play_live(scenario, server, writer, deviation):
    run, played = play(scenario, server, writer)
    problems = comparing_watches.compare(scenario, run.expected(scenario.frames), played)
    if not problems and scenario.from_history and not scenario.until_end:
        again = compare_afterwards(run, play_afterwards(run, server))
        problems = again and ["once more, when everything had been written:", *again]
    return judge(scenario, problems, played, deviation)


def verdict(play_it, *args):
    try:
        return play_it(*args)
    except (OSError, http.client.HTTPException, NotAnswered, Unclear) as error:
        return ("failed", f"not played: {error!r}")


def at_once(names, play_it):
    """Verdicts by name. An error that is the run's own ends it."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {name: pool.submit(play_it, name) for name in names}
        return {name: future.result() for name, future in futures.items()}


def play_group(args, work, records, recorded, scenarios):
    """Verdicts by name. None of the scenarios is of the other side of a compaction than another."""
    by_name = {scenario.name: scenario for scenario in scenarios}
    deviation = lambda name: recorded.deviations.watch(name, args.backend)
    runs = {}
    if not records.is_live:
        with records.written() as url, Writer(args.write, url) as writer:
            runs = {name: write_all(scenario, writer) for name, scenario in by_name.items()}
    with Server(args, work, "apiserver", [*records.flags, *recorded.deviations.FLAGS]) as server:
        server.wait_until_ready()
        if records.is_live:
            with Writer(args.write, records.url) as writer:
                verdicts = at_once(by_name, lambda name: verdict(play_live, by_name[name], server, writer, deviation(name)))
        else:
            verdicts = at_once(by_name, lambda name: verdict(play_written, runs[name], server, deviation(name)))
        server.end()
    return verdicts


def write_all(scenario, writer):
    run = Run(scenario, writer)
    newest = lambda _: {"metadata": {"resourceVersion": str(run.last)}}
    run.write(scenario.setup + (scenario.steps if scenario.from_history else []), newest)
    return run


def play_written(run, server, deviation):
    played = play_afterwards(run, server)
    return judge(run.scenario, compare_afterwards(run, played), played, deviation)


def main():
    parser = command_line.parser(__doc__, recorded=HERE.parent / "golden-resources")
    parser.add_argument("--scenario", action="append", help="only this one; may be repeated")
    args = parser.parse_args()
    recorded = Recorded(args.recorded)
    scenarios = sorted(map(Scenario, (recorded.directory / "watches").glob("*.json")), key=lambda each: each.order)
    names = {scenario.name for scenario in scenarios}
    if unknown := {*recorded.deviations.watches(), *(args.scenario or [])} - names:
        raise Trouble(f"scenarios that aren't there: {unknown}")
    if args.scenario:
        scenarios = [scenario for scenario in scenarios if scenario.name in args.scenario]

    past = min((scenario.order for scenario in scenarios if scenario.compacts), default=len(names))
    verdicts = {}
    with command_line.directory(args) as work:
        make_identities(work / "certs", recorded)
        with backend(args, work, recorded) as records:
            for _, group in itertools.groupby(scenarios, lambda scenario: scenario.order >= past):
                verdicts |= play_group(args, work, records, recorded, list(group))
    return report(verdicts, 0 if args.scenario else recorded.deviations.LEAST_EQUAL_WATCHES)


if __name__ == "__main__":
    command_line.run(main)
