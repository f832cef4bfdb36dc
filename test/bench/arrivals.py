"""Latencies by open-loop arrivals: counted from when a request was due, so a stall counts for all that it delays."""

import contextlib
import re
import time

from answers import A, FEW, Answers
from load import median, uniform
from rig import cpu_seconds, machine_seconds, until


def checked(done):
    """What shows whether the generator itself was the bottleneck: how late it sent, and how busy it was."""
    late = done["late_us"]["p99"] / 1e3
    return f"sent late by p99 {late:.2f} ms; generator {done['generator_cores']:.2f} cores" + ("; the generator lagged" if late > 0.5 else "")


def with_machine(backend, arrive):
    """What `arrive` returns, with the cores that the backend, others on this machine, and other machines used meanwhile."""
    begin, before, (busy, stolen) = time.monotonic(), cpu_seconds(backend), machine_seconds()
    done = arrive()
    elapsed = time.monotonic() - begin
    (busy_after, stolen_after), used = machine_seconds(), cpu_seconds(backend) - before
    mine = used + done["server_cpu_s"] + done["generator_cpu_s"]
    return done | {"backend_cores": used / elapsed, "other_cores": max(0, busy_after - busy - mine) / elapsed,
                   "stolen_cores": (stolen_after - stolen) / elapsed}


