#!/usr/bin/env python3
"""Replays every recorded request against strata-apiserver on a real backend, and compares the answers.

    runner.py --apiserver=PATH --storage=PATH --load=PATH --backend=etcd|strata-storage|data-dir [--etcd=PATH]
              [--recorded=DIRECTORY]

The backend holds the recorded records at their recorded revisions, so bodies have to be equal to the byte,
resourceVersion included. What differs on purpose stands in the directory's deviations.py with what we answer and why.
Anything else that differs is a failure. README.md says what isn't comparable.
"""

import contextlib
import http.client
import pathlib

import command_line
from backends import backend
from comparing import compare, compare_headers
from identities import make_identities
from kube import Kube
from process import Trouble, accepts, free_ports
from recorded import Recorded
from server import Server
from verdicts import report
from writing import Writer

HERE = pathlib.Path(__file__).resolve().parent

# Recorded at kube-apiserver, in front of the server: replaying them needs one.
THROUGH_AGGREGATOR = "kube-apiserver(aggregator)"


def judge(args, recorded, case, answer):
    """("equal" | "deviates" | "failed", what it is about or what differs)"""
    name = case["case"]
    deviation = recorded.deviations.of(name, args.backend)
    if deviation:
        problems = deviation.check(case, answer)
        # The headers must be those of the reference all the same, but for the ones that the deviation is about.
        if answer.status == case["response"]["status"]:
            problems += compare_headers(case, answer, deviation.own_headers)
        return ("failed", "\n".join(problems)) if problems else ("deviates", deviation.why)
    problems = compare(recorded, case, answer)
    return ("failed", "\n".join(problems)) if problems else ("equal", "")


def replay_unsynced(args, work, recorded, case):
    """A server that can't list: index-not-synced."""
    (closed,) = free_ports(1)
    flags = [f"--etcd-servers=http://127.0.0.1:{closed}", *recorded.deviations.FLAGS]
    with Server(args, work, "apiserver-without-etcd", flags) as server:
        server.process.wait_until("listening", lambda: accepts(server.port))
        if server.is_ready():
            return ("failed", "/readyz is 200 without a backend")
        return judge(args, recorded, case, server.ask(case["request"]))


def verdict(args, work, recorded, server, case):
    if case.get("deterministic") is False:
        return ("skipped", "the reference answers it at random: " + case["why"])
    if case.get("server") == THROUGH_AGGREGATOR or case.get("via") == "aggregator":
        return ("skipped", "recorded at kube-apiserver, in front of the server")
    if case["case"] == "index-not-synced":
        return replay_unsynced(args, work, recorded, case)
    try:
        return judge(args, recorded, case, server.ask(case["request"]))
    except (OSError, http.client.HTTPException) as error:
        return ("failed", f"no answer: {error!r}")


def compact(args, records, server, start):
    """What there was until now can't be read any more. Returns the server: a data directory gets another one."""
    if not records.is_live:
        server.end()
    with records.written() as url, Writer(args.write, url) as writer:
        writer.do("compact")
    return server if records.is_live else start()


def replay(args, work, recorded, parts):
    """`parts`: lists of cases, between which the backend is compacted."""
    verdicts = {}
    with backend(args, work, recorded) as records, contextlib.ExitStack() as servers:
        kube = servers.enter_context(Kube(work))
        flags = [*records.flags, *kube.flags, *recorded.deviations.FLAGS]
        start = lambda: servers.enter_context(Server(args, work, "apiserver", flags)).wait_until_ready()
        server = start()
        for number, cases in enumerate(parts):
            if number > 0:
                server = compact(args, records, server, start)
            verdicts |= {case["case"]: verdict(args, work, recorded, server, case) for case in cases}
        server.end()
    return verdicts


def parts_of(cases, chosen):
    """Lists of the chosen cases: `before: compact` holds for a case and for all after it."""
    parts = [[]]
    for case in cases:
        if case.get("before", "compact") != "compact":
            raise Trouble(f"{case['case']} wants {case['before']} before it")
        if "before" in case:
            parts.append([])
        if case["case"] in chosen:
            parts[-1].append(case)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def main():
    parser = command_line.parser(__doc__, recorded=HERE)
    parser.add_argument("--case", action="append", help="only this one; may be repeated")
    args = parser.parse_args()
    recorded = Recorded(args.recorded)

    cases = recorded.cases()
    names = [case["case"] for case in cases]
    unknown = [name for name in [*recorded.deviations.names(), *(args.case or [])] if name not in names]
    if len(set(names)) != len(names) or unknown:
        raise Trouble(f"cases that aren't in the manifest, or twice: {unknown}")
    with command_line.directory(args) as work:
        make_identities(work / "certs", recorded)
        verdicts = replay(args, work, recorded, parts_of(cases, args.case or names))
    return report(verdicts, 0 if args.case else recorded.deviations.LEAST_EQUAL)


if __name__ == "__main__":
    command_line.run(main)
