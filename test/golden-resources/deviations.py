"""Where strata-apiserver answers otherwise than openshift-apiserver did.

docs/compatibility.md tells the same to people.
"""

import base64
import gzip
import json
import pathlib
import re

import yaml

import announced
import frames
from judging import Deviation, YamlLoader, expect

HERE = pathlib.Path(__file__).resolve().parent
LEAST_EQUAL = 912
FLAGS = ["--internal-registry-hostname=image-registry.openshift-image-registry.svc:5000",
         "--watch-history-age=1h"]  # a machine may be slow, and the reference kept as much as it was sent
PLAIN_USER = "plain-user"


def created_of_a_list(case, answer):
    """The reference says that the metadata of a manifest list was made now; here it is what is stored."""
    problems = []
    made = re.compile(rb'("?Created"?: ?"?)[-0-9TZ:]+')
    recorded = (HERE / case["response"]["file"]).read_bytes()
    expect(problems, "status", 200, answer.status)
    if case["case"].endswith(".pb"):
        expect(problems, "size", len(recorded), len(answer.body))
    expect(problems, "body", made.sub(rb"\1", recorded), made.sub(rb"\1", answer.body))
    return problems


def bad_escape(case, answer):
    problems = []
    expect(problems, "answer", (400, b"400 Bad Request", "close"),
           (answer.status, answer.body, answer.header("Connection")))
    return problems


def revision_is_refused(case, answer):
    problems = []
    expect(problems, "status", 500, answer.status)
    expect(problems, "body", True, b'resourceVersion: Invalid value: \\"abc\\"' in answer.body)
    return problems


def yaml_is_sent(case, answer):
    """The reference reads its JSON as YAML, and refuses what that may not hold."""
    problems = []
    expect(problems, "status", 200, answer.status)
    expect(problems, "type", "application/yaml", answer.header("Content-Type"))
    recorded = json.loads(gzip.decompress((HERE / "itag-list.all.json.gz").read_bytes()))
    in_order = lambda document: sorted(document["items"], key=lambda item: json.dumps(item, sort_keys=True))
    expect(problems, "items", in_order(recorded), in_order(yaml.load(answer.body, YamlLoader)))
    return problems


