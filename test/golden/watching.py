"""A watch that is open: its frames, as they come."""

import threading
import time

from frames import Cutter


class Watch:
    """`stream` is a server's answer whose body is still coming (server.Stream). Closed when the block ends."""

    def __init__(self, stream):
        self.stream = stream
        self.late = False  # frames that were expected have not come
        self.after = -1  # the step that is noted with the frames that come
        self.frames = []  # (after, frame)
        self.body = b""
        self.ended = None  # "server": as HTTP ends a body; "cut": otherwise; "client"
        self.seconds = None  # how long it was open, since it was asked for
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end("client")
        self.stream.hang_up()
        self.thread.join()
        self.stream.close()

    def _read(self):
        cutter = Cutter("protobuf" in (self.stream.header("Content-Type") or ""))
        while True:
            data = self.stream.read()
            with self.changed:
                self.body += data or b""
                if self.stream.status == 200:
                    self.frames += [(self.after, frame) for frame in cutter.feed(data or b"")]
                self.changed.notify_all()
            if not data:
                return self.end("cut" if data is None or cutter.rest else "server")

    def end(self, who):
        with self.changed:
            if self.ended is None:
                self.ended = who
                self.seconds = time.monotonic() - self.stream.begun
                self.changed.notify_all()

    def wait_until(self, is_true, seconds):
        """Whether it came to be true of the watch in that time, while it was open or when it ended."""
        with self.changed:
            self.changed.wait_for(lambda: is_true(self) or self.ended, seconds)
            return is_true(self)
