#!/usr/bin/env python3
"""Replays every recorded request against strata-apiserver on a real backend, and compares the answers.

    runner.py --apiserver=PATH --storage=PATH --load=PATH --backend=etcd|strata-storage|data-dir [--etcd=PATH]
              [--recorded=DIRECTORY]

The backend holds the recorded records at their recorded revisions, so bodies have to be equal to the byte,
resourceVersion included. What differs on purpose stands in the directory's deviations.py with what we answer and why, and
what the server doesn't do yet. Anything else that differs is a failure. README.md says what isn't comparable.
"""

import http.client
import pathlib

import command_line
from backends import backend
from comparing import compare, compare_headers
from identities import make_identities
from process import Trouble, accepts, free_ports
from recorded import Recorded
from server import Server
from verdicts import report

HERE = pathlib.Path(__file__).resolve().parent

# Recorded at kube-apiserver, in front of the server: replaying them needs one.
THROUGH_AGGREGATOR = "kube-apiserver(aggregator)"


def judge(recorded, case, answer):
    """("equal" | "deviates" | "later" | "failed", why or what differs)"""
    name = case["case"]
    deviation = recorded.deviations.of(name)
    if deviation:
        problems = deviation.check(case, answer)
        # The headers must be those of the reference all the same, but for the ones that the deviation is about.
        if answer.status == case["response"]["status"]:
            problems += compare_headers(case, answer, deviation.own_headers)
        return ("failed", "\n".join(problems)) if problems else ("deviates", deviation.why)
    problems = compare(recorded, case, answer)
    if not problems:
        return ("equal", "though it is for later: take it out there" if recorded.deviations.later(name) else "")
    if recorded.deviations.later(name):
        return ("later", recorded.deviations.later(name))
    return ("failed", "\n".join(problems))


def replay_unsynced(args, work, recorded, case):
    """A server that can't list: index-not-synced."""
    (closed,) = free_ports(1)
    flags = [f"--etcd-servers=http://127.0.0.1:{closed}", *recorded.deviations.FLAGS]
    with Server(args, work, "apiserver-without-etcd", flags) as server:
        server.process.wait_until("listening", lambda: accepts(server.port))
        if server.is_ready():
            return ("failed", "/readyz is 200 without a backend")
        return judge(recorded, case, server.ask(case["request"]))


def replay(args, work, recorded, cases):
    verdicts = {}
    with (backend(args, work, recorded) as records,
          Server(args, work, "apiserver", [*records.flags, *recorded.deviations.FLAGS]) as server):
        server.process.wait_until("ready", server.is_ready)
        for case in cases:
            if case.get("deterministic") is False:
                verdicts[case["case"]] = ("later", "the reference answers it at random: " + case["why"])
            elif case.get("server") == THROUGH_AGGREGATOR or case.get("via") == "aggregator":
                verdicts[case["case"]] = ("later", "recorded at kube-apiserver, in front of the server")
            elif case["case"] == "index-not-synced":
                verdicts[case["case"]] = replay_unsynced(args, work, recorded, case)
            else:
                try:
                    verdicts[case["case"]] = judge(recorded, case, server.ask(case["request"]))
                except (OSError, http.client.HTTPException) as error:
                    verdicts[case["case"]] = ("failed", f"no answer: {error!r}")
        server.end()
    return verdicts


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
    if args.case:
        cases = [case for case in cases if case["case"] in args.case]

    with command_line.directory(args) as work:
        make_identities(work / "certs", recorded)
        verdicts = replay(args, work, recorded, cases)
    return report(verdicts, recorded.deviations.LEAST_EQUAL)


if __name__ == "__main__":
    command_line.run(main)
