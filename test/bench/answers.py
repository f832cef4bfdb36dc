"""What an answer costs the server, beside static servers that send the same bytes from a file."""

import contextlib

from load import GZIP, alternate, median, uniform, zipf
from rig import ONE_STAGE_POLICY, cpu_seconds, run, until

# openshift-apiserver and its etcd on the same answer, h2 with 64 in flight: the best of three recorded runs, seconds of CPU.
REFERENCE_S = 0.381e-3 + 0.197e-3
REFERENCE_BIG_S = 46e-3
A = ("--data-set", "A")
FEW = (*A, "--streams", "50")


class Answers:
    """A server on records, with static servers of the bytes that it answers."""

    def __init__(self, bench):
        self.bench, self.rig, self.load, self.table = bench, bench.rig, bench.load, bench.table

    @contextlib.contextmanager
    def served(self, *data, **options):
        """A server, in the configuration of the headline unless told, and the paths of its layers."""
        with self.rig.backend(*data) as url, self.rig.server(url, **options) as server:
            paths = self.rig.paths(*data)
            until(lambda: self.rig.client(server.port).get(paths[0]))
            server.backend = self.rig.process_of(url)
            server.url = url
            yield server, paths

    def body(self, server, path, **headers):
        return self.rig.client(server.port).get(path, **headers)

    @contextlib.contextmanager
    def static(self, bodies):
        """nghttpd and nginx with these files."""
        with self.rig.files(bodies) as root, self.rig.nghttpd(root) as nghttpd, self.rig.nginx(root) as nginx:
            yield nghttpd, nginx

    def both(self, name, figure, target, nghttpd, nginx, ours, by_nghttpd, by_nginx, detail=""):
        self.table.ratio(name, f"{figure}, beside nghttpd", ours, by_nghttpd, "x nghttpd", target, detail)
        self.table.ratio(f"{name}-nginx", f"{figure}, beside nginx", ours, by_nginx, "x nginx", None, detail)


def small_answer(bench):
    """The headline: 5 images, h2, 64 in flight, authenticated, authorized, linearizable, audited."""
    here = Answers(bench)
    with here.served(*FEW) as (server, paths), here.rig.server(server.url, audited=None) as unaudited, \
            here.rig.server(server.url, audited=ONE_STAGE_POLICY) as one_stage:
        path = paths[0]
        body = here.body(server, path)
        for other in (unaudited, one_stage):
            until(lambda: here.body(other, path))
        with here.static({"body": body}) as (nghttpd, nginx):
            cost, backend = here.load.cost(server, path), []

            def with_backend(requests):
                before = cpu_seconds(server.backend.pid)
                ours = cost(requests)
                backend.append((cpu_seconds(server.backend.pid) - before) / requests)
                return ours

            ours, plain, lean, a, b, current = alternate(
                bench.rounds, bench.seconds, with_backend, here.load.cost(unaudited, path), here.load.cost(one_stage, path),
                here.load.cost(nghttpd, "/body"), here.load.cost(nginx, "/body"),
                here.load.cost(server, path + "?resourceVersion=0"))
        both = [o + e for o, e in zip(ours, backend[-len(ours):])]
        detail = f"{len(body):,} bytes"
        here.both("cpu", "5 images, h2, 64 in flight", ">= 0.9", nghttpd, nginx, ours, a, b, detail)
        here.table.add("reference", "the same and its etcd, beside openshift-apiserver's", REFERENCE_S / median(both), "x", ">= 50",
                       [REFERENCE_S / max(both), REFERENCE_S / min(both)],
                       f"{median(both) * 1e6:.1f} us, of which etcd {median(backend) * 1e6:.1f}; recorded: {REFERENCE_S * 1e6:.0f} us",
                       backend_us=median(backend) * 1e6)
        here.table.ratio("one-stage", "the same, audited without the stage RequestReceived, as OpenShift does, beside nghttpd", lean, a,
                         "x nghttpd")
        here.table.ratio("unaudited", "the same unaudited, beside nghttpd", plain, a, "x nghttpd")
        here.table.ratio("cached", "the same with resourceVersion=0, beside nghttpd", current, a, "x nghttpd")
        here.table.ratio("audit", "audited beside unaudited", ours, plain, "x plain")


def in_flight(bench):
    """The headline's answer by requests in flight and connections."""
    here = Answers(bench)
    with here.served(*FEW) as (server, paths):
        with here.static({"body": here.body(server, paths[0])}) as (nghttpd, _):
            for flight, connections in ((1, 1), (16, 1), (64, 1), (1000, 1), (16, 16), (64, 64), (1000, 1000)):
                ours, theirs = alternate(bench.few_rounds, bench.short, here.load.cost(server, paths[0], flight, connections),
                                         here.load.cost(nghttpd, "/body", flight, connections))
                many = "1 connection" if connections == 1 else f"{connections:,} connections"
                here.table.ratio(f"{flight}-{connections}", f"{flight:,} in flight, {many}", ours, theirs, "x nghttpd")


