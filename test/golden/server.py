"""strata-apiserver, and what it answers."""

import dataclasses
import http.client
import ssl

from process import PATIENCE_S, Process, free_ports


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

    def __init__(self, args, work, name, flags):
        self.certs = work / "certs"
        (self.port,) = free_ports(1)
        self.connections = {}
        self.process = Process(work, name, [
            args.apiserver, *flags, "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--tls-cert-file={self.certs}/serving.crt", f"--tls-private-key-file={self.certs}/serving.key",
            f"--client-ca-file={self.certs}/ca.crt", f"--requestheader-client-ca-file={self.certs}/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client", f"--token-auth-file={self.certs}/tokens.csv",
            "--authorization-mode=RBAC", f"--rbac-file={self.certs}/rbac.yaml"])

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
