"""What records cost: memory, and the time until they are served."""

import re
import time

from arrivals import counters
from load import median, uniform
from rig import cpu_seconds_ever, machine_seconds, resident_bytes, until

MIB = 2**20
# openshift-apiserver's at 100,000 images: 2.65 GiB, of which 288 MiB are there when it is empty.
REFERENCE_BYTES = 24_000


def sets(bench):
    """Name, strata-testdata's arguments, images, streams; a quick run has a tenth of the large ones."""
    tenth = 10 if bench.quick else 1
    yield "A", ("--data-set", "A"), 5_000, 1_000
    yield "B", ("--data-set", "B", "--streams", str(10_000 // tenth)), 100_000 // tenth, 10_000 // tenth
    yield "B-5", ("--data-set", "A", "--streams", str(20_000 // tenth)), 100_000 // tenth, 20_000 // tenth
    yield "D", ("--data-set", "D", "--streams", str(50_000 // tenth)), 1_000_000 // tenth, 50_000 // tenth


def ready(bench, server, path, token="token"):
    # On one connection: a handshake each time would cost the server's core more than the question.
    client = bench.rig.client(server.port)
    until(lambda: client.get(path, token))
    return server


LAYERS_ALONE = "--serve=layers"  # what the figures of memory are about


def empty_bytes(bench):
    with bench.rig.backend() as url, bench.rig.server(url, LAYERS_ALONE) as server:
        ready(bench, server, "/readyz")
        return resident_bytes(server.pid)


def whole_records(bench, data, paths, images, empty):
    """The same for a server that also serves whole records, whose pages are the kernel's to take back."""
    with bench.rig.kept_backend(*data) as url, bench.rig.server(url) as server:
        ready(bench, server, paths[0])
        resident = resident_bytes(server.pid)
        (file_bytes,) = counters(bench.rig, server, "strata_replica_file_bytes")
        bench.table.add("whole", "resident memory an image where whole records are served too", (resident - empty) / images, "bytes", None,
                        None, f"{resident / MIB:,.0f} MiB in all, pages of a file of {file_bytes / MIB:,.0f} MiB in it", resident=resident)


def memory(bench):
    """Resident memory, empty and with data A, B and D; what load adds, and what stays."""
    empty = empty_bytes(bench)
    bench.table.add("empty", "resident memory, empty", empty / MIB, "MiB", "<= 40", detail="openshift-apiserver: 288 MiB")
    full = {}
    for name, data, images, streams in sets(bench):
        paths = bench.rig.paths(*data)
        with bench.rig.kept_backend(*data) as url, bench.rig.server(url, LAYERS_ALONE) as server:
            ready(bench, server, paths[0])
            (counted,) = counters(bench.rig, server, 'apiserver_storage_objects')
            if counted != images + streams:
                raise SystemExit(f"the server has {counted:,.0f} records, not {images + streams:,}")
            full[name] = resident_bytes(server.pid)
            if name == "D":
                bench.table.add("D", f"resident memory an image: {images:,} images, {streams:,} streams", (full[name] - empty) / images, "bytes",
                                None, None, f"{full[name] / MIB:,.0f} MiB in all; what streams take is in it", resident=full[name])
                continue
            bench.load.h2load(server, uniform(paths), 2 * len(paths))
            loaded = resident_bytes(server.pid)
            cache, peak = counters(bench.rig, server, "strata_response_cache_bytes", "process_resident_memory_bytes")
            target = "<= 600" if name == "B" and not bench.quick else None
            bench.table.add(name, f"resident memory an image: {images:,} images, {streams:,} streams", (full[name] - empty) / images, "bytes", target,
                            None, f"{full[name] / MIB:,.0f} MiB in all; openshift-apiserver: {REFERENCE_BYTES:,}", resident=full[name])
            bench.table.add(f"{name}-loaded", f"the same after each stream was asked for twice: above the {cache / MIB:,.0f} MiB of cached answers",
                            (loaded - full[name] - cache) / MIB, "MiB", None, None, f"{loaded / MIB:,.0f} MiB in all", resident=loaded)
        if name == "B":
            whole_records(bench, data, paths, images, empty)
    # Equal images in twice as many streams: the difference is the streams'.
    more = 20_000 - 10_000 if not bench.quick else 2_000 - 1_000
    each = (full["B-5"] - full["B"]) / more
    bench.table.add("stream", "resident memory a stream, by B in twice as many streams", each, "bytes", None, None,
                    f"and an image without it: {(full['B'] - empty - each * more) / (10 * more):.0f} bytes", stream_bytes=each,
                    image_bytes=(full["B"] - empty - each * more) / (10 * more))


def start(bench):
    """From the start of the process to its first right answer, from etcd and from the embedded store."""
    for name, data, images, _ in sets(bench):
        if name == "B-5":
            continue
        path = bench.rig.paths(*data)[-1]
        embedded = bench.rig.kept_directory("embedded", *data) if name != "D" else None
        with bench.rig.kept_backend(*data) as url:
            for kind, where in (("etcd", url), ("embedded", embedded)):
                if where:
                    started(bench, f"{name}-{kind}", images, kind, where, path, 1 if name == "D" else bench.few_rounds)


def started(bench, row, images, kind, where, path, rounds):
    times, readies, used, others = [], [], [], []
    store = bench.rig.process_of(where).pid if kind == "etcd" else None
    for _ in range(rounds):
        machine, stored = sum(machine_seconds()), cpu_seconds_ever(store) if store else 0
        begin = time.monotonic()
        with bench.rig.server(where) as server:
            ready(bench, server, "/readyz")
            readies.append(time.monotonic() - begin)
            ready(bench, server, path)
            times.append(time.monotonic() - begin)
            used.append(cpu_seconds_ever(server.pid))
            ours = used[-1] + (cpu_seconds_ever(store) - stored if store else 0)
            others.append(max(0, sum(machine_seconds()) - machine - ours) / times[-1])
    target = "< 2" if row == "B-etcd" and not bench.quick else None
    bench.table.add(row, f"start to the first right answer, {images:,} images, {kind}", median(times), "s", target, [min(times), max(times)],
                    f"ready after {median(readies):.2f} s; {median(used):.2f} s of CPU on its one core; others used {median(others):.1f} cores",
                    cpu_s=median(used), other_cores=median(others))
