"""Changes records in the backend, in the place of an API that doesn't write yet."""

import subprocess
import threading

from process import PATIENCE_S, Trouble


class Writer:
    """A strata-golden-write. Used from several threads."""

    def __init__(self, program, url):
        self.lock = threading.Lock()
        self.last = 0  # the newest revision that it made
        self.process = subprocess.Popen([str(program), url.removeprefix("http://")], text=True, encoding="utf-8",
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def do(self, line):
        """The revision that it made."""
        with self.lock:
            try:
                self.process.stdin.write(line + "\n")
                self.process.stdin.flush()
                answer = self.process.stdout.readline()
            except BrokenPipeError:
                answer = ""
            if not answer:
                raise Trouble(f"{line[:200]}: {self.process.stderr.read().strip()}")
            self.last = int(answer)
            return self.last
