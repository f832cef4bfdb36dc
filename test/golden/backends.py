"""What strata-apiserver reads from: an etcd, strata-storage serve, or a data directory, with the recorded records."""

import contextlib
import os
import subprocess
import time

from process import Process, Trouble, accepts, free_ports, is_healthy


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


def load_records(args, url, records):
    for record in records:
        if " " in record["key"]:
            raise Trouble(f"{record['key']!r} has a space, which the loader's lines can't carry")
    lines = "".join(f"{record['modRevision']} {record['key']} {record['value']}\n" for record in records)
    begin = time.monotonic()
    done = subprocess.run([str(args.load), url], input=lines, text=True, capture_output=True, timeout=240)
    if done.returncode != 0:
        raise Trouble(f"loading the records: {done.stderr.strip()}")
    print(f"loaded {done.stdout.strip()} in {time.monotonic() - begin:.1f} s")


class Backend:
    """`is_live`: it can be written while strata-apiserver reads it. A data directory can't: whoever writes it stops the
    server first."""

    def __init__(self, args, work, process, url):
        self.args, self.work = args, work
        self.is_live = args.backend != "data-dir"
        self.process, self.url = process, url
        self.flags = [f"--etcd-servers={url}"] if self.is_live else [f"--data-dir={work / 'store'}"]

    @contextlib.contextmanager
    def written(self):
        """The URL of its etcd API, in a block in which it may be written."""
        if self.is_live:
            yield self.url
            return
        process, url = start_storage(self.args, self.work)
        with process:
            yield url
            end(process)


def end(process):
    if process.stop() != 0:
        raise Trouble(f"{process.name} ended with {process.process.returncode}\n{process.tail()}")


@contextlib.contextmanager
def backend(args, work, recorded):
    """A Backend with the recorded records."""
    process, url = start_etcd(args, work) if args.backend == "etcd" else start_storage(args, work)
    with process:
        load_records(args, url, recorded.records())
        if args.backend == "data-dir":
            end(process)
        yield Backend(args, work, process, url)
