"""The processes that a measurement needs: started on their cores, and ended whatever happens."""

import contextlib
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "test/rig"))
from ports import free_port

PATIENCE_S = 120
SERVER_CORE, LOAD_CORE = 0, 1
USERS = 'token,puller,1,"devs"\nadmin,admin,2,"system:masters"\n'
RBAC = """apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: pullers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-puller'}
subjects: [{kind: User, name: puller}]
"""
AUDIT_POLICY = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}"
# OpenShift's own (library-go, audit profile Default) omits that stage for everybody.
ONE_STAGE_POLICY = "{apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [RequestReceived], rules: [{level: Metadata}]}"
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def cpu_seconds(pid):
    """Of all threads that there are, in steps of a scheduler's tick."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def cpu_seconds_ever(pid):
    """Those of threads that have ended too, in steps of 10 ms."""
    user, system = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def machine_seconds():
    """Of CPU: used by anybody here, and stolen by other machines."""
    user, nice, system, _, _, irq, softirq, stolen = map(int, open("/proc/stat").readline().split()[1:9])
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / tick, stolen / tick


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
            time.sleep(0.002)


def run(*command, core=None, **options):
    """A program to its end. What it prints on stderr is shown if it fails."""
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    done = subprocess.run([*pinned, *map(str, command)], capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{pathlib.Path(command[0]).name} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


class Client:
    """One kept connection, HTTP/1.1."""

    def __init__(self, port, context):
        self.connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=context)

    def get(self, path, token="token", **headers):
        return self.exchange("GET", path, None, {"Authorization": f"Bearer {token}", **headers})

    def post(self, path, document, token):
        return self.exchange("POST", path, json.dumps(document), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})

    def exchange(self, method, path, body, headers):
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()  # the next request opens it again
            raise
        assert response.status in (200, 201), f"{path}: {response.status} {answer[:200]}"
        return answer


class Rig:
    def __init__(self, bin_dir, peers, work):
        self.bin, self.peers, self.work = pathlib.Path(bin_dir), pathlib.Path(peers), pathlib.Path(work)
        self.kept = ROOT / "build/bench/data"
        self.testdata = ROOT / "build/release/test/support/strata-testdata"
        self.logs, self.stores = [], {}
        run(ROOT / "certs/make-dev-certs.sh", self.work / "certs")
        for name, text in (("tokens.csv", USERS), ("rbac.yaml", RBAC)):
            (self.work / name).write_text(text)
        self.context = ssl.create_default_context(cafile=self.work / "certs/ca.crt")

    def peer(self, name):
        path = self.peers / name
        if not path.exists():
            raise SystemExit(f"{path} is needed; ./dev bench builds it")
        return path

    @contextlib.contextmanager
    def process(self, *command, core, stdout=None):
        """A program on one core. It dies with this one, also when this one is killed."""
        log = tempfile.NamedTemporaryFile("w+", dir=self.work, prefix=pathlib.Path(command[0]).name + ".", suffix=".log", delete=False)
        p = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], stdout=stdout or log, stderr=log, stdin=subprocess.DEVNULL,
                             text=True, start_new_session=True, preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        self.logs.append((p, command[0], log.name))
        try:
            yield p
        finally:
            p.terminate()
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
            # What it started itself and left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, signal.SIGKILL)
            log.close()

    def complaints(self):
        """The last lines of every program that ended by itself with an error."""
        for p, name, log in self.logs:
            if p.returncode is not None and p.returncode > 0:
                yield f"{name} ended with {p.returncode}: " + "\n".join(pathlib.Path(log).read_text().splitlines()[-5:])

    # Backends

    def store_command(self, kind, directory, url):
        if kind == "embedded":
            return [self.bin / "strata-storage", "serve", f"--data-dir={directory}", f"--listen-client-urls={url}",
                    "--quota-backend-bytes=17179869184"]
        return [self.peer("etcd"), f"--data-dir={directory}", f"--listen-client-urls={url}", "--log-level=error",
                f"--advertise-client-urls={url}", f"--listen-peer-urls=http://127.0.0.1:{free_port()}",
                "--quota-backend-bytes=17179869184"]

    @contextlib.contextmanager
    def store(self, kind, directory, *data):
        """An etcd ("etcd") or strata-storage ("embedded") on a directory, with the records of `data`; yields its URL."""
        url = f"http://127.0.0.1:{free_port()}"
        with self.process(*self.store_command(kind, directory, url), core=LOAD_CORE) as p:
            self.stores[url] = p
            # It is ready when it takes a record; not one that anybody reads.
            until(lambda: self.write(url, "--streams", "1", "--images-per-stream", "0", "--etcd-prefix=ready"))
            if data:
                self.write(url, *data)
            yield url

    @contextlib.contextmanager
    def backend(self, *data):
        """An etcd of its own, that may be written to; yields its URL. Its process is `process_of(url)`."""
        with self.scratch() as directory, self.store("etcd", directory / "store", *data) as url:
            yield url

    @contextlib.contextmanager
    def kept_backend(self, *data):
        """An etcd whose records are made once and kept for later runs. Nobody may write to it."""
        with self.store("etcd", self.kept_directory("etcd", *data)) as url:
            yield url

    def kept_directory(self, kind, *data):
        maker = hashlib.sha256(self.testdata.read_bytes() + " ".join((kind, *data)).encode()).hexdigest()[:12]
        directory = self.kept / f"{kind}-{'-'.join(data).replace('--', '')}-{maker}"
        if not (directory / "complete").exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            with self.store(kind, directory / "store", *data):
                pass
            (directory / "complete").touch()
        return directory / "store"

    def process_of(self, url):
        return self.stores[url]

    @contextlib.contextmanager
    def scratch(self):
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def write(self, url, *data):
        made = subprocess.run([self.testdata, *data, f"--etcd-servers={url}"], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr

    @contextlib.contextmanager
    def churn(self, url, rate, *data):
        """So many images a second of `data` are written again, each at a revision of its own."""
        with self.process(self.testdata, *data, f"--etcd-servers={url}", f"--churn={rate}", core=LOAD_CORE) as p:
            yield p
            if p.poll() is not None:
                raise SystemExit("strata-testdata --churn ended by itself")

    @contextlib.contextmanager
    def away(self, url, milliseconds):
        """`url`, a round trip of so many milliseconds farther away."""
        with self.process(self.peer("benchload"), "delay", f"-to={url.removeprefix('http://')}", f"-by={milliseconds / 2}ms",
                          core=LOAD_CORE, stdout=subprocess.PIPE) as p:
            yield "http://" + json.loads(p.stdout.readline())["listening"]

    # Servers

    @contextlib.contextmanager
    def server(self, url, *flags, kubeconfig=None, audited=AUDIT_POLICY, wrapper=()):
        """strata-apiserver, reading from `url`, or from the directory of an embedded store. With a kubeconfig it asks a
        kube-apiserver who its users are and what they may do; without, files. `audited` is a policy; none: it isn't."""
        port, certs = free_port(), self.work / "certs"
        where = f"--etcd-servers={url}" if str(url).startswith("http") else f"--data-dir={url}"
        identity = [f"--token-auth-file={self.work}/tokens.csv", f"--rbac-file={self.work}/rbac.yaml"]
        if kubeconfig:
            identity = [f"--kubeconfig={kubeconfig}"]
        audit = []
        if audited:
            policy = self.work / f"policy-{port}.yaml"
            policy.write_text(audited)
            audit = [f"--audit-policy-file={policy}", f"--audit-log-path={self.work}/audit-{port}.log",
                     "--audit-log-maxsize=100", "--audit-log-maxbackup=1"]
        with self.process(*wrapper, self.bin / "strata-apiserver", where, "--bind-address=127.0.0.1", f"--secure-port={port}",
                          f"--tls-cert-file={certs}/serving.crt", f"--tls-private-key-file={certs}/serving.key",
                          *identity, *audit, *flags, core=SERVER_CORE) as p:
            p.port = port
            try:
                yield p
            finally:
                for log in self.work.glob(f"audit-{port}*"):
                    log.unlink()

    @contextlib.contextmanager
    def kube_apiserver_on(self, core):
        """A kube-apiserver that knows the same users, with an etcd of its own, whose URL is its `url`."""
        port, certs = free_port(), self.work / "certs"
        run("openssl", "pkey", "-in", certs / "serving.key", "-pubout", "-out", certs / "sa.pub")
        with self.backend() as url, self.process(
                self.peer("kube-apiserver"), f"--etcd-servers={url}", "--bind-address=127.0.0.1", f"--secure-port={port}",
                f"--tls-cert-file={certs}/serving.crt", f"--tls-private-key-file={certs}/serving.key", f"--token-auth-file={self.work}/tokens.csv",
                "--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={certs}/sa.pub", f"--service-account-signing-key-file={certs}/serving.key",
                f"--client-ca-file={certs}/ca.crt", "--service-cluster-ip-range=10.0.0.0/24", core=core) as p:
            p.port, p.url = port, url
            until(lambda: self.client(port).get("/readyz", "admin"))
            yield p

    @contextlib.contextmanager
    def kube_apiserver(self):
        """One that lets `puller` read layers; yields a kubeconfig file."""
        with self.kube_apiserver_on(LOAD_CORE) as server:
            kubeconfig = self.work / "kubeconfig"
            kubeconfig.write_text(json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "x",
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{server.port}",
                                                       "certificate-authority": str(self.work / "certs/ca.crt")}}],
                "users": [{"name": "u", "user": {"token": "admin"}}]}))
            client, rbac = self.client(server.port), "/apis/rbac.authorization.k8s.io/v1/"
            client.post(rbac + "clusterroles", {"metadata": {"name": "layers-reader"}, "rules": [
                {"apiGroups": ["image.openshift.io"], "resources": ["imagestreams/layers"], "verbs": ["get"]}]}, "admin")
            client.post(rbac + "clusterrolebindings", {"metadata": {"name": "pullers"}, "subjects": [{"kind": "User", "name": "puller"}],
                        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "layers-reader"}}, "admin")
            yield kubeconfig

    @contextlib.contextmanager
    def nghttpd(self, root):
        port = free_port()
        with self.process("nghttpd", f"-d{root}", "-n1", "-m1000", port, self.work / "certs/serving.key", self.work / "certs/serving.crt",
                          core=SERVER_CORE) as p:
            until(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
            p.port = port
            yield p

    @contextlib.contextmanager
    def nginx(self, root):
        port, certs = free_port(), self.work / "certs"
        with self.scratch() as directory:
            temporary = "\n".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            (directory / "nginx.conf").write_text(f"""daemon off; master_process off; pid {directory}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  {temporary}
  access_log off; sendfile on; tcp_nopush on; open_file_cache max=50000; keepalive_requests 1000000000; default_type application/json;
  server {{
    listen 127.0.0.1:{port} ssl http2 backlog=4096;
    ssl_certificate {certs}/serving.crt; ssl_certificate_key {certs}/serving.key; ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; http2_max_concurrent_streams 1000; http2_chunk_size 16k;
    root {root};
  }}
}}
""")
            # Its workers would become www-data, whom temporary directories are closed to.
            user = ["-g", "user root;"] if os.geteuid() == 0 else []
            with self.process(shutil.which("nginx") or "/usr/sbin/nginx", "-c", directory / "nginx.conf", *user, core=SERVER_CORE) as p:
                until(lambda: socket.create_connection(("127.0.0.1", port), 1).close())
                p.port = port
                yield p

    @contextlib.contextmanager
    def files(self, bodies):
        """A directory with a file for each path; equal bodies are one file under many names."""
        with self.scratch() as root:
            root.chmod(0o755)
            written = {}
            for path, body in bodies.items():
                file = root / path.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                if body in written:
                    file.hardlink_to(written[body])
                else:
                    file.write_bytes(body)
                    written[body] = file
            yield root

    def client(self, port):
        return Client(port, self.context)

    def paths(self, *data):
        """Of the layers of each stream of a data set."""
        names = run(self.testdata, *data, "--names").split()
        return ["/apis/image.openshift.io/v1/namespaces/{}/imagestreams/{}/layers".format(*name.split("/")) for name in names]