def latency(bench):
    """p99 at half of the saturation rate, beside a static server at the same rate."""
    here = Answers(bench)
    with here.served(*FEW) as (server, paths), here.rig.scratch() as directory:
        path = paths[0]
        saturation = median([bench.load.h2load(server, path, 40_000) for _ in range(3)])
        rate = int(saturation / 2)
        with here.rig.store("embedded", directory / "store", *FEW):
            pass
        with here.static({"body": here.body(server, path)}) as (nghttpd, nginx), \
                here.rig.server(directory / "store") as embedded:
            until(lambda: here.body(embedded, path))
            cases = (("p99", "linearizable, etcd", "< 1", server, path, 1),
                     ("p99-connections", "linearizable, etcd, 16 connections", None, server, path, 16),
                     ("p99-embedded", "linearizable, embedded store", "< 1", embedded, path, 1),
                     ("p99-cached", "resourceVersion=0", None, server, path + "?resourceVersion=0", 1),
                     ("p99-nghttpd", "nghttpd, the same bytes", None, nghttpd, "/body", 1),
                     ("p99-nginx", "nginx, the same bytes", None, nginx, "/body", 1))
            results = {name: [] for name, *_ in cases}
            for round_ in range(bench.few_rounds):
                for name, _, _, on, what, connections in cases:
                    done = with_machine(server.backend.pid, lambda: bench.load.arrive(
                        on, what, rate, bench.arrival_seconds, f"-connections={connections}", f"-seed={round_}"))
                    results[name].append(done)
        for name, figure, target, *_ in cases:
            all_ = sorted(results[name], key=lambda done: done["latency_us"]["p99"])
            middle, p99 = all_[len(all_) // 2], [done["latency_us"]["p99"] / 1e3 for done in all_]
            here.table.add(name, f"p99 at {rate:,}/s: {figure}", median(p99), "ms", target, [p99[0], p99[-1]],
                           f"p50 {middle['latency_us']['p50'] / 1e3:.2f}, p99.9 {middle['latency_us']['p999'] / 1e3:.2f} ms; "
                           f"server {middle['server_cpu_us']:.1f} us of CPU a request; {checked(middle)}, etcd "
                           f"{middle['backend_cores']:.2f}, others {middle['other_cores']:.2f}, stolen {middle['stolen_cores']:.2f}", latency_us=middle["latency_us"], rate=rate,
                           server_us=middle["server_cpu_us"])


def counters(rig, server, *names):
    text = rig.client(server.port).get("/metrics", "admin").decode()
    return [sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? ([\d.e+-]+)$", text, re.M)) for name in names]


def barrier(bench):
    """What it costs to be linearizable, by load and by distance of etcd."""
    here = Answers(bench)
    with here.rig.backend(*FEW) as url, contextlib.ExitStack() as running:
        path, backend = here.rig.paths(*FEW)[0], here.rig.process_of(url)
        servers = []
        for away in (0, 1, 5):
            where = running.enter_context(here.rig.away(url, away)) if away else url
            servers.append((away, running.enter_context(here.rig.server(where))))
        for away, server in servers:
            until(lambda: here.body(server, path))
            for rate in (100, 1_000, 5_000, 20_000):
                names = "strata_freshness_reads_total", "strata_freshness_batch_size_sum"
                reads, asked = counters(here.rig, server, *names)
                busy = cpu_seconds(backend.pid)
                done = bench.load.arrive(server, path, rate, bench.short, "-connections=4")
                busy = cpu_seconds(backend.pid) - busy
                reads, asked = (after - before for after, before in zip(counters(here.rig, server, *names), (reads, asked)))
                free = bench.load.arrive(server, path + "?resourceVersion=0", rate, bench.short, "-connections=4")
                seconds = bench.short + 0.5
                here.table.add(f"{away}ms-{rate}", f"barrier at {rate:,}/s, etcd {away} ms away: p50 above resourceVersion=0",
                               (done["latency_us"]["p50"] - free["latency_us"]["p50"]) / 1e3, "ms", None, None,
                               f"p99 {done['latency_us']['p99'] / 1e3:.2f} beside {free['latency_us']['p99'] / 1e3:.2f} ms; CPU a request "
                               f"{done['server_cpu_us']:.1f} beside {free['server_cpu_us']:.1f} us; {reads / seconds:,.0f} reads/s of "
                               f"{asked / max(1, reads):.1f} requests, etcd {busy / seconds:.2f} cores; {checked(done)}",
                               p50_ms=done["latency_us"]["p50"] / 1e3, p99_ms=done["latency_us"]["p99"] / 1e3, rate=rate, away_ms=away,
                               free_p50_ms=free["latency_us"]["p50"] / 1e3, server_us=done["server_cpu_us"],
                               free_us=free["server_cpu_us"], reads=reads / seconds, etcd_cores=busy / seconds)


def distance(bench):
    """The headline's load with an etcd that is 5 ms away."""
    here = Answers(bench)
    with here.served(*FEW) as (near, paths), here.rig.away(near.url, 5) as url, here.rig.server(url) as far:
        until(lambda: here.body(far, paths[0]))
        costs = [[], []]
        for _ in range(bench.few_rounds):
            for out, on in zip(costs, (far, near)):
                out.append(bench.load.cost(on, paths[0], 1000)(int(bench.short / 30e-6)))
        here.table.ratio("cpu", "etcd 5 ms away, 1,000 in flight, beside a near one", *costs, "x near")
        done = bench.load.arrive(far, paths[0], 5_000, bench.arrival_seconds)
        here.table.add("latency", "latency at 5,000/s, etcd 5 ms away: p99", done["latency_us"]["p99"] / 1e3, "ms", None, None,
                       f"p50 {done['latency_us']['p50'] / 1e3:.2f} ms, of which 5 and 2.5 on average are the wire; {checked(done)}")


def writes(bench):
    """While 200 images a second are written, over 1,000 streams."""
    here = Answers(bench)
    with here.served(*A) as (server, paths):
        order, rate = uniform(paths), 5_000
        quiet, busy, calm, churned = [], [], [], []
        for round_ in range(bench.few_rounds):
            options = "-connections=4", f"-seed={round_}"
            calm.append(bench.load.arrive(server, order, rate, bench.short, *options))
            quiet.append(bench.load.cost(server, order)(int(bench.short / 20e-6)))
            with here.rig.churn(server.url, 200, *A):
                (before,) = counters(here.rig, server, "strata_watch_events_total")
                busy.append(bench.load.cost(server, order)(int(bench.short / 20e-6)))
                churned.append(bench.load.arrive(server, order, rate, bench.short, *options))
                (after,) = counters(here.rig, server, "strata_watch_events_total")
        here.table.ratio("cpu", "200 images/s written, uniform over 1,000 streams, beside none", busy, quiet, "x quiet", None,
                         f"{after - before:,.0f} events in the last round")
        worse = sorted(one["latency_us"]["p99"] / 1e3 for one in churned)
        here.table.add("p99", f"latency at {rate:,}/s while 200 images/s are written: p99", median(worse), "ms", None, [worse[0], worse[-1]],
                       f"p99 {median([one['latency_us']['p99'] / 1e3 for one in calm]):.2f} ms without; {checked(churned[0])}")


def freshness(bench):
    """From a commit in etcd to an answer that shows it."""
    here = Answers(bench)
    with here.served(*FEW) as (server, paths):
        done = bench.load.benchload("fresh", server, paths[0], f"-etcd={server.url}", f"-n={200 if bench.quick else 2000}")
        for name, figure, target in (("linearizable", "commit to an answer asked for after it, p99", "< 10"),
                                     ("watched", "commit to visible without the barrier (resourceVersion=0), p99", None)):
            times = done[f"{name}_us"]
            here.table.add(name, figure, times["p99"] / 1e3, "ms", target, None,
                           f"p50 {times['p50'] / 1e3:.2f}, p99.9 {times['p999'] / 1e3:.2f}, longest {times['max'] / 1e3:.2f} ms of "
                           f"{done['writes']:,}; every answer showed it", histogram=done[f"{name}_histogram"])
