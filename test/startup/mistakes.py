#!/usr/bin/env python3
"""Mistakes of those who start strata-apiserver and strata-storage, and what each must be told.

usage: mistakes.py DIRECTORY_OF_THE_PROGRAMS

Each row is a command line, the exit code (2: the command line is wrong by itself, 1: anything else), and what the one
line on stderr that begins with the program's name must say: the flag, the file, what is wrong. T/ in a row is a
directory with the files that `make_files` makes.
"""

import pathlib
import socket
import subprocess
import sys
import tempfile

SERVER = ["--bind-address=127.0.0.1", "--secure-port=0", "--cert-dir=T/certs"]
STORE = SERVER + ["--data-dir=T/made"]
PAIR = ["--tls-cert-file=T/cert.pem", "--tls-private-key-file=T/key.pem"]

# Arguments, exit code, what must be said.
APISERVER = [
    ([], 2, ["one of --etcd-servers and --data-dir is needed"]),
    (["--datadir=T/made"], 2, ["--datadir: unknown flag; did you mean --data-dir?"]),
    (["-data-dir=T/made"], 2, ["-data-dir: unknown flag; did you mean --data-dir?"]),
    (["--etcd-server=http://127.0.0.1:1"], 2, ["--etcd-server: unknown flag; did you mean --etcd-servers?"]),
    (STORE + ["--frobnicate"], 2, ["--frobnicate: unknown flag; see strata-apiserver --help"]),
    (STORE + ["serve"], 2, ["not expected: serve"]),
    (["--data-dir"], 2, ["--data-dir: a value is missing"]),
    (["--data-dir=T/made", "--etcd-servers=http://127.0.0.1:1"], 2, ["--etcd-servers and --data-dir exclude each other"]),
    (STORE + ["--source=kube"], 2, ["--source=kube and --data-dir exclude each other"]),
    (SERVER + ["--source=kube", "--etcd-servers=http://127.0.0.1:1"], 2, ["--source=kube and --etcd-servers exclude each other"]),
    (STORE + ["--source=zookeeper"], 2, ["--source", "zookeeper"]),
    (STORE + ["--source-kubeconfig=T/absent"], 2, ["--source-kubeconfig has no effect without --source=kube"]),
    (SERVER + ["--source=kube", "--source-kubeconfig=T/absent"], 1, ["--source-kubeconfig: T/absent: No such file"]),
    (SERVER + ["--source=kube", "--source-kubeconfig=T/text"], 1, ["--source-kubeconfig: T/text"]),
    (SERVER + ["--source=kube"], 1, ["--source=kube reads the records at an API server", "--source-kubeconfig"]),
    (SERVER + ["--source=kube", "--source-absent-ttl=2s"], 2, ["--source-absent-ttl is at most 1s"]),
    (SERVER + ["--source=kube", "--source-silence-time=1s"], 2, ["--source-silence-time is at least --source-probe-interval"]),
    (STORE + ["--secure-port=https"], 2, ["--secure-port", "https"]),
    (STORE + ["--secure-port=70000"], 2, ["--secure-port", "70000"]),
    (STORE + ["--request-timeout=soon"], 2, ["--request-timeout", 'invalid duration "soon"']),
    (STORE + ["--request-timeout=1d"], 2, ["--request-timeout", 'unknown unit "d"']),
    (STORE + ["--idle-timeout=-1s"], 2, ["--idle-timeout", "-1s is negative"]),
    (STORE + ["--request-timeout=0"], 2, ["--request-timeout", "longer than nothing"]),
    (STORE + ["--anonymous-auth", "false"], 2, ["not expected: false", "--flag=VALUE"]),
    (STORE + ["--anonymous-auth=perhaps"], 2, ["--anonymous-auth", "perhaps"]),
    (STORE + ["--goaway-chance=1"], 2, ["--goaway-chance"]),
    (STORE + ["--io-threads=-1"], 2, ["--io-threads"]),
    (STORE + ["--list-page-size=0"], 2, ["--list-page-size"]),
    (STORE + ["--max-requests-inflight=many"], 2, ["--max-requests-inflight", "many"]),
    (STORE + ["-v=loud"], 2, ["--v: loud isn't a whole number"]),
    (STORE + ["--log-format=xml"], 2, ["--log-format", "xml"]),
    (STORE + ["--profiling=true"], 2, ["--profiling can't be set here"]),
    (STORE + ["--bind-address=localhost"], 1, ["--bind-address", "localhost: not an IP address"]),
    (STORE + ["--secure-port=TAKEN"], 1, ["--secure-port", "127.0.0.1:TAKEN", "Address already in use"]),
    (SERVER + ["--data-dir=T/text/store"], 1, ["--data-dir: ", "T/text"]),
    (STORE + ["--cache-dir=T/cache"], 2, ["--cache-dir has no effect with --data-dir"]),
    (SERVER + ["--etcd-servers=http://127.0.0.1:1", "--cache-dir=T/text"], 1, ["--cache-dir: T/text is not a directory"]),
    (SERVER + ["--etcd-servers=http://127.0.0.1:1", "--cache-dir=T/cache", "--serve=layers"], 2, ["--cache-dir has no effect with --serve=layers"]),
    # Certificates.
    (STORE + ["--tls-cert-file=T/cert.pem"], 2, ["--tls-cert-file and --tls-private-key-file go together"]),
    (STORE + PAIR + ["--tls-cert-file=T/absent"], 1, ["--tls-cert-file: T/absent: No such file"]),
    (STORE + PAIR + ["--tls-private-key-file=T/absent"], 1, ["--tls-private-key-file: T/absent: No such file"]),
    (STORE + PAIR + ["--tls-cert-file=T/directory"], 1, ["--tls-cert-file: T/directory: Is a directory"]),
    (STORE + PAIR + ["--tls-cert-file=T/loop"], 1, ["--tls-cert-file: T/loop: Too many levels of symbolic links"]),
    (STORE + PAIR + ["--tls-cert-file=T/empty"], 1, ["--tls-cert-file: T/empty: no PEM certificate in it"]),
    (STORE + PAIR + ["--tls-cert-file=T/cert.der"], 1, ["--tls-cert-file: T/cert.der: no PEM certificate in it"]),
    (STORE + PAIR + ["--tls-cert-file=T/key.pem"], 1, ["--tls-cert-file: T/key.pem: no PEM certificate in it"]),
    (STORE + PAIR + ["--tls-private-key-file=T/text"], 1, ["--tls-private-key-file: T/text: no PEM private key in it"]),
    (STORE + PAIR + ["--tls-private-key-file=T/other.pem"], 1, ["--tls-private-key-file: T/other.pem: it is not the key of the certificate in", "T/cert.pem"]),
    (["--data-dir=T/made", "--cert-dir=T/text"], 1, ["--cert-dir: T/text"]),
    (STORE + ["--tls-sni-cert-key=T/cert.pem"], 2, ["--tls-sni-cert-key: CERTIFICATE,KEY"]),
    (STORE + ["--tls-sni-cert-key=T/cert.pem,T/absent"], 1, ["--tls-sni-cert-key: T/absent: No such file"]),
    (STORE + ["--tls-min-version=1.3"], 2, ["--tls-min-version", "VersionTLS13"]),
    (STORE + ["--tls-cipher-suites=RC4"], 1, ["--tls-cipher-suites: cipher suite RC4 is not supported"]),
    # The backend.
    (SERVER + ["--etcd-servers=127.0.0.1:2379"], 1, ['--etcd-servers: "127.0.0.1:2379" isn\'t a URL']),
    (SERVER + ["--etcd-servers=unix:///" + "a" * 107], 1, ["--etcd-servers: ", "a socket's path has at most 107 bytes"]),
    (SERVER + ["--etcd-servers=http://127.0.0.1:1", "--etcd-certfile=T/cert.pem"], 2, ["--etcd-certfile and --etcd-keyfile go together"]),
    (SERVER + ["--etcd-servers=http://127.0.0.1:1", "--etcd-username=root"], 2, ["--etcd-username and --etcd-password-file go together"]),
    (SERVER + ["--etcd-servers=http://127.0.0.1:1", "--etcd-username=root", "--etcd-password-file=T/absent"], 2, ["--etcd-password-file: T/absent: No such file"]),
    (SERVER + ["--etcd-servers=https://127.0.0.1:1", "--etcd-cafile=T/absent"], 1, ["--etcd-cafile: ", "T/absent"]),
    # Who may do what.
    (STORE + ["--client-ca-file=T/absent"], 1, ["--client-ca-file", "T/absent: No such file"]),
    (STORE + ["--client-ca-file=T/text"], 1, ["--client-ca-file", "T/text: no PEM certificate in it"]),
    (STORE + ["--requestheader-client-ca-file=T/empty"], 1, ["--requestheader-client-ca-file", "T/empty: no PEM certificate in it"]),
    (STORE + ["--requestheader-allowed-names=proxy"], 2, ["--requestheader-client-ca-file"]),
    (STORE + ["--token-auth-file=T/absent"], 1, ["--token-auth-file: T/absent: No such file"]),
    (STORE + ["--token-auth-file=T/tokens.csv"], 1, ["--token-auth-file: ", "T/tokens.csv", "at least 3 columns", "found 2 in line 2"]),
    (STORE + ["--token-auth-file=T/quotes.csv"], 1, ["--token-auth-file: T/quotes.csv: parse error on line 1, column 4"]),
    (STORE + ["--service-account-key-file=T/cert.pem"], 2, ["--service-account-issuer goes together with"]),
    (STORE + ["--service-account-issuer=i", "--service-account-key-file=T/text"], 1, ["--service-account-key-file: T/text: no public key"]),
    (STORE + ["--service-account-issuer=i", "--service-account-jwks-file=T/text"], 1, ["--service-account-jwks-file: T/text: a JSON object with a list `keys` is expected"]),
    (STORE + ["--rbac-file=T/absent"], 1, ["--rbac-file: T/absent: No such file"]),
    (STORE + ["--rbac-file=T/rbac.yaml"], 1, ["--rbac-file: T/rbac.yaml:6: rules[0].verbs: expected a list, got a string"]),
    (STORE + ["--rbac-file=T/field.yaml"], 1, ["--rbac-file: T/field.yaml:1: unknown field \"rules[0].verb\""]),
    (STORE + ["--rbac-file=T/tab.yaml"], 1, ["--rbac-file: T/tab.yaml: line 3: ", "indented by a tab"]),
    (STORE + ["--authorization-mode=Node"], 2, ["--authorization-mode", "Node"]),
    (STORE + ["--authorization-mode=Webhook"], 1, ["--authorization-mode=Webhook", "give --kubeconfig"]),
    (STORE + ["--authorization-mode=Webhook", "--rbac-file=T/rbac.yaml"], 2, ["--rbac-file has no effect without --authorization-mode=RBAC"]),
    (STORE + ["--rbac-source=cluster"], 2, ["--rbac-source=cluster has no effect without"]),
    (STORE + ["--kubeconfig=T/absent"], 1, ["--kubeconfig: T/absent: No such file"]),
    (STORE + ["--kubeconfig=T/empty"], 1, ["--kubeconfig: T/empty: the file is empty"]),
    (STORE + ["--kubeconfig=T/tab.yaml"], 1, ["--kubeconfig: T/tab.yaml: line 3: "]),
    (STORE + ["--kubeconfig=T/insecure"], 1, ["--kubeconfig: T/insecure: cluster \"k\": specifying a root certificates file with the insecure flag"]),
    (STORE + ["--enable-secrets"], 1, ["--enable-secrets asks kube-apiserver: give --kubeconfig or --secrets-kubeconfig"]),
    (STORE + ["--enable-secrets", "--secrets-kubeconfig=T/absent"], 1, ["--secrets-kubeconfig: T/absent: No such file"]),
    (STORE + ["--enable-secrets", "--serve=layers"], 2, ["--enable-secrets has no effect with --serve=layers"]),
    (STORE + ["--secrets-kubeconfig=T/absent"], 2, ["--secrets-kubeconfig has no effect without --enable-secrets"]),
    (STORE + ["--authentication-kubeconfig=T/directory"], 1, ["--authentication-kubeconfig: T/directory: Is a directory"]),
    # The audit log and --config.
    (STORE + ["--audit-log-path=T/log"], 2, ["--audit-policy-file and --audit-log-path go together"]),
    (STORE + ["--audit-log-path=T/log", "--audit-policy-file=T/absent"], 1, ["--audit-policy-file: T/absent: No such file"]),
    (STORE + ["--audit-log-path=T/log", "--audit-policy-file=T/audit.yaml"], 1, ["--audit-policy-file: T/audit.yaml: rules[0].level: Loud is none of"]),
    (STORE + ["--audit-log-path=T/absent/log", "--audit-policy-file=T/policy.yaml"], 1, ["--audit-log-path: T/absent/log: No such file"]),
    (["--config=T/absent"], 2, ["--config: T/absent: No such file"]),
    (["--config"], 2, ["--config: the file's name is missing"]),
    (["--config=T/tab.yaml"], 2, ["--config: T/tab.yaml: line 3: "]),
    (["--config=T/nested.yaml"], 2, ["--config: T/nested.yaml: tls: a value or a list of values is expected"]),
    (["--config=T/unknown.yaml"], 2, ["--secure-prt: unknown flag; did you mean --secure-port?"]),
]

