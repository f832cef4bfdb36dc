"""Loads: h2load where it can, benchload where it can't; and what they cost a server."""

import json
import random
import re

from rig import LOAD_CORE, cpu_seconds, run

GZIP = ("-H", "Accept-Encoding: gzip")


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def uniform(paths, seed=1):
    """Every path once, in a random order."""
    return random.Random(seed).sample(paths, len(paths))


def zipf(paths, count=20_000, exponent=1.1, seed=1):
    """As popular as 1/rank^exponent, ranks dealt at random."""
    shuffled = uniform(paths, seed)
    return random.Random(seed).choices(shuffled, [1 / rank**exponent for rank in range(1, len(shuffled) + 1)], k=count)


class Load:
    def __init__(self, rig):
        self.rig = rig
        self.lists = {}

    def file_of(self, paths):
        """A file with these paths, one a line."""
        key = tuple(paths)
        if key not in self.lists:
            self.lists[key] = self.rig.work / f"paths-{len(self.lists)}"
            self.lists[key].write_text("\n".join(paths) + "\n")
        return self.lists[key]

    def h2load(self, server, paths, requests, in_flight=64, connections=1, *options):
        """Requests a second. By number and not by time: h2load's timed mode counts what was cut off at the end as neither."""
        url = f"https://127.0.0.1:{server.port}"
        what = [f"{url}{paths}"]
        if not isinstance(paths, str):
            listed = self.file_of([url + path for path in paths])
            what = ["-i", listed]
        out = run("h2load", f"-c{connections}", f"-m{max(1, in_flight // connections)}", f"-n{requests}",
                  "-H", "Authorization: Bearer token", *options, *what, core=LOAD_CORE)
        if f"{requests} succeeded, 0 failed" not in out or f"{requests} 2xx" not in out:
            raise SystemExit(f"not all requests succeeded:\n{out}")
        return float(re.search(r"([\d.]+) req/s", out)[1])

    def cpu_of(self, server, load):
        before = cpu_seconds(server.pid)
        load()
        return cpu_seconds(server.pid) - before

    def cost(self, server, paths, in_flight=64, connections=1, *options):
        """A function of a number of requests, to seconds of the server's CPU that one of them takes. Of many connections,
        without what it takes to make them, as a load of one request for each shows it."""
        def spent(requests):
            return self.cpu_of(server, lambda: self.h2load(server, paths, requests, in_flight, connections, *options))

        def measure(requests):
            if connections == 1:
                return spent(requests) / requests
            requests = max(requests, 20 * connections)
            return (spent(requests) - spent(connections)) / (requests - connections)
        return measure

    def connect_cost(self, server, path, *options):
        """The same, with a connection for each request; `options` are benchload's. The function's `resumed` is the share
        of sessions that the server resumed in the last round."""
        def measure(requests):
            cpu = self.cpu_of(server, lambda: done.update(self.benchload("connect", server, path, f"-n={requests}", *options)))
            if done["failed"]:
                raise SystemExit(f"connections failed: {done}")
            measure.resumed = done["resumed"] / requests
            return cpu / requests
        done = {}
        return measure

    def arrive(self, server, paths, rate, seconds, *options):
        """Open-loop arrivals; what benchload reports, and the CPU of the server for each second and request."""
        done = {}
        cpu = self.cpu_of(server, lambda: done.update(self.benchload("arrive", server, paths, f"-rate={rate}", f"-seconds={seconds}",
                                                                     "-warmup=0.5", *options)))
        if done["failed"] or done["unsent"]:
            raise SystemExit(f"requests failed: {done}")
        done["server_cpu_s"] = cpu
        # The warm-up is in both.
        done["server_cpu_us"] = cpu / (rate * (seconds + 0.5)) * 1e6
        return done

    def benchload(self, command, server, paths, *options):
        one = paths if isinstance(paths, str) else paths[0]
        listed = [] if isinstance(paths, str) else [f"-paths={self.file_of(paths)}"]
        return json.loads(run(self.rig.peer("benchload"), command, f"-url=https://127.0.0.1:{server.port}{one}", "-token=token",
                              f"-ca={self.rig.work}/certs/ca.crt", *listed, *options, core=LOAD_CORE))


def requests_for(seconds, cost_of_one):
    """How many requests take so many seconds of CPU, by a probe that lasts many of the scheduler's ticks."""
    requests = 200
    while (cost := cost_of_one(requests)) * requests < 0.15:
        requests *= 4
    return max(10, int(seconds / cost))


def alternate(rounds, seconds, *measure):
    """Alternating rounds: lists of what each of `measure` returns for as many requests as take it `seconds` of CPU."""
    counts = [requests_for(seconds, one) for one in measure]
    results = [[] for _ in measure]
    for _ in range(rounds):
        for out, one, count in zip(results, measure, counts):
            out.append(one(count))
    return results
