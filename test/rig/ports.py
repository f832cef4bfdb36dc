"""Ports for programs of ours that can't be told to choose their own: process.go's, for tests and measurements in Python."""

import fcntl
import os
import pathlib
import socket

# Below those that the kernel gives to connections.
FIRST, COUNT = 12000, 20000
_held = []  # the locks of those that were given
_next = 1 + os.getpid() % 1000 * 20


def free_port():
    """One that nobody listens on, and that no other call gives, in this process or one beside it, while the process lives."""
    global _next
    folder = pathlib.Path(os.environ.get("TMPDIR") or "/tmp", "strata-ports")
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)  # also for other users, whatever the umask is
    for _ in range(COUNT):
        port = FIRST + _next % COUNT
        _next += 1
        if _take(folder / str(port)) and _is_free(port):
            return port
    raise RuntimeError("no port is free")


def free_ports(count):
    return [free_port() for _ in range(count)]


def _take(path):
    lock = os.open(path, os.O_CREAT | os.O_RDONLY, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _held.append(lock)
    return True


def _is_free(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
            s.listen()
        except OSError:
            return False
    return True