URL = "--etcd-servers=http://127.0.0.1:1"
STORAGE = [
    ([], 2, ["a command is missing: serve, load, dump, get, verify, restore, recover, prune"]),
    (["lod", "T/text"], 2, ["lod: unknown command; did you mean load?"]),
    (["--data-dir=T/store", "verify"], 2, ["--data-dir: it stands behind the command"]),
    (["serve"], 2, ["--data-dir is required"]),
    (["serve", "--datadir=T/store"], 2, ["--datadir: unknown flag; did you mean --data-dir?"]),
    (["serve", "--data-dir=T/text/store"], 1, ["--data-dir: ", "T/text"]),
    (["serve", "--data-dir=T/store", "--listen-client-urls=127.0.0.1:2379"], 1, ["--listen-client-urls: 127.0.0.1:2379 is no URL"]),
    (["serve", "--data-dir=T/store", "--listen-client-urls=http://127.0.0.1:TAKEN"], 1, ["--listen-client-urls: ", "127.0.0.1:TAKEN"]),
    (["serve", "--data-dir=T/store", "--listen-client-urls=unix://T/text"], 1, ["--listen-client-urls: unix://T/text: something that is no socket is there"]),
    (["serve", "--data-dir=T/store", "--listen-client-urls=unix:///" + "a" * 107], 1, ["--listen-client-urls: unix:///aaa", "a socket's path has at most 107 bytes"]),
    (["serve", "--data-dir=T/store", "--listen-client-urls=https://127.0.0.1:0"], 1, ["--cert-file", "--key-file"]),
    (["serve", "--data-dir=T/store", "--listen-client-urls=http://127.0.0.1:0", "--listen-metrics-urls=here"], 1, ["--listen-metrics-urls: "]),
    (["serve", "--data-dir=T/store", "--auto-compaction-retention=soon"], 2, ["--auto-compaction-retention: soon"]),
    (["serve", "--data-dir=T/store", "--auto-compaction-retention=1d"], 2, ["--auto-compaction-retention: 1d is no time"]),
    (["serve", "--data-dir=T/store", "--watch-progress-notify-interval=10000"], 2, ["--watch-progress-notify-interval", 'missing unit in duration "10000"']),
    (["serve", "--data-dir=T/store", "--watch-progress-notify-interval=1ms"], 2, ["--watch-progress-notify-interval", "1ms isn't from 100ms to 24h"]),
    (["serve", "--data-dir=T/store", "--corrupt-check-time=1d"], 2, ["--corrupt-check-time", 'unknown unit "d"']),
    (["serve", "--data-dir=T/store", "--corrupt-check-time=-1s"], 2, ["--corrupt-check-time", "-1s is negative"]),
    (["serve", "--data-dir=T/store", "--auto-compaction-mode=never"], 2, ["--auto-compaction-mode", "never"]),
    (["serve", "--data-dir=T/store", "--log-format=xml"], 2, ["--log-format", "xml"]),
    (["load", "--data-dir=T/store"], 2, ["FILE is required"]),
    (["load", "T/text"], 2, ["one of --etcd-servers and --data-dir is needed"]),
    (["load", "T/text", "--data-dir=T/store", URL], 2, ["--etcd-servers excludes --data-dir"]),
    (["load", "T/policy.yaml", "--data-dir=T/store"], 1, ["nothing was loaded: T/policy.yaml holds no Image"]),
    (["load", "T/text", "--data-dir=T/store", "--max-input-bytes=much"], 2, ["--max-input-bytes"]),
    (["load", "T/text", "--etcd-servers=127.0.0.1:2379"], 2, ['--etcd-servers: "127.0.0.1:2379" isn\'t a URL']),
    (["load", "T/text", URL], 1, ["--etcd-servers: ", "127.0.0.1:1"]),
    (["load", "T/text", URL, "--etcd-username=root"], 2, ["--etcd-username and --etcd-password-file go together"]),
    (["load", "T/text", URL, "--etcd-username=root", "--etcd-password-file=T/directory"], 2, ["--etcd-password-file: T/directory: Is a directory"]),
    (["load", "T/text", URL, "--etcd-keyfile=T/key.pem"], 2, ["--etcd-certfile and --etcd-keyfile go together"]),
    (["dump", "--etcd-servers=https://127.0.0.1:1", "--etcd-cafile=T/absent"], 2, ["--etcd-cafile: ", "T/absent"]),
    (["dump", "pods", "--data-dir=T/store"], 2, ["pods"]),
    (["dump", "--data-dir=T/absent"], 2, ["--data-dir: ", "T/absent"]),
    (["dump", "--data-dir=T/store", "-o", "xml"], 2, ["--output", "xml"]),
    (["dump", "--data-dir=T/store", "--file=T/absent/x"], 1, ["--file: T/absent/x: No such file"]),
    (["get", "image", "--data-dir=T/store"], 2, ["give a name"]),
    (["get", "is", "nodejs", "--data-dir=T/store"], 2, ["image streams are named NAMESPACE/NAME"]),
    (["get", "pod", "x", "--data-dir=T/store"], 2, ["pod is neither image, imagestream nor a key"]),
    (["get", "image", "x", "--data-dir=T/store"], 1, ["/openshift.io/images/x: no such record"]),
    (["verify"], 2, ["one of --etcd-servers and --data-dir is needed"]),
    (["verify", "--data-dir=T/text"], 2, ["--data-dir: ", "T/text"]),
    (["verify", "--data-dir=T/store", "--output=xml"], 2, ["--output", "xml"]),
    (["restore", "T/text"], 2, ["--data-dir is required"]),
    (["restore", "T/absent", "--data-dir=T/new"], 1, ["restore: ", "T/absent"]),
    (["restore", "T/text", "--data-dir=T/new"], 1, ["restore: ", "T/text"]),
    (["restore", "T/text", "--data-dir=T/directory"], 1, ["restore: ", "T/"]),
    (["prune", "T/absent", "--prefix=a"], 2, ["--keep is required"]),
    (["prune", "T/absent", "--prefix=a", "--keep=0"], 2, ["--keep"]),
    (["prune", "T/absent", "--prefix=a", "--keep=1"], 1, ["prune: ", "T/absent"]),
    (["recover", "T/text"], 2, ["T/text"]),
    (["recover", "T/directory"], 2, ["--data-dir is required"]),
    (["recover", "T/absent", "--data-dir=T/new"], 2, ["T/absent"]),
    (["recover", "T/directory", "--data-dir=T/new"], 1, ["recover: T/directory holds no store"]),
    (["recover", "T/directory", "--data-dir=T/new", "--bump-revision=1"], 2, ["recover: --mark-compacted is required"]),
]