def limit_is_ignored(case, answer):
    """Without a token to go on with, what a limit cuts off isn't there."""
    problems = []
    path = case["request"]["path"]
    all_items = (json.loads(gzip.decompress((HERE / "itag-list.all.json.gz").read_bytes())) if "/imagetags" in path
                 else json.loads((HERE / "istag-list.all.json").read_bytes()))["items"]
    recorded = json.loads((HERE / case["response"]["file"]).read_bytes())
    behind = "page-1\0" if "continue=" in path else ""
    items = sorted((item for item in all_items
                    if item["metadata"]["namespace"] == "res-b" and item["metadata"]["name"] > behind),
                   key=lambda item: item["metadata"]["name"])
    if recorded["kind"] == "PartialObjectMetadataList":
        items = [{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
                 for item in items]
    expect(problems, "status", 200, answer.status)
    expect(problems, "list", recorded | {"items": items}, json.loads(answer.body))
    return problems


def continue_token(revision, start):
    text = f'{{"v":"meta.k8s.io/v1","rv":{revision},"start":"{start}\\u0000"}}'
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=")


def is_too_old(case, answer):
    """A page of a revision that is compacted, as the reference refuses it where its cache has no snapshot either. The token
    with which the list goes on is of the place that was asked for."""
    token = continue_token(-1, "page-1")
    recorded = (HERE / "expired.continue-old.json").read_bytes().replace(continue_token(-1, "a"), token)
    problems = []
    expect(problems, "status", 410, answer.status)
    if case["request"]["headers"]["Accept"] == "application/json":
        expect(problems, "body", recorded, answer.body)
    expect(problems, "has token and message", (True, True),
           (token in answer.body, b"The provided continue parameter is too old" in answer.body))
    return problems


def of_the_last_change(case, answer):
    """The reference's is etcd's own, which other keys have moved on; so is ours, should the watch have said it by then."""
    problems = []
    recorded = (HERE / case["response"]["file"]).read_bytes()
    ours = recorded.replace(b'"807"', b'"804"').replace(continue_token(807, "/page-6"), continue_token(804, "/page-6"))
    expect(problems, "status", 200, answer.status)
    expect(problems, "body", ours, answer.body.replace(recorded, ours))
    return problems


def since_compaction(case, answer):
    """How far back a watch may begin: the reference's cache knows it from its list on."""
    problems = []
    recorded = (HERE / case["response"]["file"]).read_bytes()
    expect(problems, "status", 200, answer.status)
    expect(problems, "body", recorded.replace(b"(804)", b"(806)"), answer.body)
    return problems


def announcement(check, parse=json.loads):
    """A document that says less than the reference's, as `check` has it."""

    def compare(case, answer):
        problems = []
        expect(problems, "status", 200, answer.status)
        path = HERE / case["response"]["file"]
        recorded = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        check(problems, parse(recorded), parse(answer.body))
        return problems

    return compare


def read_yaml(text):
    return yaml.load(text, YamlLoader)


def resource_list_envelope(case, answer):
    problems = []
    expect(problems, "status", 200, answer.status)
    expect(problems, "envelope", (HERE / case["response"]["file"]).read_bytes()[:27], answer.body[:27])
    return problems


DEVIATIONS = {
    "isimage.pushed.rv-garbage": Deviation("a resourceVersion that is none is refused here, too", revision_is_refused),
    "name.image.percent-bad": Deviation("an Audit-Id and no-store on what isn't a request, too", bad_escape,
                                        ("cache-control", "x-content-type-options")),
    "itag-list.all.yaml": Deviation("characters that YAML doesn't allow are escaped", yaml_is_sent),
}
for _name in ("limit.istag", "limit.itag", "continue.istag", "expired.continue-istag"):
    DEVIATIONS[_name] = Deviation("a limit is ignored where nothing tells that there is more", limit_is_ignored)
_LESS = "only what we serve"
_LIST = announcement(announced.check_resource_list)
for _name, _check in {
    "discovery.version.nobody": _LIST,
    "discovery.version-slash.json": _LIST,
    "discovery.version-slash.none": _LIST,
    "discovery.version-slash.yaml": announcement(announced.check_resource_list, read_yaml),
    "discovery.version-slash.pb": resource_list_envelope,
    "rights.puller.version": _LIST,
    "rights.viewer.version": _LIST,
}.items():
    DEVIATIONS[_name] = Deviation(_LESS, _check)
for _name, _check in {
    "discovery.aggregated-v2": announced.check_aggregated,
    "discovery.aggregated-v2-kubectl": announced.check_aggregated,
    "discovery.openapi-v3.json": announced.check_openapi,
}.items():
    DEVIATIONS[_name] = Deviation(_LESS, announcement(_check), ("etag",))
for _form in ("json", "pb", "yaml"):
    DEVIATIONS[f"istag.list.{_form}"] = Deviation("a manifest list's Created is the stored one", created_of_a_list)

# Debian's etcd is one of those whose watches don't say reliably how far they have come.
OF_ETCD = {"expired.continue-inconsistent": Deviation("the revision of the last change in our range", of_the_last_change)}
COMPACTED = "what is compacted is gone: nothing else remembers"
OF_DATA_DIR = {f"expired.continue{form}": Deviation(COMPACTED, is_too_old)
               for form in ("", "-pb", "-table", "-pom", "-yaml", "-istag")}
OF_DATA_DIR |= {f"expired.watch{form}": Deviation(COMPACTED, since_compaction) for form in ("", "-pb", "-table", "-1")}
OF_BACKEND = {"etcd": OF_ETCD, "data-dir": OF_DATA_DIR, "strata-storage": {}}


def of(name, backend):
    return OF_BACKEND[backend].get(name) or DEVIATIONS.get(name)


def names():
    return {*DEVIATIONS, *OF_ETCD, *OF_DATA_DIR}


def is_forgotten(scenario, played):
    """The ERROR with which the reference ends a watch from a revision that its cache doesn't have."""
    numbers = lambda text: re.sub(rb"\d+", b"N", text)
    normal = lambda frame: numbers(frame) if frames.is_json(frame) else frames.edited(frame, frames.MESSAGE, numbers)
    _, _, form = scenario.name.partition(".")
    with open(HERE / "watches" / f"zz-expired.old{'' if form == 'json' else '-' + form}.json") as file:
        recorded = frames.of_recorded(json.load(file)["frames"][0])
    problems = []
    expect(problems, "frames", [normal(recorded)], [normal(frame) for _, frame in played.frames])
    expect(problems, "end by", "server", played.ended)
    return problems


LEAST_EQUAL_WATCHES = 62
WATCHES = {(f"zz-expired.{form}", "data-dir"): Deviation(COMPACTED, is_forgotten)
           for form in ("json", "pb", "table", "pom")}  # by scenario and backend


def watch(name, backend):
    return WATCHES.get((name, backend))


def watches():
    return {name for name, _ in WATCHES}
