#!/usr/bin/env python3
"""What a cluster beyond one machine needs, from the figures in build/bench/results.json: README.md says how.

    scale.py [--images=10000000] [--images-per-stream=10] [--rate=100000] [--record-bytes=5400]
"""

import argparse
import heapq
import math
import random

import results
from load import median

GIB = 2**30
ETCD_LIMIT = 8 * GIB  # etcd's own advice for its largest --quota-backend-bytes
CORES = 2  # of a server


def rows():
    return {row["row"]: row for row in results.load()["rows"]}


def barrier(rate, read_s, requests=40_000, seed=1):
    """(arrival, end of the wait) of Poisson arrivals at one server, and its reads a second. One read is on its way at a time;
    it serves all that came before it was sent."""
    chance = random.Random(seed)
    waits, reads, now, batch = [], 0, 0.0, []
    following = chance.expovariate(rate)
    while len(waits) < requests:
        if not batch:
            now = following
            batch.append(following)
            following += chance.expovariate(rate)
        done, late = now + read_s, []
        reads += 1
        while following <= done:
            late.append(following)
            following += chance.expovariate(rate)
        waits += [(arrived, done) for arrived in batch]
        now, batch = done, late
    return waits, reads / now


def queue(waits, cpu_s, cores):
    """Latencies of requests that then take so much of one of `cores` cores each: those of one read are all there at once."""
    free, latencies = [0.0] * cores, []
    for arrived, ready in waits:
        end = max(ready, heapq.heappop(free)) + cpu_s
        heapq.heappush(free, end)
        latencies.append(end - arrived)
    return sorted(latencies)


def reads_of(measured):
    """How long a read takes, by distance: the p50 above resourceVersion=0 when nobody shares a read."""
    return {row["away_ms"]: row["value"] / 1e3 for name, row in measured.items()
            if name.startswith("barrier/") and row["rate"] == 100}


def check(measured):
    """The model of the barrier beside what was measured."""
    yield "| etcd away | requests/s | p50 of the wait: model, measured | reads/s: model, measured |"
    yield "|---|---|---|---|"
    reads = reads_of(measured)
    for name, row in measured.items():
        if name.startswith("barrier/") and row["rate"] != 100:
            waits, rate = barrier(row["rate"], reads[row["away_ms"]])
            waited = median(done - arrived for arrived, done in waits)
            yield (f"| {row['away_ms']} ms | {row['rate']:,} | {waited * 1e3:.2f} ms, {row['value']:.2f} ms | "
                   f"{rate:,.0f}, {row['reads']:,.0f} |")


def memory(measured, images, streams):
    row = measured["memory/stream"]
    return measured["memory/empty"]["value"] * 2**20 + images * row["image_bytes"] + streams * row["stream_bytes"]


def need(measured, options):
    images, streams, rate = options.images, options.images // options.images_per_stream, options.rate
    headline = measured["small_answer/cpu"]["ours_us"] / 1e6
    # What a request costs at rates at which a core isn't full: there it shares its turn and its read with fewer others.
    loaded = measured["latency/p99"]
    resident = memory(measured, images, streams)
    yield f"For {images:,} images in {streams:,} streams and {rate:,} requests a second for layers:"
    yield ""
    yield "| | needs | from |"
    yield "|---|---|---|"
    yield (f"| CPU, all servers | {rate * headline:.1f} cores if they are full; {rate / loaded['rate']:.1f} at {loaded['rate']:,}/s each, "
           f"where p99 was {loaded['value']:.2f} ms | `small_answer`, `latency` |")
    yield (f"| memory of each server | {resident / GIB:.1f} GiB of records, twice that while it lists anew, and --response-cache-bytes (11 KB a stream) "
           f"| `memory` |")
    seconds = measured["start/D-etcd"]["cpu_s"] * images / 1_000_000
    yield f"| start | {seconds:.0f} s of CPU of one core, and etcd's time to send {images * options.record_bytes / GIB:.0f} GiB | `start` |"
    replicas = math.ceil(rate / (CORES * loaded["rate"]))
    for away, read_s in sorted(reads_of(measured).items()):
        waits, read_rate = barrier(rate / replicas, read_s)
        latencies = queue(waits, headline, CORES)
        cost = next(row for name, row in measured.items() if name == f"barrier/{away}ms-5000")
        etcd = read_rate * (replicas + 1) * cost["etcd_cores"] / cost["reads"]
        yield (f"| {replicas} servers of {CORES} cores, and one more that may fail; etcd {away} ms away | etcd: "
               f"{read_rate * (replicas + 1):,.0f} reads/s, {etcd:.1f} cores; p50 {median(latencies) * 1e3:.1f}, p99 "
               f"{latencies[int(0.99 * len(latencies))] * 1e3:.1f} ms by the model | `barrier` |")
    total = images * options.record_bytes
    yield ""
    if total > ETCD_LIMIT:
        yield (f"The records themselves are {total / GIB:.0f} GiB: {total / ETCD_LIMIT:.0f} times what etcd's authors advise one etcd to hold "
               f"({ETCD_LIMIT // GIB} GiB). {ETCD_LIMIT // options.record_bytes:,} images fit.")


def lines(options):
    measured = rows()
    lacking = [name for name in ("small_answer/cpu", "latency/p99", "memory/stream", "memory/empty", "start/D-etcd", "barrier/0ms-5000",
                                 "barrier/1ms-5000", "barrier/5ms-5000") if name not in measured]
    if lacking:
        raise SystemExit(f"not measured yet: {', '.join(lacking)}")
    return [*need(measured, options), "", "The model of the barrier, checked where it was measured:", "", *check(measured)]


def options_of(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000_000)
    parser.add_argument("--images-per-stream", type=int, default=10)
    parser.add_argument("--rate", type=int, default=100_000, help="requests a second")
    parser.add_argument("--record-bytes", type=int, default=5_400, help="of an image in etcd; data B's")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    print("\n".join(lines(options_of())))
