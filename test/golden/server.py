"""strata-apiserver, and what it answers."""

import contextlib
import dataclasses
import http.client
import socket
import ssl
import time

from process import PATIENCE_S, Process, Trouble, free_ports

# A server closes what is idle; comparing a large answer may take longer on a busy machine.
MOST_IDLE_S = 30


class Head:
    """Of what has `status` and `headers`."""

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        return next(iter(self.values(name)), None)


@dataclasses.dataclass
class Answer(Head):
    status: int
    headers: list  # (name, value) in order
    body: bytes


class Stream(Head):
    def __init__(self, connection, begun):
        self.begun = begun  # when it was asked for
        self.connection = connection
        self.socket = connection.sock  # the connection forgets it when the answer closes it
        self.response = connection.getresponse()
        self.status = self.response.status
        self.headers = self.response.getheaders()

    def read(self):
        """What has come; empty at the end, None if the body broke off. Waits for it."""
        try:
            return self.response.read1(1 << 16)
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def hang_up(self):
        """A read that waits in another thread returns."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.connection.close()


def certificate_of(request):
    kind, _, identity = (request["auth"] or "").strip().partition(" ")
    return identity if kind == "cert" else ""


def send(connection, request):
    kind, _, identity = (request["auth"] or "").strip().partition(" ")
    body = (request.get("body") or "").encode()
    connection.putrequest(request["method"], request["path"], skip_accept_encoding=True)
    for name, value in request["headers"].items():
        connection.putheader(name, value)
    if kind == "token":
        connection.putheader("Authorization", f"Bearer {identity}")
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)


class Server:
    """A strata-apiserver and a kept connection to it for each client certificate."""

    def __init__(self, args, work, name, flags):
        self.certs = work / "certs"
        (self.port,) = free_ports(1)
        self.connections = {}
        self.used = {}  # when each was last
        self.process = Process(work, name, [
            args.apiserver, *flags, "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={self.certs}/serving.crt", f"--tls-private-key-file={self.certs}/serving.key",
            f"--client-ca-file={self.certs}/ca.crt", f"--requestheader-client-ca-file={self.certs}/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client", f"--token-auth-file={self.certs}/tokens.csv",
            "--authorization-mode=RBAC", f"--rbac-file={self.certs}/rbac.yaml"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hang_up()
        self.process.stop()

    def hang_up(self):
        for connection in self.connections.values():
            connection.close()

    def end(self):
        """As it should: it was alive, and takes its leave."""
        code = self.process.process.poll()
        self.hang_up()
        if code is not None or self.process.stop() != 0:
            raise Trouble(f"the server ended with {self.process.process.returncode}\n{self.process.tail()}")

    def connect(self, certificate):
        context = ssl.create_default_context(cafile=self.certs / "ca.crt")
        if certificate:
            context.load_cert_chain(self.certs / f"{certificate}.crt", self.certs / f"{certificate}.key")
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE_S, context=context)

    def ask(self, request):
        certificate = certificate_of(request)
        if certificate not in self.connections:
            self.connections[certificate] = self.connect(certificate)
        connection = self.connections[certificate]
        if time.monotonic() - self.used.get(certificate, 0) > MOST_IDLE_S:
            connection.close()  # it connects again by itself
        try:
            send(connection, request)
            response = connection.getresponse()
            answer = Answer(response.status, response.getheaders(), response.read())
        except BaseException:
            connection.close()
            raise
        self.used[certificate] = time.monotonic()
        return answer

    def open(self, request):
        """An answer that is read as it comes, over a connection of its own."""
        connection = self.connect(certificate_of(request))
        try:
            begun = time.monotonic()
            send(connection, request)
            return Stream(connection, begun)
        except BaseException:
            connection.close()
            raise

    def get(self, path):
        return self.ask({"method": "GET", "path": path, "auth": "token admintoken", "headers": {}})

    def wait_until_ready(self):
        self.process.wait_until("ready", self.is_ready)
        return self

    def is_ready(self):
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False
