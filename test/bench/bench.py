#!/usr/bin/env python3
"""Measures the release binaries: see README.md beside this file.

    bench.py [--quick] [--only=NAME] [--bin-dir=build/bin] [--etcd=build/release/go/etcd]
"""

import argparse
import base64
import contextlib
import json
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request

from rig import ROOT, Rig, percentile, resident_bytes, until

GZIP = ("-H", "Accept-Encoding: gzip")


class Bench:
    def __init__(self, options, rig):
        self.quick, self.only, self.rig = options.quick, options.only, rig
        self.etcd = options.etcd
        self.rows = []

    def row(self, name, target, measured, detail):
        self.rows.append({"figure": name, "target": target, "measured": measured, "detail": detail})
        print(f"{name:<52} {target:<16} {measured:<16} {detail}", flush=True)

    @contextlib.contextmanager
    def beside_static(self, *data):
        """A server, nghttpd with the same bytes, and the path of both."""
        path = self.rig.stream_path(*data)
        with self.rig.backend(*data) as url, self.rig.server(url) as server:
            body = until(lambda: self.rig.client(server.port).get(path))
            with self.rig.static(body) as static:
                yield url, server, path, static, len(body)

    def rounds(self, seconds, measure):
        """Alternating rounds: lists of what each of `measure` returns. Requests of a round are such that it lasts that long."""
        counts = [self.requests_for(seconds, one) for one in measure]
        results = [[] for _ in measure]
        for _ in range(3 if self.quick else 5):
            for out, one, count in zip(results, measure, counts):
                out.append(one(count))
        return results

    @staticmethod
    def requests_for(seconds, cost_of_one):
        """How many requests take so many seconds of CPU. The clock of /proc ticks 100 times a second: a probe must last."""
        requests = 200
        while (cost := cost_of_one(requests)) * requests < 0.2:
            requests *= 4
        return max(10, int(seconds / cost))

    def seconds(self):
        return 1 if self.quick else 3

    def small_answer(self):
        rig = self.rig
        with self.beside_static("--data-set", "A", "--streams", "50") as (_, server, path, static, size):
            ours, theirs = self.rounds(self.seconds(), [
                lambda n: rig.cpu_a_request(server, path, n, 64),
                lambda n: rig.cpu_a_request(static, "/body", n, 64)])
            self.ratio("layers of a 5-image stream, h2, 64 in flight", ">= 0.9 x static", ours, theirs, size)
            rate = int(rig.h2load(server.port, path, 20_000, 64)) // 2
            log = rig.work / "latencies"
            rig.h2load(server.port, path, rate * (3 if self.quick else 10), 64, f"--rps={rate}", f"--log-file={log}")
            times = sorted(int(line.split()[2]) / 1000 for line in log.read_text().splitlines())
            self.row("the same at half of the saturation rate, p99", "< 1 ms", f"{percentile(times, 0.99):.2f} ms",
                     f"p50 {percentile(times, 0.5):.2f} ms at {rate} requests/s; backend and load share a core")

    def ratio(self, name, target, ours, theirs, size):
        ratios = sorted(t / o for o, t in zip(ours, theirs))
        self.row(name, target, f"{statistics.median(ratios):.2f} x static",
                 f"{ratios[0]:.2f}..{ratios[-1]:.2f}; {statistics.median(ours) * 1e6:.1f} us, static {statistics.median(theirs) * 1e6:.1f} us; {size} bytes")

    def large_answer(self):
        rig = self.rig
        with self.beside_static("--data-set", "C") as (url, server, path, static, size), \
                rig.server(url, "--response-cache-bytes=0") as uncached:
            until(lambda: rig.client(uncached.port).get(path))
            ours, zipped, theirs, built = self.rounds(self.seconds(), [
                lambda n: rig.cpu_a_request(server, path, n, 1),
                lambda n: rig.cpu_a_request(server, path, n, 1, *GZIP),
                lambda n: rig.cpu_a_request(static, "/body", n, 1),
                lambda n: rig.cpu_a_request(uncached, path, n, 1)])
            self.ratio("layers of a 2,000-image stream, cached", ">= 0.9 x static", ours, theirs, size)
            self.row("the same with gzip accepted", "<= 1.5 ms", f"{statistics.median(zipped) * 1e3:.2f} ms", "CPU; compressed once, then cached")
            above = sorted(b - o for b, o in zip(built, ours))
            self.row("the same, built for each request", "< 5 ms more", f"{statistics.median(above) * 1e3:.2f} ms more",
                     f"CPU; {above[0] * 1e3:.2f}..{above[-1] * 1e3:.2f}; --response-cache-bytes=0")

    def missing_images(self):
        whole, missing = (self.rig.stream_path("--data-set", "A", "--streams", "1", *more) for more in ((), ("--missing", "1")))
        figures = []
        for path, more in ((whole, ()), (missing, ("--missing", "1"))):
            with self.rig.backend("--data-set", "A", "--streams", "1", *more) as url, self.rig.server(url) as server:
                client = self.rig.client(server.port)
                until(lambda: self.rig.client(server.port).get(path))
                figures.append(sorted(timed(lambda: client.get(path)) for _ in range(100 if self.quick else 1000)))
        usual, lacking = (statistics.median(times) * 1e3 for times in figures)
        self.row("a stream of 5 missing images, one at a time", "as any other", f"{lacking / usual:.2f} x", f"p50 {lacking:.2f} ms, of present ones {usual:.2f} ms")

    def memory_and_start(self):
        data = ["--data-set", "B"] + (["--streams", "2000"] if self.quick else [])
        rig = self.rig
        with rig.backend() as url, rig.server(url) as server:
            until(lambda: rig.client(server.port).get("/readyz"))
            empty = resident_bytes(server.pid)
        self.row("resident memory, empty", "<= 40 MiB", f"{empty / 2**20:.1f} MiB", "")
        path = rig.stream_path("--data-set", "B", "--streams", "1")
        with rig.backend(*data) as url:
            start = time.monotonic()
            with rig.server(url) as server:
                until(lambda: rig.client(server.port).get("/readyz"))
                ready = time.monotonic() - start
                until(lambda: rig.client(server.port).get(path))
                answer = time.monotonic() - start
                metrics = rig.client(server.port).get("/metrics", "admin")
                images = int(float(re.search(rb'apiserver_storage_objects\{resource="images[^}]*\} ([\d.e+]+)', metrics)[1]))
                full = resident_bytes(server.pid)
        self.row(f"resident memory an image, at {images:,}", "<= 600 bytes", f"{(full - empty) / images:.0f} bytes", f"{full / 2**20:.0f} MiB in all")
        self.row(f"start to first right answer, {images:,} images", "< 2 s", f"{answer:.2f} s", f"ready after {ready:.2f} s")

    def freshness(self):
        """From the acknowledgement of a write by etcd to the last byte of an answer that shows it."""
        if not self.etcd:
            return print("freshness is written through etcd's HTTP gateway: not without --etcd")
        path = "/apis/image.openshift.io/v1/namespaces/bench/imagestreams/fresh/layers"
        times = []
        with self.rig.backend("--data-set", "A", "--streams", "50") as url, self.rig.server(url) as server:
            client = self.rig.client(server.port)
            for round_ in range(200 if self.quick else 1000):
                image = f"sha256:{round_:064x}"
                put_stream(url, image)
                written = time.monotonic()
                body = client.get(path) if round_ else until(lambda: self.rig.client(server.port).get(path))
                times.append((time.monotonic() - written) * 1e3)
                if image.encode() not in body:
                    raise SystemExit(f"round {round_}: an answer does not show what was written before it was asked for")
        times = sorted(times[1:])
        self.row("from a commit in etcd to an answer that shows it, p99", "< 10 ms", f"{percentile(times, 0.99):.2f} ms",
                 f"p50 {percentile(times, 0.5):.2f} ms, longest {times[-1]:.2f} ms of {len(times)}; every answer showed it")

    def delegation(self):
        """The small answer with kube-apiserver's reviews warm, and with every request audited, beside the token file."""
        rig = self.rig
        if not rig.etcd or not (rig.etcd.parent / "kube-apiserver").exists():
            return print("delegation needs the kube-apiserver that the build makes beside etcd")
        data = ["--data-set", "A", "--streams", "50"]
        path = rig.stream_path(*data)
        policy = rig.work / "policy.yaml"
        policy.write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}")
        with rig.kube_apiserver() as kubeconfig, rig.backend(*data) as url, rig.server(url) as files, \
                rig.server(url, kubeconfig=kubeconfig) as asked, \
                rig.server(url, f"--audit-policy-file={policy}", f"--audit-log-path={rig.work}/audit.log") as audited:
            for server in (files, asked, audited):
                until(lambda: rig.client(server.port).get(path))
            by_files, by_reviews, with_audit = self.rounds(self.seconds(), [
                lambda n, server=server: rig.cpu_a_request(server, path, n, 64) for server in (files, asked, audited)])
            self.beside("reviews by kube-apiserver, warm, beside token file", ">= 0.95 x files", by_reviews, by_files)
            self.beside("the same as files, audited at Metadata", "none yet", with_audit, by_files)

    def store(self):
        """The embedded store beside etcd 3.6, by one Go client on one disk; each server on one core, the client on the other."""
        program = self.rig.etcd and self.rig.etcd.parent / "storebench"
        if not program or not program.exists():
            return print("the store is measured beside the etcd that the build makes, with storebench beside it")
        command = ["taskset", "-c", "1", program, f"--etcd={self.rig.etcd}", f"--strata-storage={self.rig.bin}/strata-storage",
                   f"--work={self.rig.work}"] + (["--quick"] if self.quick else [])
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            for line in running.stdout:
                figure = json.loads(line)
                ratios = sorted(ours / theirs for ours, theirs in zip(figure["ours"], figure["theirs"]))
                ours, theirs = statistics.median(figure["ours"]), statistics.median(figure["theirs"])
                self.row(figure["figure"], figure["target"], f"{statistics.median(ratios):.2f} x etcd",
                         f"{ratios[0]:.2f}..{ratios[-1]:.2f}; {ours:,.1f} {figure['unit']}, etcd {theirs:,.1f} {figure['unit']}")
        if running.returncode:
            raise SystemExit(f"storebench ended with {running.returncode}")

    def beside(self, name, target, ours, theirs):
        ratios = sorted(t / o for o, t in zip(ours, theirs))
        self.row(name, target, f"{statistics.median(ratios):.2f} x files",
                 f"{ratios[0]:.2f}..{ratios[-1]:.2f}; {statistics.median(ours) * 1e6:.1f} us, files {statistics.median(theirs) * 1e6:.1f} us")

    def run(self):
        print(f"{'figure':<52} {'target':<16} {'measured':<16} spread, absolute figures")
        for part in (self.small_answer, self.large_answer, self.missing_images, self.memory_and_start, self.freshness, self.delegation, self.store):
            if self.only in part.__name__:
                part()
        out = ROOT / "build/bench"
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(self.rows, indent=1) + "\n")


def timed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


def put_stream(etcd_url, image):
    stream = {"kind": "ImageStream", "apiVersion": "image.openshift.io/v1",
              "metadata": {"name": "fresh", "namespace": "bench"},
              "status": {"dockerImageRepository": "", "tags": [{"tag": "latest", "items": [
                  {"created": "2026-01-01T00:00:00Z", "dockerImageReference": "", "image": image, "generation": 1}]}]}}
    encode = lambda text: base64.b64encode(text.encode()).decode()
    body = {"key": encode("/openshift.io/imagestreams/bench/fresh"), "value": encode(json.dumps(stream))}
    request = urllib.request.Request(f"{etcd_url}/v3/kv/put", json.dumps(body).encode())
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short rounds, a tenth of the data")
    parser.add_argument("--only", default="", help="the part whose name contains this: small_answer, large_answer, missing_images, memory_and_start, freshness, delegation, store")
    parser.add_argument("--bin-dir", default=ROOT / "build/bin")
    parser.add_argument("--etcd", default=next((str(p) for p in [ROOT / "build/release/go/etcd"] if p.exists()), ""))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        Bench(options, Rig(options.bin_dir, options.etcd, work)).run()


if __name__ == "__main__":
    main()
