"""Where strata-apiserver answers otherwise than openshift-apiserver did, what it answers, and why.

docs/compatibility.md tells the same to people. Each check is strict: what we answer instead is as fixed as what the
reference answers elsewhere. ours/ holds our bodies of the streams that the reference fails as a whole.
"""

import gzip
import hashlib
import json
import pathlib
import re

import yaml

import announced
from judging import Deviation, YamlLoader, expect

HERE = pathlib.Path(__file__).resolve().parent
LEAST_EQUAL = 230
FLAGS = []  # of the server
PLAIN_USER = "certuser"  # whom the certificate without rights names


def recorded_json_of_stream(case_name):
    """What openshift-apiserver answered as JSON, of a case named NAMESPACE.STREAM.FORM."""
    path = HERE / "streams" / f"{case_name.rpartition('.')[0]}.json.json"
    if path.exists():
        return json.loads(path.read_bytes())
    return json.loads(gzip.decompress(path.with_name(path.name + ".gz").read_bytes()))


def stream(name, warnings):
    """A stream that the reference fails as a whole: 200, our body, a warning for each odd image."""

    def check(case, answer):
        problems = []
        form = case["case"].rpartition(".")[2]
        media_type = {"json": "application/json", "pb": "application/vnd.kubernetes.protobuf", "yaml": "application/yaml"}[form]
        expect(problems, "status", 200, answer.status)
        expect(problems, "Content-Type", [media_type], answer.values("Content-Type"))
        expect(problems, "Cache-Control", ["no-store"], answer.values("Cache-Control"))
        expect(problems, "Warning", [f'299 - "{text}"' for text in warnings], answer.values("Warning"))
        if form == "yaml":
            expect(problems, "body", json.loads((HERE / "ours" / f"{name}.json").read_bytes()),
                   yaml.load(answer.body, YamlLoader))
        else:
            expect(problems, "body", (HERE / "ours" / f"{name}.{form}").read_bytes(), answer.body)
        return problems

    return {f"{name}.{form}": check for form in ("json", "pb", "yaml")}


def labels_annotations_yaml(case, answer):
    """The reference's YAML writer fails on the stream that its JSON writer answers."""
    problems = []
    expect(problems, "status", 200, answer.status)
    expect(problems, "Content-Type", ["application/yaml"], answer.values("Content-Type"))
    expect(problems, "body", recorded_json_of_stream(case["case"]), yaml.load(answer.body, YamlLoader))
    return problems


OUR_PATHS = {"/apis", "/apis/image.openshift.io", "/apis/image.openshift.io/v1", "/healthz", "/livez", "/metrics", "/readyz",
             "/version"}


def our_paths(case, answer):
    problems = []
    expect(problems, "status", case["response"]["status"], answer.status)
    document = json.loads(answer.body)
    expect(problems, "fields", ["paths"], list(document))
    paths = document["paths"]
    expect(problems, "order", sorted(set(paths)), paths)
    expect(problems, "missing paths", set(), OUR_PATHS - set(paths))
    expect(problems, "bytes", json.dumps(document, indent=2).encode(), answer.body)
    return problems


def our_group_is_listed(case, answer):
    problems = []
    expect(problems, "status", 200, answer.status)
    group = json.loads((HERE / "discovery" / "group.json").read_bytes())
    if case["case"] == "apis-pb":
        # Kubernetes' envelope with an APIGroupList; the group's own bytes are those of group-pb.
        expect(problems, "envelope", b"k8s\0", answer.body[:4])
        for text in (b"APIGroupList", group["name"].encode(), group["preferredVersion"]["groupVersion"].encode()):
            expect(problems, f"has {text}", True, text in answer.body)
        return problems
    document = json.loads(answer.body)
    recorded = json.loads((HERE / case["response"]["file"]).read_bytes())
    expect(problems, "kind and version", {**recorded, "groups": 0}, {**document, "groups": 0})
    for field in ("kind", "apiVersion"):
        group.pop(field)
    expect(problems, "groups", [group["name"], *sorted(announced.OURS)], [each["name"] for each in document["groups"]])
    expect(problems, "the reference's group", group, document["groups"][0])
    return problems


def resources_are_a_part(case, answer):
    problems = []
    expect(problems, "status", 200, answer.status)
    recorded = json.loads((HERE / case["response"]["file"]).read_bytes())
    document = json.loads(answer.body)
    expect(problems, "order of fields", list(recorded), list(document))
    announced.check_resource_list(problems, recorded, document)
    return problems


def aggregated_discovery(case, answer):
    problems = []
    recorded_headers = {name.lower(): value for name, value in case["response"]["headers"]}
    expect(problems, "status", 200, answer.status)
    for name in ("Content-Type", "Cache-Control", "Vary"):
        expect(problems, name, recorded_headers[name.lower()], answer.header(name))
    expect(problems, "ETag is quoted SHA-512", True, bool(re.fullmatch('"[0-9A-F]{128}"', answer.header("Etag") or "")))
    if not case["response"]["file"].endswith(".json"):
        expect(problems, "envelope", (HERE / case["response"]["file"]).read_bytes()[:54], answer.body[:54])
        return problems
    recorded = json.loads((HERE / case["response"]["file"]).read_bytes())
    document = json.loads(answer.body)
    expect(problems, "ETag", f'"{hashlib.sha512(answer.body.rstrip()).hexdigest().upper()}"', answer.header("Etag"))
    announced.check_aggregated(problems, recorded, document)
    return problems


