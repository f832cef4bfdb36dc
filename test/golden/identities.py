"""The users whose requests were recorded: certificates, tokens, and rights."""

import pathlib
import subprocess

from process import Trouble

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

TOKENS = """\
admintoken,admin,1,"system:masters"
pullertoken,puller,2,devs
clusterpullertoken,clusterpuller,3,devs
nobodytoken,nobody,4,devs
"""
RBAC = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: puller, namespace: golden-a}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: puller}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: clusterpuller}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: clusterpuller}]
"""


def openssl(directory, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, text=True)
    if done.returncode != 0:
        raise Trouble(f"openssl {arguments[0]}: {done.stderr.strip()}")


def make_client_certificate(directory, name, subject, authority):
    openssl(directory, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
    (directory / f"{name}.ext").write_text("extendedKeyUsage=clientAuth\n")
    openssl(directory, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey",
            f"{authority}.key", "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def make_identities(directory, recorded):
    subprocess.run([ROOT / "certs" / "make-dev-certs.sh", directory], check=True, stdout=subprocess.DEVNULL)
    make_client_certificate(directory, "plain-user", f"/CN={recorded.deviations.PLAIN_USER}", "ca")
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-keyout", "front-proxy-ca.key", "-subj", "/CN=front-proxy-ca", "-out", "front-proxy-ca.crt")
    make_client_certificate(directory, "front-proxy-client", "/CN=front-proxy-client", "front-proxy-ca")
    for name, text in (("tokens.csv", TOKENS), ("rbac.yaml", RBAC)):
        own = recorded.directory / name
        (directory / name).write_text(own.read_text() if own.exists() else text)
