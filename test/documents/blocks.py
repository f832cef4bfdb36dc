#!/usr/bin/env python3
"""The documents' shell blocks, run as they stand.

  blocks.py marks TREE                every block says where it is run
  blocks.py host TREE BIN PEERS       runs those of a host in order, where the package's units, user and paths are

A block is fenced as sh, and the line before it is its mark: <!-- run: host -->, <!-- run: ci --> (.ci/steps),
<!-- run: cluster --> (test/cluster), with what isn't the document's own behind a semicolon, or <!-- not run: WHY -->.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

DOCUMENTS = ["README.md", "docs/adopting.md", "docs/operations.md", "deploy/README.md", "certs/README.md"]
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```sh\n(?P<text>.*?)^```$", re.M | re.S)
MARK = re.compile(r"run: (host|ci|cluster(; \S.*)?)|not run: \S.*")


def blocks(tree):
    for document in DOCUMENTS:
        text = (tree / document).read_text()
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("text")) + 1
            yield f"{document}:{line}", match["mark"] or "", match["text"]


def marks(tree):
    wrong = []
    steps = (tree / ".ci/steps").read_text()
    for place, mark, text in blocks(tree):
        if not MARK.fullmatch(mark):
            wrong.append(f"{place}: no mark says where it is run")
        if mark == "run: ci":
            wrong += [f"{place}: .ci/steps doesn't run {line}" for line in text.splitlines()
                      if line.split("#")[0].strip() not in steps]
    for document in DOCUMENTS:
        lines = (tree / document).read_text().splitlines()
        wrong += [f"{document}:{number}: a command in an indented block, which nothing runs: fence it as sh"
                  for number, line in enumerate(lines, 1)
                  if re.match(r"    (\./|etcdctl|strata-|systemctl|kubectl|curl|openssl)", line)]
    sys.exit("\n".join(wrong) or None)


# Starts and stops the package's units: what systemd does of them that these blocks can see.
SYSTEMCTL = r"""#!/usr/bin/env bash
set -euo pipefail
unit=$TREE/deploy/systemd/${2%.service}.service run=$STATE/${2%.service}
setting() { sed -n "s/^$1=//p" "$unit"; }
case $1 in
  start)
    install -d -o "$(setting User)" -g "$(setting Group)" "/var/lib/$(setting StateDirectory)"
    install -d -o "$(setting User)" -g "$(setting Group)" -m "$(setting RuntimeDirectoryMode)" "/run/$(setting RuntimeDirectory)"
    environment=$(setting EnvironmentFile)
    [[ -z $environment ]] || source "$TREE/deploy/systemd/$(basename "$environment" | sed 's/$/.default/')"
    read -r -a command <<<"$(setting ExecStart | sed "s|\$STRATA_STORAGE_FLAGS|${STRATA_STORAGE_FLAGS-}|")"
    umask "$(setting UMask)"
    setpriv --reuid "$(setting User)" --regid "$(setting Group)" --init-groups \
      "$BIN/$(basename "${command[0]}")" "${command[@]:1}" >>"$run.log" 2>&1 </dev/null &
    echo $! >"$run.pid"
    ;;
  stop)
    kill "$(cat "$run.pid")"
    while kill -0 "$(cat "$run.pid")" 2>/dev/null; do sleep 0.1; done
    rm -r "/run/$(setting RuntimeDirectory)"
    ;;
  *) echo "systemctl: no $1 here" >&2; exit 1 ;;