def openapi_root(case, answer):
    problems = []
    expect(problems, "status", 200, answer.status)
    expect(problems, "Content-Type", dict(case["response"]["headers"])["Content-Type"], answer.header("Content-Type"))
    paths = json.loads(answer.body)["paths"]
    expect(problems, "keys of groups that the reference doesn't have", announced.OURS,
           {key.split("/")[1] for key in paths} - {announced.GROUP})
    expect(problems, "URL", True, bool(re.fullmatch(r"/openapi/v3/apis/image\.openshift\.io/v1\?hash=[0-9A-F]{128}",
                                                    paths["apis/image.openshift.io/v1"]["serverRelativeURL"])))
    return problems


def openapi(case, answer):
    problems = []
    expect(problems, "status", 200, answer.status)
    expect(problems, "Content-Type", dict(case["response"]["headers"])["Content-Type"], answer.header("Content-Type"))
    expect(problems, "ETag", f'"{hashlib.sha512(answer.body).hexdigest().upper()}"', answer.header("Etag"))
    recorded = json.loads(gzip.decompress((HERE / case["response"]["file"]).read_bytes()))
    announced.check_openapi(problems, recorded, json.loads(answer.body))
    return problems


def version(case, answer):
    problems = []
    expect(problems, "status", 200, answer.status)
    recorded = json.loads((HERE / case["response"]["file"]).read_bytes())
    document = json.loads(answer.body)
    expect(problems, "fields that we don't have", set(),
           {"major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler",
            "platform"} - set(document))
    expect(problems, "fields that the reference doesn't have", set(), set(document) - set(recorded))
    expect(problems, "values that aren't text", {}, {k: v for k, v in document.items() if not isinstance(v, str)})
    expect(problems, "bytes", json.dumps(document, indent=2).encode(), answer.body)
    return problems


OUR_CHECKS = ("ping", "log", "etcd", "informer-sync", "shutdown")


def readyz_verbose(case, answer):
    problems = []
    expect(problems, "status", 200, answer.status)
    *checks, end, empty = answer.body.decode().split("\n")
    expect(problems, "end", ("readyz check passed", ""), (end, empty))
    expect(problems, "form", [], [line for line in checks if not (line.startswith("[+]") and line.endswith(" ok"))])
    ours = [line[len("[+]"):-len(" ok")] for line in checks]
    expect(problems, "checks", [name for name in ours if name in OUR_CHECKS], list(OUR_CHECKS))
    return problems


INSTEAD_OF_422 = "one odd image doesn't fail the stream (the reference: 422)"
DEVIATIONS = {
    "golden-b.labels-annotations.yaml": Deviation("YAML of what the reference can't write (500)", labels_annotations_yaml),
    "apis": Deviation("the group is listed (the reference leaves that to kube-aggregator)", our_group_is_listed),
    "path-apis-slash": Deviation("the group is listed (the reference leaves that to kube-aggregator)", our_group_is_listed),
    "apis-pb": Deviation("the group is listed (the reference leaves that to kube-aggregator)", our_group_is_listed),
    "groupversion": Deviation("only resources that we serve", resources_are_a_part),
    "groupversion-noaccept": Deviation("only resources that we serve", resources_are_a_part),
    "apis-aggregated-client-go": Deviation("only our groups", aggregated_discovery, ("etag",)),
    "apis-aggregated-v2-pb": Deviation("only our groups", aggregated_discovery, ("etag",)),
    "openapi-v3": Deviation("only our groups", openapi_root),
    "openapi-v3-image": Deviation("only what we serve, in our words", openapi, ("etag",)),
    "openapi-v2": Deviation("only what we serve, in our words", openapi, ("etag",)),
    "version": Deviation("our version", version),
    "version-openshift": Deviation("our version", version),
    "readyz-verbose": Deviation("our checks", readyz_verbose),
}
for _name in ("path-root", "path-unknown-root", "path-oapi-legacy", "path-wrong-group", "api", "api-aggregated"):
    DEVIATIONS[_name] = Deviation("our paths", our_paths)
_ODD = "image sha256:cffb35102c71c8c1b9c1f8cb36203891967716b8e9598f9f6767c6051f3a5fae: "
_LIST = "image sha256:2232da21bd881b3da9561bd416238091078bed7ba7450a1a5fa4959234d1efaa: "
_OCI = "image sha256:54f46fbcc41615477a348654eec6ea3a642347b1df7c3834b3a93db1109f39a9: "
_BOTH = "image sha256:068497c9c495e3fc0324d3408d519304782e6f009982ec3503ab2158015143c5: "
_NO_CONFIG = "its metadata has no config digest, so config is null"
_NO_NAME = "layers or manifests without a name were left out"
for _stream, _warnings in {
    "golden-c.layer-empty-name": [_ODD + _NO_NAME],
    "golden-c.list-with-layers": [_LIST + "it has manifests, so its layers and config were left out"],
    # Both name the config, as `id` and in an older version: nothing is missing, so nothing is said.
    "golden-c.metadata-lowercase-id": [],
    "golden-c.metadata-pre012": [],
    "golden-c.oci-no-metadata": [_OCI + _NO_CONFIG],
    "golden-c.several-errors": [_BOTH + _NO_CONFIG, _BOTH + _NO_NAME, _ODD + _NO_NAME],
}.items():
    for _name, _check in stream(_stream, _warnings).items():
        DEVIATIONS[_name] = Deviation(INSTEAD_OF_422, _check)


def of(name, _backend):
    return DEVIATIONS.get(name)


def names():
    return list(DEVIATIONS)