# load says what is wrong with each file in a line of its own, and goes on.
LOAD = [
    ("T/absent", "T/absent: No such file"),
    ("T/tab.yaml", "T/tab.yaml:3: found character that cannot start any token (while scanning for the next token); the line is indented by a tab"),
    ("T/comma.json", "T/comma.json:2: did not find expected ',' or '}'"),
    ("T/twice.yaml", "T/twice.yaml:9: metadata.name: must not be empty"),
]

FILES = {
    "empty": "",
    "text": "hello\n",
    "tokens.csv": "token,user,uid\ntoken2,user2\n",
    "quotes.csv": 'a,b"c,d\n',
    "rbac.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n# a comment\n"
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n"
    "rules:\n- {apiGroups: ['*'], resources: ['*'], verbs: get}\n",
    "field.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n"
    "rules:\n- {apiGroups: ['*'], resources: ['*'], verb: [get]}\n",
    "tab.yaml": "kind: ClusterRole\nmetadata:\n\tname: a\n",
    "nested.yaml": "tls:\n  cert-file: a\n",
    "unknown.yaml": "data-dir: a\nsecure-prt: 1\n",
    "policy.yaml": "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n",
    "audit.yaml": "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Loud\n",
    "comma.json": '{"kind": "Image"\n"apiVersion": "v1"}\n',
    "twice.yaml": "apiVersion: v1\nkind: ImageStream\nmetadata: {name: a, namespace: b}\n---\n\n---\n# c\n\n"
    "apiVersion: v1\nkind: ImageStream\nmetadata: {namespace: b}\n",
    "insecure": "current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\nclusters:\n- name: k\n"
    "  cluster: {server: 'https://k', certificate-authority: cert.pem, insecure-skip-tls-verify: true}\n",
    "directory/file": "",
}


