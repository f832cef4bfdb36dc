"""Both programs over TLS, some requests, and a Prometheus that scrapes them as the ServiceMonitors say."""

import contextlib
import json
import pathlib
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "rig"))
from ports import free_ports

PATIENCE_SECONDS = 90
TOKENS = {
    "reader": "system:serviceaccount:strata:strata-metrics",
    "stranger": "stranger",
    "admin": "admin",
}


def snake(value):
    """prometheus.yml has the ServiceMonitor's fields under other names."""
    if isinstance(value, list):
        return [snake(one) for one in value]
    if isinstance(value, dict):
        return {re.sub("[A-Z]", lambda m: "_" + m[0].lower(), key): snake(one) for key, one in value.items()}
    return value


class Live(contextlib.ExitStack):
    """Processes end with it, whatever happened."""

    def __init__(self, tree, programs, work):
        super().__init__()
        self.tree, self.programs, self.work = tree, programs, work
        self.component = tree / "deploy/components/monitoring"
        self.server, self.store, self.store_metrics, self.prometheus = free_ports(4)
        certificates = work / "certs"
        self.run(tree / "certs/make-dev-certs.sh", certificates)
        self.ca = certificates / "ca.crt"
        self.anybody, self.admin = (ssl.create_default_context(cafile=self.ca) for _ in range(2))
        self.admin.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
        self.run(programs / "strata-storage", "load", f"--data-dir={work}/store", tree / "deploy/samples")
        self.write_rights()

    def run(self, *command):
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)

    def wait(self, what, condition):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if condition():
                    return
            time.sleep(0.2)
        logs = "\n".join(file.read_text()[-1000:] for file in self.work.glob("*.log"))
        raise SystemExit(f"{what}: not within {PATIENCE_SECONDS} seconds\n{logs}")

    def start(self, *command):
        log = self.enter_context((self.work / f"{pathlib.Path(command[0]).name}.log").open("w"))
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.callback(process.wait, PATIENCE_SECONDS)
        self.callback(process.terminate)

    def write_rights(self):
        """The component's own role and binding, and no others; and what is audited."""
        objects = yaml.safe_load_all((self.component / "rbac.yaml").read_text())
        rights = [one for one in objects if one["apiVersion"].startswith("rbac.")]
        (self.work / "rbac.yaml").write_text(yaml.safe_dump_all(rights))
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
        (self.work / "policy.yaml").write_text(yaml.safe_dump(policy))
        lines = [f'{token},{user},{user},"{"system:masters" if token == "admin" else ""}"' for token, user in TOKENS.items()]
        (self.work / "tokens.csv").write_text("\n".join(lines) + "\n")

    def start_programs(self):
        work, certs = self.work, self.work / "certs"
        self.start(
            self.programs / "strata-storage", "serve", f"--data-dir={work}/store",
            f"--listen-client-urls=https://127.0.0.1:{self.store}",
            f"--listen-metrics-urls=http://127.0.0.1:{self.store_metrics}",
            f"--cert-file={certs}/serving.crt", f"--key-file={certs}/serving.key", f"--trusted-ca-file={self.ca}",
        )
        self.start(
            self.programs / "strata-apiserver", "--bind-address=127.0.0.1", f"--secure-port={self.server}",
            f"--tls-cert-file={certs}/serving.crt", f"--tls-private-key-file={certs}/serving.key",
            f"--client-ca-file={self.ca}", f"--token-auth-file={work}/tokens.csv", f"--cache-dir={work}/cache",
            "--authorization-mode=RBAC", f"--rbac-file={work}/rbac.yaml", f"--audit-log-path={work}/audit.log",
            f"--audit-policy-file={work}/policy.yaml",
            f"--etcd-servers=https://127.0.0.1:{self.store}", f"--etcd-cafile={self.ca}",
            f"--etcd-certfile={certs}/admin.crt", f"--etcd-keyfile={certs}/admin.key",
        )
        self.wait("readiness", lambda: self.ask("/readyz")[0] == 200)

    def ask(self, path, token=None):
        """Code and body; without a token as a user with a client certificate."""
        context = self.anybody if token else self.admin
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"https://127.0.0.1:{self.server}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def texts(self):
        """What the server and the store show."""
        yield self.ask("/metrics", "reader")[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{self.store_metrics}/metrics", timeout=10) as response:
            yield response.read().decode()

    def make_requests(self):
        group = "/apis/image.openshift.io/v1"
        for path in ("/namespaces/demo/imagestreams/nodejs/layers", "/imagestreams", "/namespaces/demo/imagestreams",
                     "/images", "/namespaces/demo/imagestreams/none/layers"):
            self.ask(group + path, "admin")
            self.ask(group + path)
        self.ask(group + "/imagestreams?watch=1&timeoutSeconds=1", "admin")

    def scrape_config(self, monitor, target):
        endpoint = monitor["spec"]["endpoints"][0]
        config = {
            "job_name": monitor["metadata"]["name"],
            "scrape_interval": "1s",
            "scheme": endpoint["scheme"],
            "metrics_path": endpoint["path"],
            "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
            "relabel_configs": snake(endpoint.get("relabelings", [])),
            "metric_relabel_configs": snake(endpoint.get("metricRelabelings", [])),
        }
        if "tlsConfig" in endpoint:
            config["tls_config"] = {"ca_file": str(self.ca), "server_name": endpoint["tlsConfig"]["serverName"]}
        if "authorization" in endpoint:
            config["authorization"] = {"credentials": "reader"}
        return config

    def start_prometheus(self, groups):
        monitors = yaml.safe_load_all((self.component / "servicemonitors.yaml").read_text())
        targets = {"strata-apiserver": self.server, "strata-etcd": self.store_metrics}
        scrapes = [self.scrape_config(one, targets[one["metadata"]["name"]]) for one in monitors]
        whole = {**scrapes[0], "job_name": "with-objective", "relabel_configs": [], "metric_relabel_configs": []}
        config = {
            "global": {"evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [*scrapes, whole],
        }
        (self.work / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
        (self.work / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.start(
            "prometheus", f"--config.file={self.work}/prometheus.yml", f"--storage.tsdb.path={self.work}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.prometheus}", "--log.level=warn",
        )
        self.wait("Prometheus, and both jobs up", lambda: len(self.query("up == 1")) == 3)

    def query(self, expression):
        """The series that it gives; an expression that can't be evaluated is an error."""
        url = f"http://127.0.0.1:{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]["result"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                raise OSError("not ready") from error
            raise SystemExit(f"scrape: {expression}: {error.read().decode()}") from error