esac
"""


class Host:
    """Namespaces of this process's own: its network, what is below /var/lib and /run, files of /etc that are replaced."""

    def __init__(self, tree, binaries, peers, work):
        self.work = work
        self.run("ip", "link", "set", "lo", "up")
        for folder in ("/var/lib", "/run"):
            self.run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder)
        self.replace("/etc/passwd", "strata:x:64999:64999::/var/lib/strata:/usr/sbin/nologin\n")
        self.replace("/etc/group", "strata:x:64999:\n")
        self.replace("/etc/hosts", "127.0.0.2 etcd\n")
        (work / "bin").mkdir()
        systemctl = work / "bin/systemctl"
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)
        for name in ("certs", "deploy"):
            shutil.copytree(tree / name, work / name)
        self.environment = os.environ | {
            "PATH": f"{work}/bin:{binaries}:{peers}:{os.environ['PATH']}", "TREE": str(tree), "BIN": str(binaries),
            "STATE": str(work)}
        for name in ("http_proxy", "https_proxy"):
            self.environment.pop(name, None)

    def run(self, *command):
        subprocess.run(command, check=True)

    def replace(self, path, added):
        copy = self.work / path.replace("/", "_")
        copy.write_text(pathlib.Path(path).read_text() + added)
        copy.chmod(0o644)
        self.run("mount", "--bind", str(copy), path)

    def shell(self, text):
        """The exit status, and what was printed."""
        printed = self.work / "printed"
        with open(printed, "w") as file:
            try:
                done = subprocess.run(["bash", "-euxo", "pipefail", "-c", text], cwd=self.work, env=self.environment,
                                      stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, timeout=60)
                status = done.returncode
            except subprocess.TimeoutExpired:
                status = "nothing, after a minute"
        return status, printed.read_text(errors="replace")

    def check(self, place, text):
        status, printed = self.shell(text)
        if status != 0:
            logs = "".join(f"{log.name}: {log.read_text()[-2000:]}" for log in self.work.glob("*.log"))
            sys.exit(f"{place}: ended with {status}:\n{printed}{logs}")

    def eventually(self, what, text):
        end = time.monotonic() + 30
        while (last := self.shell(text))[0] != 0:
            if time.monotonic() > end:
                sys.exit(f"{what}: {last[1]}")
            time.sleep(0.2)

    def start_etcd(self, peers):
        """As https://etcd:2379, on an address of its own; whose CA the whole host trusts."""
        self.check("certificates", """
          openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout etcd-ca.key -out etcd-ca.crt \\
            -subj /CN=etcd-ca -days 2
          openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout etcd.key -subj /CN=etcd -out etcd.csr
          printf 'subjectAltName=DNS:etcd\\n' >etcd.ext
          openssl x509 -req -in etcd.csr -CA etcd-ca.crt -CAkey etcd-ca.key -CAcreateserial -days 2 -out etcd.crt \\
            -extfile etcd.ext""")
        self.replace("/etc/ssl/certs/ca-certificates.crt", (self.work / "etcd-ca.crt").read_text())
        return subprocess.Popen(
            [peers / "etcd", f"--data-dir={self.work}/etcd", "--listen-client-urls=https://127.0.0.2:2379",
             "--advertise-client-urls=https://etcd:2379", "--listen-peer-urls=http://127.0.0.2:2380",
             "--initial-advertise-peer-urls=http://127.0.0.2:2380", "--initial-cluster=default=http://127.0.0.2:2380",
             f"--cert-file={self.work}/etcd.crt", f"--key-file={self.work}/etcd.key"],
            stdout=open(self.work / "etcd.log", "w"), stderr=subprocess.STDOUT)


def host(tree, binaries, peers):
    folder = os.environ.get("STRATA_DOCUMENTS")
    if folder is None:
        # Made out here: what is mounted from it is gone with the namespaces when it is removed.
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            # The shell is there to wait for what loses its parent, as an init does.
            command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                       "bash", "-c", '"$@"; exit', "_", sys.executable, "-B"]
            sys.exit(subprocess.run(command + sys.argv, env=os.environ | {"STRATA_DOCUMENTS": folder}).returncode)
    there = Host(tree, binaries, peers, pathlib.Path(folder))
    there.start_etcd(peers)
    there.eventually("etcd", "etcdctl --endpoints=https://etcd:2379 endpoint health")
    ready = "curl --fail --silent http://127.0.0.1:2381/readyz"
    socket = "unix:///run/strata-storage/storage.sock"
    records = f"strata-storage get is demo/nodejs --etcd-servers={socket}"
    there.check("start", "systemctl start strata-storage")
    there.eventually("the store", ready)
    for store in (socket, "https://etcd:2379"):
        there.check("load", f"strata-storage load --etcd-servers={store} deploy/samples")
    ran = 0
    for place, mark, text in blocks(tree):
        if mark == "run: host":
            there.check(place, text)
            there.eventually(f"{place}: the store serves", f"{ready} && {records}")
            ran += 1
    there.check("stop", "systemctl stop strata-storage")
    print(f"{ran} blocks")
    sys.exit(0 if ran else "no block is marked as a host's")


if __name__ == "__main__":
    {"marks": marks, "host": host}[sys.argv[1]](*(pathlib.Path(argument).resolve() for argument in sys.argv[2:]))
