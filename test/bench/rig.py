"""The processes that a measurement needs, and how to load them and read what they cost."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 120
SERVER_CORE, LOAD_CORE = 0, 1
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


def until(attempt):
    """What `attempt` returns, once it raises nothing."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return attempt()
        except (OSError, AssertionError, http.client.HTTPException):
            if time.monotonic() > end:
                raise
            time.sleep(0.005)


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


@contextlib.contextmanager
def process(*command, core):
    p = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield p
    finally:
        p.terminate()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


class Client:
    """One kept connection, as user puller."""

    def __init__(self, port, context):
        self.connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=context)

    def get(self, path, token="token"):
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = self.connection.getresponse()
        body = response.read()
        assert response.status == 200, f"{path}: {response.status} {body[:200]}"
        return body


    def post(self, path, document, token):
        self.connection.request("POST", path, json.dumps(document), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        response = self.connection.getresponse()
        body = response.read()
        assert response.status in (200, 201), f"{path}: {response.status} {body[:200]}"


class Rig:
    def __init__(self, bin_dir, etcd, work):
        self.bin, self.work = pathlib.Path(bin_dir), pathlib.Path(work)
        self.etcd = pathlib.Path(etcd) if etcd else None
        self.testdata = ROOT / "build/release/test/support/strata-testdata"
        subprocess.run([ROOT / "certs/make-dev-certs.sh", self.work / "certs"], check=True, capture_output=True)
        (self.work / "tokens.csv").write_text('token,puller,1,"devs"\nadmin,admin,2,"system:masters"\n')
        (self.work / "rbac.yaml").write_text(RBAC)
        self.context = ssl.create_default_context(cafile=self.work / "certs/ca.crt")

    @contextlib.contextmanager
    def backend(self, *data):
        """An etcd, or a strata-storage, with the records that strata-testdata makes of `data`; yields its URL."""
        port, peer = free_port(), free_port()
        url = f"http://127.0.0.1:{port}"
        directory = tempfile.mkdtemp(dir=self.work)
        command = [self.bin / "strata-storage", "serve", f"--data-dir={directory}/store", f"--listen-client-urls={url}"]
        if self.etcd:
            command = [self.etcd, f"--data-dir={directory}/etcd", f"--listen-client-urls={url}", "--log-level=error",
                       f"--advertise-client-urls={url}", f"--listen-peer-urls=http://127.0.0.1:{peer}", "--quota-backend-bytes=8000000000"]
        with process(*command, core=LOAD_CORE):
            # It is ready when a transaction of no records is done.
            until(lambda: self.write_testdata(url, "--streams", "1", "--images-per-stream", "0"))
            if data:
                self.write_testdata(url, *data)
            yield url

    def write_testdata(self, url, *data):
        made = subprocess.run([self.testdata, *data, f"--etcd-servers={url}"], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr

    @contextlib.contextmanager
    def server(self, url, *flags, kubeconfig=None):
        """With a kubeconfig it asks a kube-apiserver who its users are and what they may do; without, files."""
        port = free_port()
        identity = [f"--token-auth-file={self.work}/tokens.csv", f"--rbac-file={self.work}/rbac.yaml"]
        if kubeconfig:
            identity = [f"--kubeconfig={kubeconfig}"]
        with process(self.bin / "strata-apiserver", f"--etcd-servers={url}", "--bind-address=127.0.0.1", f"--secure-port={port}",
                     f"--tls-cert-file={self.work}/certs/serving.crt", f"--tls-private-key-file={self.work}/certs/serving.key",
                     *identity, *flags, core=SERVER_CORE) as p:
            p.port = port
            yield p

    @contextlib.contextmanager
    def kube_apiserver(self):
        """A kube-apiserver that knows the same users, and lets `puller` read layers; yields a kubeconfig file."""
        port, certs = free_port(), self.work / "certs"
        kubeconfig = self.work / "kubeconfig"
        kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(certs / "ca.crt")}}],
            "users": [{"name": "u", "user": {"token": "admin"}}]}))
        subprocess.run(["openssl", "pkey", "-in", certs / "serving.key", "-pubout", "-out", certs / "sa.pub"], check=True, capture_output=True)
        with self.backend() as url, process(
                self.etcd.parent / "kube-apiserver", f"--etcd-servers={url}", "--bind-address=127.0.0.1", f"--secure-port={port}",
                f"--tls-cert-file={certs}/serving.crt", f"--tls-private-key-file={certs}/serving.key", f"--token-auth-file={self.work}/tokens.csv",
                "--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={certs}/sa.pub", f"--service-account-signing-key-file={certs}/serving.key",
                f"--client-ca-file={certs}/ca.crt", "--service-cluster-ip-range=10.0.0.0/24", core=LOAD_CORE):
            client = Client(port, self.context)
            until(lambda: Client(port, self.context).get("/readyz", "admin"))
            rbac = "/apis/rbac.authorization.k8s.io/v1/"
            client.post(rbac + "clusterroles", {"metadata": {"name": "layers-reader"}, "rules": [
                {"apiGroups": ["image.openshift.io"], "resources": ["imagestreams/layers"], "verbs": ["get"]}]}, "admin")
            client.post(rbac + "clusterrolebindings", {"metadata": {"name": "pullers"}, "subjects": [{"kind": "User", "name": "puller"}],
                        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "layers-reader"}}, "admin")
            yield kubeconfig

    @contextlib.contextmanager
    def static(self, body):
        """nghttpd with `body` as its only file."""
        root = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        (root / "body").write_bytes(body)
        port = free_port()
        with process("nghttpd", f"-d{root}", "-n1", port, self.work / "certs/serving.key", self.work / "certs/serving.crt", core=SERVER_CORE) as p:
            until(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
            p.port = port
            yield p

    def client(self, port):
        return Client(port, self.context)

    def stream_path(self, *data):
        """The path of one stream of a data set, found in its files' form."""
        directory = tempfile.mkdtemp(dir=self.work)
        subprocess.run([self.testdata, *data, f"--files={directory}"], check=True, capture_output=True)
        for file in sorted(pathlib.Path(directory).rglob("*")):
            match = file.is_file() and re.search(r'"kind":\s*"ImageStream"', file.read_text(errors="replace"))
            if match:
                text = file.read_text()[match.start():]
                ns = re.search(r'"namespace":\s*"([^"]+)"', text)[1]
                name = re.search(r'"name":\s*"([^"]+)"', text)[1]
                return f"/apis/image.openshift.io/v1/namespaces/{ns}/imagestreams/{name}/layers"
        raise SystemExit("strata-testdata wrote no stream")

    def h2load(self, port, path, requests, in_flight, *options):
        """Requests a second. By number and not by time: h2load's timed mode counts what was cut off at the end as neither."""
        out = subprocess.run(["taskset", "-c", str(LOAD_CORE), "h2load", "-c1", f"-m{in_flight}", f"-n{requests}",
                              "-H", "Authorization: Bearer token", *options, f"https://127.0.0.1:{port}{path}"],
                             check=True, capture_output=True, text=True).stdout
        if f"{requests} succeeded, 0 failed" not in out:
            raise SystemExit(f"{path}: not all requests succeeded:\n{out}")
        return float(re.search(r"([\d.]+) req/s", out)[1])

    def cpu_a_request(self, server, path, requests, in_flight, *options):
        before = cpu_seconds(server.pid)
        self.h2load(server.port, path, requests, in_flight, *options)
        return (cpu_seconds(server.pid) - before) / requests
