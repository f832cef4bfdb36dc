#!/usr/bin/env python3
"""Measures the release binaries: see README.md beside this file.

    bench.py [--quick] [--bin-dir=build/bin] [--etcd=build/release/go/etcd]
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 120
RBAC = """apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: pullers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-puller'}
subjects: [{kind: User, name: puller}]
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@contextlib.contextmanager
def process(*command, core=None):
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    p = subprocess.Popen([*pinned, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield p
    finally:
        p.terminate()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, pathlib.Path(work)
        self.bin = pathlib.Path(options.bin_dir)
        self.testdata = ROOT / "build/release/test/support/strata-testdata"
        subprocess.run([ROOT / "certs/make-dev-certs.sh", self.work / "certs"], check=True, capture_output=True)
        (self.work / "tokens.csv").write_text('token,puller,1,"devs"\nadmin,admin,2,"system:masters"\n')
        (self.work / "rbac.yaml").write_text(RBAC)
        self.context = ssl.create_default_context(cafile=self.work / "certs/ca.crt")
        self.rows = []

    @contextlib.contextmanager
    def backend(self, *data):
        port, peer = free_port(), free_port()
        url = f"http://127.0.0.1:{port}"
        directory = tempfile.mkdtemp(dir=self.work)
        command = [self.bin / "strata-storage", "serve", f"--data-dir={directory}/store", f"--listen-client-urls={url}"]
        if self.options.etcd:
            command = [self.options.etcd, f"--data-dir={directory}/etcd", f"--listen-client-urls={url}", "--log-level=error",
                       f"--advertise-client-urls={url}", f"--listen-peer-urls=http://127.0.0.1:{peer}", "--quota-backend-bytes=8000000000"]
        with process(*command, core=1) as p:
            self.until(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
            time.sleep(1)
            if data:
                subprocess.run([self.testdata, *data, f"--etcd-servers={url}"], check=True, capture_output=True)
            yield url, p

    @contextlib.contextmanager
    def server(self, url):
        port = free_port()
        with process(self.bin / "strata-apiserver", f"--etcd-servers={url}", "--bind-address=127.0.0.1", f"--secure-port={port}",
                     f"--tls-cert-file={self.work}/certs/serving.crt", f"--tls-private-key-file={self.work}/certs/serving.key",
                     f"--token-auth-file={self.work}/tokens.csv", f"--rbac-file={self.work}/rbac.yaml", core=0) as p:
            p.port = port
            yield p

    def until(self, attempt):
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return attempt()
            except (OSError, AssertionError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
                time.sleep(0.005)

    def get(self, port, path, **headers):
        connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=self.context)
        connection.request("GET", path, headers={"Authorization": "Bearer token", **headers})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == 200, f"{path}: {response.status} {body[:200]}"
        return body

    def stream_path(self, *data):
        """The path of one stream of a data set, found in its files' form."""
        directory = tempfile.mkdtemp(dir=self.work)
        subprocess.run([self.testdata, *data, f"--files={directory}"], check=True, capture_output=True)
        for file in sorted(pathlib.Path(directory).rglob("*")):
            if file.is_file():
                match = re.search(r'"kind":\s*"ImageStream"', file.read_text(errors="replace"))
                if match:
                    text = file.read_text()[match.start():]
                    ns = re.search(r'"namespace":\s*"([^"]+)"', text)[1]
                    name = re.search(r'"name":\s*"([^"]+)"', text)[1]
                    return f"/apis/image.openshift.io/v1/namespaces/{ns}/imagestreams/{name}/layers"
        raise SystemExit("strata-testdata wrote no stream")

    def load(self, pid, url, in_flight, seconds, *headers):
        """Requests done, and CPU seconds of `pid` for each. A machine too busy to connect in time is asked again."""
        for _ in range(3):
            before = cpu_seconds(pid)
            out = subprocess.run(["taskset", "-c", "1", "h2load", "-c1", f"-m{in_flight}", f"-D{seconds}", *headers, url],
                                 check=True, capture_output=True, text=True).stdout
            done = int(re.search(r"(\d+) succeeded", out)[1])
            assert " 0 failed" in out, f"{url}: {out}"
            if done > 0:
                return done, (cpu_seconds(pid) - before) / done
        raise SystemExit(f"{url}: no request was answered in three rounds:\n{out}")

    def row(self, name, target, measured, detail):
        self.rows.append({"figure": name, "target": target, "measured": measured, "detail": detail})
        print(f"{name:<58} {target:<16} {measured:<16} {detail}", flush=True)

    def beside_static(self, name, target, data, in_flight, headers=()):
        rounds, seconds = (3, 2) if self.options.quick else (5, 3)
        path = self.stream_path(*data)
        with self.backend(*data) as (url, _), self.server(url) as server:
            body = self.until(lambda: self.get(server.port, path))
            root = self.work / "static"
            root.mkdir(exist_ok=True)
            (root / "body").write_bytes(body)
            port = free_port()
            with process("nghttpd", f"-d{root}", "-n1", port, self.work / "certs/serving.key", self.work / "certs/serving.crt", core=0) as static:
                self.until(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
                ours, theirs = [], []
                for _ in range(rounds):
                    ours.append(self.load(server.pid, f"https://127.0.0.1:{server.port}{path}", in_flight, seconds,
                                          "-H", "Authorization: Bearer token", *headers)[1])
                    theirs.append(self.load(static.pid, f"https://127.0.0.1:{port}/body", in_flight, seconds)[1])
        ratios = sorted(t / o for o, t in zip(ours, theirs))
        self.row(name, target, f"{statistics.median(ratios):.2f} x static",
                 f"{ratios[0]:.2f}..{ratios[-1]:.2f}; {statistics.median(ours) * 1e6:.1f} us, static {statistics.median(theirs) * 1e6:.1f} us; {len(body)} bytes")

    def memory_and_start(self):
        data = ["--data-set", "B"] + (["--streams", "2000"] if self.options.quick else [])
        with self.backend() as (url, _), self.server(url) as server:
            self.until(lambda: self.get(server.port, "/readyz"))
            empty = resident_bytes(server.pid)
        self.row("resident memory, empty", "<= 40 MiB", f"{empty / 2**20:.1f} MiB", "")
        path = self.stream_path("--data-set", "B", "--streams", "1")
        with self.backend(*data) as (url, _):
            start = time.monotonic()
            with self.server(url) as server:
                self.until(lambda: self.get(server.port, "/readyz"))
                ready = time.monotonic() - start
                self.until(lambda: self.get(server.port, path))
                answer = time.monotonic() - start
                images = int(float(re.search(rb'apiserver_storage_objects\{resource="images[^}]*\} ([\d.e+]+)', self.metrics(server))[1]))
                full = resident_bytes(server.pid)
        self.row(f"resident memory per image, at {images:,}", "<= 600 bytes", f"{(full - empty) / images:.0f} bytes", f"{full / 2**20:.0f} MiB in all")
        self.row(f"start to first right answer, {images:,} images", "< 2 s", f"{answer:.2f} s", f"ready after {ready:.2f} s")

    def metrics(self, server):
        connection = http.client.HTTPSConnection("localhost", server.port, context=self.context)
        connection.request("GET", "/metrics", headers={"Authorization": "Bearer admin"})
        return connection.getresponse().read()

    def run(self):
        print(f"{'figure':<58} {'target':<16} {'measured':<16} spread, absolute figures")
        self.beside_static("layers of a 5-image stream, h2, 64 in flight", ">= 0.9 x static", ["--data-set", "A", "--streams", "50"], 64)
        self.beside_static("layers of a 2,000-image stream, cached", ">= 0.9 x static", ["--data-set", "C"], 1)
        self.beside_static("the same with gzip accepted (static sends it plain)", "", ["--data-set", "C"], 1, ["-H", "Accept-Encoding: gzip"])
        self.memory_and_start()
        out = ROOT / "build/bench"
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(self.rows, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bin-dir", default=ROOT / "build/bin")
    parser.add_argument("--etcd", default=next((str(p) for p in [ROOT / "build/release/go/etcd"] if p.exists()), ""))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        Bench(options, work).run()


if __name__ == "__main__":
    main()
