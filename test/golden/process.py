"""Programs of ours that a run starts, and ends."""

import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "rig"))
from ports import free_ports

PATIENCE_S = 60


class Trouble(Exception):
    """The run itself failed: nothing can be said about the server."""


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