def make_files(root: pathlib.Path) -> None:
    for name, content in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
    (root / "loop").symlink_to("loop")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=root, check=True, capture_output=True)

    curve = ["-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl("req", "-x509", "-newkey", "ec", *curve, "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=x")
    openssl("genpkey", "-algorithm", "EC", *curve, "-out", "other.pem")
    openssl("x509", "-in", "cert.pem", "-outform", "der", "-out", "cert.der")


def main() -> int:
    programs = pathlib.Path(sys.argv[1])
    failures = 0
    with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
        root = pathlib.Path(folder)
        make_files(root)
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        def fill(text: str) -> str:
            return text.replace("T/", folder + "/").replace("TAKEN", str(taken.getsockname()[1]))

        def run(program: str, arguments: list[str]) -> tuple[int, str]:
            command = [str(programs / program), *map(fill, arguments)]
            try:
                done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
            except subprocess.TimeoutExpired:
                return -1, "(it started)"
            return done.returncode, done.stderr

        def report(program: str, arguments: list[str], what: str) -> None:
            nonlocal failures
            failures += 1
            print(f"{program} {' '.join(arguments)}\n  {what}")

        # A store for those who read one.
        run("strata-storage", ["load", "--data-dir=T/store", "T/policy.yaml"])
        rows = 0
        for program, table in (("strata-apiserver", APISERVER), ("strata-storage", STORAGE)):
            for arguments, code, wanted in table:
                rows += 1
                got, said = run(program, arguments)
                lines = [line for line in said.splitlines() if line.startswith(program + ": ")]
                if got != code:
                    report(program, arguments, f"exit code {got}, not {code}: {said.strip()}")
                elif len(lines) != 1:
                    report(program, arguments, f"one line must begin with {program}: {said.strip()}")
                elif missing := [text for text in map(fill, wanted) if text not in lines[0]]:
                    report(program, arguments, f"{missing} isn't said in: {lines[0]}")
        for file, wanted in LOAD:
            rows += 1
            got, said = run("strata-storage", ["load", "--data-dir=T/store", file])
            if got != 1 or fill(wanted) not in said:
                report("strata-storage", ["load", file], f"exit code {got}: {said.strip()}")
    if failures:
        print(f"{failures} of {rows} mistakes aren't told as they should be")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
