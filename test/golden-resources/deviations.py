"""Where strata-apiserver answers otherwise than openshift-apiserver did, and what it doesn't serve yet.

docs/compatibility.md tells the same to people.
"""

import json
import pathlib
import re

import frames
from judging import Deviation, expect

HERE = pathlib.Path(__file__).resolve().parent
LEAST_EQUAL = 853
FLAGS = ["--internal-registry-hostname=image-registry.openshift-image-registry.svc:5000",
         "--watch-history-age=1h"]  # a machine may be slow, and the reference kept as much as it was sent
PLAIN_USER = "plain-user"

SECRETS = "imagestreams/secrets"
WRITES = "resources that are only written"
PART = "only resources and verbs that are served"
# By what a case's name begins with.
LATER = (
    (r"watch-on\.secrets|is-secrets\.|notfound\.is-secrets|rights\.viewer\.secrets|method\.\w+\.(is-)?secrets", SECRETS),
    (r"(is-mappings|isimport|imagesignature)-list|method\.\w+\.(mappings|imports|signatures?)$", WRITES),
    (r"discovery\.(version(?!-slash\.table)|openapi|aggregated)|rights\.\w+\.version", PART),
)


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


DEVIATIONS = {
    "isimage.pushed.rv-garbage": Deviation("a resourceVersion that is none is refused here, too", revision_is_refused),
    "name.image.percent-bad": Deviation("an Audit-Id and no-store on what isn't a request, too", bad_escape,
                                        ("cache-control", "x-content-type-options")),
}
def yaml_is_sent(case, answer):
    """The reference reads its JSON as YAML, and refuses what that may not hold."""
    problems = []
    expect(problems, "status", 200, answer.status)
    expect(problems, "type", "application/yaml", answer.header("Content-Type"))
    return problems


DEVIATIONS["itag-list.all.yaml"] = Deviation("characters that YAML doesn't allow are escaped", yaml_is_sent)
for _form in ("json", "pb", "yaml"):
    DEVIATIONS[f"istag.list.{_form}"] = Deviation("a manifest list's Created is the stored one", created_of_a_list)


def of(name):
    return DEVIATIONS.get(name)


def names():
    return list(DEVIATIONS)


def later(name):
    return next((why for pattern, why in LATER if re.match(pattern, name)), "")


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
WATCHES = {(f"zz-expired.{form}", "data-dir"): Deviation("what is compacted is gone: nothing else remembers", is_forgotten)
           for form in ("json", "pb", "table", "pom")}  # by scenario and backend


def watch(name, backend):
    return WATCHES.get((name, backend))


def watches():
    return {name for name, _ in WATCHES}
