"""A kube-apiserver that has secrets alone: those of which the recorded answers show none."""

import http.server
import json
import re
import ssl
import threading
import urllib.parse

from protobuf import LENGTH_DELIMITED, field

PROTOBUF = "application/vnd.kubernetes.protobuf"
REVISION = "521"
TOKEN = "strata-may-list-secrets"
# Name, type, annotations: none is one with which images are pulled.
SECRETS = (
    ("excluded", "kubernetes.io/dockerconfigjson", {"openshift.io/image.excludeSecret": "true"}),
    ("opaque", "Opaque", {}),
    ("special", "example.com/dockercfg", {}),
)


def message(*members):
    """Of (number, text or bytes), in their order."""
    return b"".join(field(number, LENGTH_DELIMITED, value.encode() if isinstance(value, str) else value)
                    for number, value in members)


def secret(name, kind, annotations):
    metadata = message((1, name), *((12, message((1, key), (2, value))) for key, value in annotations.items()))
    return message((1, metadata), (2, message((1, "data"), (2, b"\xff"))), (3, kind))


def is_selected(kind, selector):
    """By what a fieldSelector says of a secret's type; a ValueError if it is none."""
    for requirement in filter(None, selector.split(",")):
        name, operator, value = re.fullmatch(r"(\w+)(!=|==?)(.*)", requirement).groups()
        if name != "type":
            raise ValueError(requirement)
        if (kind == value) == (operator == "!="):
            return False
    return True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, media_type, body):
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status):
        self.answer(status, "application/json", json.dumps({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": self.path, "code": status}).encode())

    def do_GET(self):
        path, _, query = self.path.partition("?")
        options = dict(urllib.parse.parse_qsl(query, strict_parsing=bool(query)))
        selector = options.pop("fieldSelector", "")
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.refuse(401)
        if not re.fullmatch(r"/api/v1/namespaces/[a-z0-9-]+/secrets", path):
            return self.refuse(404)
        if self.headers["Accept"] != PROTOBUF:
            return self.refuse(406)
        try:
            items = [secret(*each) for each in SECRETS if is_selected(each[1], selector)]
        except (AttributeError, ValueError):
            return self.refuse(400)
        if options:
            return self.refuse(400)
        raw = message((1, message((2, REVISION))), *((2, item) for item in items))
        self.answer(200, PROTOBUF, b"k8s\0" + message((1, message((1, "v1"), (2, "SecretList"))), (2, raw)))


class Kube:
    """Runs until the block ends, for a server with its `flags`."""

    def __init__(self, work):
        certs = work / "certs"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs / "serving.crt", certs / "serving.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        kubeconfig = work / "secrets.kubeconfig"
        kubeconfig.write_text(json.dumps({
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{self.server.server_port}",
                                                   "certificate-authority": str(certs / "ca.crt")}}],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}))
        self.flags = ["--enable-secrets", f"--secrets-kubeconfig={kubeconfig}"]

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
