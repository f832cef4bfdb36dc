#!/usr/bin/env python3
"""Replays every recorded request against strata-apiserver on a real backend, and compares the answers.

    runner.py --apiserver=PATH --storage=PATH --load=PATH --backend=etcd|strata-storage|data-dir [--etcd=PATH]
              [--recorded=DIRECTORY]

The backend holds the recorded records at their recorded revisions, so bodies have to be equal to the byte,
resourceVersion included. What differs on purpose stands in the directory's deviations.py with what we answer and why, and
what the server doesn't do yet. Anything else that differs is a failure. README.md says what isn't comparable.
"""

import argparse
import base64
import collections
import contextlib
import dataclasses
import gzip
import hashlib
import http.client
import importlib.util
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml

from judging import YamlLoader

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PATIENCE_S = 60
COMPARED_HEADERS = ("Content-Type", "Cache-Control", "X-Content-Type-Options", "Retry-After", "Vary", "Content-Encoding",
                    "Etag", "Allow", "WWW-Authenticate", "Warning")

# Recorded at kube-apiserver, in front of the server: replaying them needs one.
THROUGH_AGGREGATOR = "kube-apiserver(aggregator)"

TOKENS = """\
admintoken,admin,1,"system:masters"
pullertoken,puller,2,devs
clusterpullertoken,clusterpuller,3,devs
nobodytoken,nobody,4,devs
"""
RBAC = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: puller, namespace: golden-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: puller}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: clusterpuller}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: clusterpuller}]
"""


RECORDED = HERE  # --recorded


class Trouble(Exception):
    """The run itself failed: nothing can be said about the server."""


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Process:
    """A program of ours with its output in a file; ended with SIGTERM when the block ends."""

    def __init__(self, work, name, command):
        self.name = name
        self.log = work / f"{name}.log"
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """The exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def tail(self):
        return f"--- the end of {self.name}'s output:\n" + self.log.read_text(errors="replace")[-4000:]

    def wait_until(self, what, is_true):
        deadline = time.monotonic() + PATIENCE_S
        while not is_true():
            if self.process.poll() is not None:
                raise Trouble(f"{self.name} ended with {self.process.returncode} before {what}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise Trouble(f"{self.name}: not {what} in {PATIENCE_S} s\n{self.tail()}")
            time.sleep(0.05)


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def is_healthy(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


# ---------------------------------------------------------------------------------------------------------- backends


def start_etcd(args, work):
    if not args.etcd or not os.access(args.etcd, os.X_OK):
        raise Trouble(f"there is no etcd at {args.etcd or '(none given)'}: apt-get install etcd-server, or give --etcd=PATH")
    client, peer = free_ports(2)
    url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    process = Process(work, "etcd", [
        args.etcd, f"--data-dir={work / 'etcd'}", f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}", f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}", "--log-level=error", "--logger=zap"])
    process.wait_until("healthy", lambda: is_healthy(f"{url}/health"))
    return process, url


def start_storage(args, work):
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    process = Process(work, "strata-storage",
                      [args.storage, "serve", f"--data-dir={work / 'store'}", f"--listen-client-urls={url}"])
    process.wait_until("listening", lambda: accepts(port))
    return process, url


def load_records(args, url):
    with gzip.open(RECORDED / "etcd.jsonl.gz", "rt") as file:
        records = sorted(map(json.loads, file), key=lambda record: record["modRevision"])
    for record in records:
        if " " in record["key"]:
            raise Trouble(f"{record['key']!r} has a space, which the loader's lines can't carry")
    lines = "".join(f"{record['modRevision']} {record['key']} {record['value']}\n" for record in records)
    begin = time.monotonic()
    done = subprocess.run([str(args.load), url], input=lines, text=True, capture_output=True, timeout=240)
    if done.returncode != 0:
        raise Trouble(f"loading the records: {done.stderr.strip()}")
    print(f"loaded {done.stdout.strip()} in {time.monotonic() - begin:.1f} s")


@contextlib.contextmanager
def backend(args, work):
    """The flags with which strata-apiserver reads the recorded records."""
    process, url = start_etcd(args, work) if args.backend == "etcd" else start_storage(args, work)
    with process:
        load_records(args, url)
        if args.backend == "data-dir":
            if process.stop() != 0:
                raise Trouble(f"strata-storage ended with {process.process.returncode}\n{process.tail()}")
            yield [f"--data-dir={work / 'store'}"]
        else:
            yield [f"--etcd-servers={url}"]


# -------------------------------------------------------------------------------------------------------- identities


def openssl(directory, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, text=True)
    if done.returncode != 0:
        raise Trouble(f"openssl {arguments[0]}: {done.stderr.strip()}")


def make_client_certificate(directory, name, subject, authority):
    openssl(directory, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
    (directory / f"{name}.ext").write_text("extendedKeyUsage=clientAuth\n")
    openssl(directory, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey",
            f"{authority}.key", "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def make_identities(directory):
    subprocess.run([ROOT / "certs" / "make-dev-certs.sh", directory], check=True, stdout=subprocess.DEVNULL)
    make_client_certificate(directory, "plain-user", f"/CN={deviations.PLAIN_USER}", "ca")
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-keyout", "front-proxy-ca.key", "-subj", "/CN=front-proxy-ca", "-out", "front-proxy-ca.crt")
    make_client_certificate(directory, "front-proxy-client", "/CN=front-proxy-client", "front-proxy-ca")
    for name, text in (("tokens.csv", TOKENS), ("rbac.yaml", RBAC)):
        own = RECORDED / name
        (directory / name).write_text(own.read_text() if own.exists() else text)


# ------------------------------------------------------------------------------------------------------------ replay


@dataclasses.dataclass
class Answer:
    status: int
    headers: list  # (name, value) in order
    body: bytes

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        return next(iter(self.values(name)), None)


class Server:
    """A strata-apiserver and a kept connection to it for each client certificate."""

    def __init__(self, args, work, name, storage_flags):
        self.certs = work / "certs"
        (self.port,) = free_ports(1)
        self.connections = {}
        self.process = Process(work, name, [
            args.apiserver, *storage_flags, "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={self.certs}/serving.crt", f"--tls-private-key-file={self.certs}/serving.key",
            f"--client-ca-file={self.certs}/ca.crt", f"--requestheader-client-ca-file={self.certs}/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client", f"--token-auth-file={self.certs}/tokens.csv",
            "--authorization-mode=RBAC", f"--rbac-file={self.certs}/rbac.yaml", *deviations.FLAGS])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections.values():
            connection.close()
        self.process.stop()

    def connection(self, certificate):
        if certificate not in self.connections:
            context = ssl.create_default_context(cafile=self.certs / "ca.crt")
            if certificate:
                context.load_cert_chain(self.certs / f"{certificate}.crt", self.certs / f"{certificate}.key")
            self.connections[certificate] = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE_S,
                                                                        context=context)
        return self.connections[certificate]

    def ask(self, request):
        kind, _, identity = (request["auth"] or "").strip().partition(" ")
        connection = self.connection(identity if kind == "cert" else "")
        body = (request.get("body") or "").encode()
        connection.putrequest(request["method"], request["path"], skip_accept_encoding=True)
        for name, value in request["headers"].items():
            connection.putheader(name, value)
        if kind == "token":
            connection.putheader("Authorization", f"Bearer {identity}")
        if body:
            connection.putheader("Content-Length", str(len(body)))
        try:
            connection.endheaders(body or None)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        except BaseException:
            connection.close()  # the next case gets a new one
            raise

    def get(self, path):
        return self.ask({"method": "GET", "path": path, "auth": "token admintoken", "headers": {}})

    def is_ready(self):
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False


# ----------------------------------------------------------------------------------------------------------- compare


def short(data, at=0):
    begin = max(0, at - 60)
    return ("…" if begin else "") + repr(data[begin:at + 160])[1:] + ("…" if at + 160 < len(data) else "")


def difference(want, got):
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    return f"body differs at byte {at} of {len(want)} (got {len(got)})\n  want {short(want, at)}\n  got  {short(got, at)}"


def recorded_body(case):
    name = case["response"].get("file")
    if not name:
        return None
    data = (RECORDED / name).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


def compare_headers(case, answer, left_out=()):
    recorded = Answer(0, case["response"]["headers"], b"")
    problems = []
    for name in COMPARED_HEADERS:
        if name.lower() in left_out:
            continue
        if recorded.values(name) != answer.values(name):
            problems.append(f"header {name}: want {recorded.values(name)}, got {answer.values(name)}")
    # A case that was made up of a few recorded headers has none.
    audit_id = answer.values("Audit-Id")
    sent = case["request"]["headers"].get("Audit-Id")
    if len(audit_id) != 1 or (sent and audit_id != [sent]) or not re.fullmatch(r"[!-~]{1,64}", audit_id[0]):
        problems.append(f"header Audit-Id: want {sent or 'one'}, got {audit_id}")
    if len(answer.values("Date")) != 1:
        problems.append(f"header Date: got {answer.values('Date')}")
    if case["request"]["method"] == "HEAD" and recorded.values("Content-Length") != answer.values("Content-Length"):
        problems.append(f"Content-Length: want {recorded.values('Content-Length')}, got {answer.values('Content-Length')}")
    return problems


AGE = re.compile(rb"(Less than a second|About an? \w+|\d+ (second|minute|hour|day|week|month|year)s?) ago")


def without_ages(body):
    """A table's cells say how long ago something was."""
    return AGE.sub(b"X ago", body) if b"Table" in body[:20] or b"kind: Table" in body else body


def compare_body(case, answer):
    recorded = case["response"]
    want, body = recorded_body(case), without_ages(answer.body)
    want = want and without_ages(want)
    is_yaml = dict(recorded["headers"]).get("Content-Type") == "application/yaml"
    if "decodedSha256" in recorded:
        if answer.header("Content-Encoding") != "gzip":
            return [f"body isn't compressed: {short(body)}"]
        body = gzip.decompress(body)
        if hashlib.sha256(body).hexdigest() != recorded["decodedSha256"]:
            return [f"decoded body: want {recorded['decodedBytes']} bytes, sha256 {recorded['decodedSha256']}, got "
                    f"{len(body)}: {short(body)}"]
        return []
    if want is None and is_yaml:
        # Its hash is of an order of keys that isn't ours: it has to be what the recorded JSON of the stream is.
        want = deviations.recorded_json_of_stream(case["case"])
        return [] if yaml.load(body, YamlLoader) == want else ["YAML isn't what the stream's JSON is"]
    if want is None:
        if hashlib.sha256(body).hexdigest() != recorded["sha256"]:
            return [f"body: want {recorded['bytes']} bytes, sha256 {recorded['sha256']}, got {len(body)}: {short(body)}"]
        return []
    if want == body:
        return []
    if is_yaml and yaml.load(want, YamlLoader) == yaml.load(body, YamlLoader):
        return []
    return [difference(want, body)]


def compare(case, answer):
    problems = []
    if answer.status != case["response"]["status"]:
        problems.append(f"status: want {case['response']['status']}, got {answer.status}")
    return problems + compare_headers(case, answer) + compare_body(case, answer)


def judge(case, answer):
    """("equal" | "deviates" | "later" | "failed", why or what differs)"""
    name = case["case"]
    deviation = deviations.of(name)
    if deviation:
        problems = deviation.check(case, answer)
        # The headers must be those of the reference all the same, but for the ones that the deviation is about.
        if answer.status == case["response"]["status"]:
            problems += compare_headers(case, answer, deviation.own_headers)
        return ("failed", "\n".join(problems)) if problems else ("deviates", deviation.why)
    problems = compare(case, answer)
    if not problems:
        return ("equal", "though it is for later: take it out there" if deviations.later(name) else "")
    if deviations.later(name):
        return ("later", deviations.later(name))
    return ("failed", "\n".join(problems))


def replay_unsynced(args, work, case):
    """A server that can't list: index-not-synced."""
    (closed,) = free_ports(1)
    with Server(args, work, "apiserver-without-etcd", [f"--etcd-servers=http://127.0.0.1:{closed}"]) as server:
        server.process.wait_until("listening", lambda: accepts(server.port))
        if server.is_ready():
            return ("failed", "/readyz is 200 without a backend")
        return judge(case, server.ask(case["request"]))


def replay(args, work, cases):
    verdicts = {}
    with backend(args, work) as flags, Server(args, work, "apiserver", flags) as server:
        server.process.wait_until("ready", server.is_ready)
        for case in cases:
            if case.get("deterministic") is False:
                verdicts[case["case"]] = ("later", "the reference answers it at random: " + case["why"])
            elif case.get("server") == THROUGH_AGGREGATOR or case.get("via") == "aggregator":
                verdicts[case["case"]] = ("later", "recorded at kube-apiserver, in front of the server")
            elif case["case"] == "index-not-synced":
                verdicts[case["case"]] = replay_unsynced(args, work, case)
            else:
                try:
                    verdicts[case["case"]] = judge(case, server.ask(case["request"]))
                except (OSError, http.client.HTTPException) as error:
                    verdicts[case["case"]] = ("failed", f"no answer: {error!r}")
        if server.process.process.poll() is not None:
            raise Trouble(f"the server ended with {server.process.process.returncode}\n{server.process.tail()}")
        for connection in server.connections.values():
            connection.close()
        if server.process.stop() != 0:
            raise Trouble(f"the server ended with {server.process.process.returncode}\n{server.process.tail()}")
    return verdicts


def report(verdicts):
    by_verdict = collections.defaultdict(lambda: collections.defaultdict(list))
    for name, (verdict, why) in verdicts.items():
        by_verdict[verdict][why].append(name)
    for why, names in by_verdict["failed"].items():
        print(f"FAILED {', '.join(names)}\n  " + why.replace("\n", "\n  "))
    count = {verdict: sum(map(len, groups.values())) for verdict, groups in by_verdict.items()}
    for verdict, title in (("equal", "equal"), ("deviates", "differs on purpose"), ("later", "not served yet"),
                           ("failed", "failed")):
        print(f"{title:20} {count.get(verdict, 0):4}")
        if verdict != "failed":
            for why, names in by_verdict[verdict].items():
                if why:
                    print(f"    {len(names):3}  {why}: {', '.join(names)}")
    if count.get("failed", 0) or count.get("equal", 0) < deviations.LEAST_EQUAL:
        print(f"FAILED: {count.get('failed', 0)} differ, {count.get('equal', 0)} of at least {deviations.LEAST_EQUAL} are equal")
        return 1
    return 0


def use_recorded(directory):
    """What was recorded there, and what is known of it."""
    global RECORDED, deviations
    RECORDED = directory.resolve()
    spec = importlib.util.spec_from_file_location("deviations", RECORDED / "deviations.py")
    deviations = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(deviations)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apiserver", required=True, type=pathlib.Path)
    parser.add_argument("--storage", required=True, type=pathlib.Path)
    parser.add_argument("--load", required=True, type=pathlib.Path, help="strata-golden-load")
    parser.add_argument("--backend", required=True, choices=("etcd", "strata-storage", "data-dir"))
    parser.add_argument("--etcd", default="/usr/bin/etcd", help="for --backend=etcd")
    parser.add_argument("--case", action="append", help="only this one; may be repeated")
    parser.add_argument("--keep", action="store_true", help="leave the directory with logs and answers")
    parser.add_argument("--recorded", default=HERE, type=pathlib.Path, help="where the manifest and the bodies are")
    args = parser.parse_args()
    use_recorded(args.recorded)

    with open(RECORDED / "manifest.json") as file:
        cases = json.load(file)["cases"]
    names = [case["case"] for case in cases]
    unknown = [name for name in [*deviations.names(), *(args.case or [])] if name not in names]
    if len(set(names)) != len(names) or unknown:
        raise Trouble(f"cases that aren't in the manifest, or twice: {unknown}")
    if args.case:
        cases = [case for case in cases if case["case"] in args.case]

    work = pathlib.Path(tempfile.mkdtemp(prefix="strata-golden-"))
    try:
        make_identities(work / "certs")
        verdicts = replay(args, work, cases)
    finally:
        if args.keep:
            print(f"left: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    return report(verdicts)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as trouble:
        print(f"runner.py: {trouble}", file=sys.stderr)
        sys.exit(1)