def protocols(bench):
    """HTTP/1.1, and a TLS session for each request, beside nginx, which knows both."""
    here = Answers(bench)
    with here.served(*FEW) as (server, paths):
        with here.static({"body": here.body(server, paths[0])}) as (_, nginx):
            def measure(name, figure, ours, theirs, detail=lambda: ""):
                measured = alternate(bench.few_rounds, bench.short, ours, theirs)
                here.table.ratio(name, figure, *measured, "x nginx", None, detail())

            for connections in (1, 64):
                measure(f"h1-{connections}", f"HTTP/1.1, {connections} kept connection{'s' * (connections > 1)}",
                        *(here.load.cost(on, path, connections, connections, "--h1") for on, path in ((server, paths[0]), (nginx, "/body"))))
            measure("tls-full", "HTTP/1.1, a new TLS session for each request",
                    here.load.connect_cost(server, paths[0]), here.load.connect_cost(nginx, "/body"))
            ours, theirs = here.load.connect_cost(server, paths[0], "-resume"), here.load.connect_cost(nginx, "/body", "-resume")
            measure("tls-resumed", "HTTP/1.1, a TLS session for each request, resumed where the server can", ours, theirs,
                    lambda: f"resumed: {ours.resumed:.0%}, nginx {theirs.resumed:.0%}")


def forms(bench):
    """JSON, protobuf, YAML, and gzip accepted, of the small answer."""
    here = Answers(bench)
    accept = {"json": "application/json", "protobuf": "application/vnd.kubernetes.protobuf", "yaml": "application/yaml"}
    with here.served(*FEW) as (server, paths):
        bodies = {form: here.body(server, paths[0], Accept=media) for form, media in accept.items()}
        with here.static(bodies) as (nghttpd, _):
            for form, media in accept.items():
                ours, theirs = alternate(bench.few_rounds, bench.short, here.load.cost(server, paths[0], 64, 1, "-H", f"Accept: {media}"),
                                         here.load.cost(nghttpd, f"/{form}"))
                here.table.ratio(form, f"as {form}", ours, theirs, "x nghttpd", None, f"{len(bodies[form]):,} bytes")
            ours, theirs = alternate(bench.few_rounds, bench.short, here.load.cost(server, paths[0], 64, 1, *GZIP),
                                     here.load.cost(nghttpd, "/json"))
            here.table.ratio("gzip", "as json, gzip accepted (too small to be compressed)", ours, theirs, "x nghttpd")


def streams(bench):
    """Requests spread over 1,000 streams, beside static files at the same paths."""
    here = Answers(bench)
    with here.served(*A) as (server, paths):
        client = here.rig.client(server.port)
        with here.static({path: client.get(path) for path in paths}) as (nghttpd, nginx):
            for name, order in (("uniform", uniform(paths)), ("zipf", zipf(paths))):
                results = alternate(bench.few_rounds, bench.short, *(here.load.cost(on, order) for on in (server, nghttpd, nginx)))
                here.both(name, f"{name} over 1,000 streams", None, nghttpd, nginx, *results)


def large_answer(bench):
    """2,000 images of 12 layers: cached, compressed, and built for each request."""
    here = Answers(bench)
    with here.served("--data-set", "C") as (server, paths), here.rig.server(server.url, "--response-cache-bytes=0") as uncached:
        path = paths[0]
        until(lambda: here.body(uncached, path))
        body, zipped = here.body(server, path), here.body(server, path, **{"Accept-Encoding": "gzip"})
        with here.static({"body": body, "body.gz": zipped}) as (nghttpd, nginx):
            ours, compressed, a, b, built, gz = alternate(
                bench.rounds, bench.seconds, here.load.cost(server, path, 1), here.load.cost(server, path, 1, 1, *GZIP),
                here.load.cost(nghttpd, "/body", 1), here.load.cost(nginx, "/body", 1), here.load.cost(uncached, path, 1),
                here.load.cost(nghttpd, "/body.gz", 1))
        here.both("cpu", "2,000 images, cached", ">= 0.9", nghttpd, nginx, ours, a, b, f"{len(body):,} bytes")
        here.table.add("gzip", "the same with gzip accepted, CPU", median(compressed) * 1e3, "ms", "<= 1.5",
                       [min(compressed) * 1e3, max(compressed) * 1e3], f"{len(zipped):,} bytes, compressed once; openshift-apiserver: 94 ms each time")
        here.table.ratio("gzip-static", "the same, beside nghttpd with the compressed bytes", compressed, gz, "x nghttpd")
        above = sorted((b - o) * 1e3 for b, o in zip(built, ours))
        here.table.add("built", "the same, built for each request, above cached", median(above), "ms", "< 5", [above[0], above[-1]],
                       f"openshift-apiserver, each time: {REFERENCE_BIG_S * 1e3:.0f} ms in all")


def missing_images(bench):
    """1 % of images missing, beside none; and a stream that misses all of its images."""
    here = Answers(bench)
    with here.served(*A, "--missing", "0.01") as (lacking, paths), here.served(*A) as (whole, _):
        order = uniform(paths)
        ours, theirs = alternate(bench.few_rounds, bench.short, here.load.cost(lacking, order), here.load.cost(whole, order))
        here.table.ratio("one-percent", "1 % of images missing, uniform, beside none", ours, theirs, "x whole", ">= 0.9")
        times = []
        with here.served(*A, "--streams", "1", "--missing", "1") as (gone, gone_paths):
            for _ in range(bench.few_rounds):
                times.append([bench.load.benchload("arrive", on, path, "-rate=200", "-seconds=1")["latency_us"]["p50"]
                              for on, path in ((gone, gone_paths[0]), (whole, paths[0]))])
        here.table.ratio("stall", "latency of a stream of 5 missing images, beside 5 present ones", [g / 1e6 for g, _ in times],
                         [w / 1e6 for _, w in times], "x whole", ">= 0.8", "p50 at 200 requests/s; openshift-apiserver: 258 ms")
