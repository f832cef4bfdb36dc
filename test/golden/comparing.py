"""What differs between an answer and the recorded one."""

import gzip
import hashlib
import json
import re

import yaml

import protobuf
from judging import YamlLoader
from server import Answer

COMPARED_HEADERS = ("Content-Type", "Cache-Control", "X-Content-Type-Options", "Retry-After", "Vary", "Content-Encoding",
                    "Etag", "Allow", "WWW-Authenticate", "Warning")
YAML, PROTOBUF = "application/yaml", "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\0"  # before a runtime.Unknown


def short(data, at=0):
    begin = max(0, at - 60)
    return ("…" if begin else "") + repr(data[begin:at + 160])[1:] + ("…" if at + 160 < len(data) else "")


def difference(want, got):
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    return f"body differs at byte {at} of {len(want)} (got {len(got)})\n  want {short(want, at)}\n  got  {short(got, at)}"


def compare_headers(case, answer, left_out=()):
    recorded = Answer(0, case["response"]["headers"], b"")
    problems = []
    for name in COMPARED_HEADERS:
        if name.lower() in left_out:
            continue
        if recorded.values(name) != answer.values(name):
            problems.append(f"header {name}: want {recorded.values(name)}, got {answer.values(name)}")
    # A case that was made up of a few recorded headers has none.
    audit_id = answer.values("Audit-Id")
    sent = case["request"]["headers"].get("Audit-Id")
    if len(audit_id) != 1 or (sent and audit_id != [sent]) or not re.fullmatch(r"[!-~]{1,64}", audit_id[0]):
        problems.append(f"header Audit-Id: want {sent or 'one'}, got {audit_id}")
    if len(answer.values("Date")) != 1:
        problems.append(f"header Date: got {answer.values('Date')}")
    if case["request"]["method"] == "HEAD" and recorded.values("Content-Length") != answer.values("Content-Length"):
        problems.append(f"Content-Length: want {recorded.values('Content-Length')}, got {answer.values('Content-Length')}")
    return problems


REVISION = re.compile(rb"""(resourceVersion"?: ?"?)\d+""")
# Of a runtime.Unknown with a list: the list's own, its items'.
LIST_REVISION, ITEM_REVISION = (2, 1, 2), (2, 2, 1, 6)

AGE = re.compile(rb"(Less than a second|About an? \w+|\d+ (second|minute|hour|day|week|month|year)s?) ago")


def without_ages(body):
    """A table's cells say how long ago something was."""
    return AGE.sub(b"X ago", body) if b"Table" in body[:20] or b"kind: Table" in body else body


def without_revisions(body, media_type):
    """A list without its and its items' resourceVersions."""
    if media_type != PROTOBUF:
        return REVISION.sub(rb"\1N", body)
    unknown = body[len(MAGIC):]
    for path in (LIST_REVISION, ITEM_REVISION):
        unknown = protobuf.edited(unknown, path, lambda _: b"N")
    return MAGIC + unknown


def in_one_order(body, media_type):
    """A list with its items sorted; what is no list as it is. Of JSON the order of members counts, and is kept."""
    if media_type == PROTOBUF:
        return [sorted(protobuf.fields(raw)) for raw in protobuf.values(body[len(MAGIC):], (2,))]
    document = yaml.load(body, YamlLoader) if media_type == YAML else json.loads(body)
    for member in ("items", "rows"):
        if isinstance(document.get(member), list):
            document[member] = sorted(document[member], key=json.dumps)
    return document if media_type == YAML else json.dumps(document)


def is_same(want, got, media_type, is_unordered):
    if want == got:
        return True
    if is_unordered and (media_type == YAML or len(want) == len(got)):
        return in_one_order(want, media_type) == in_one_order(got, media_type)
    return media_type == YAML and yaml.load(want, YamlLoader) == yaml.load(got, YamlLoader)


def compare_body(recorded, case, answer):
    response = case["response"]
    media_type = dict(response["headers"]).get("Content-Type")
    want, got, sha256, size = recorded.body(case), answer.body, response.get("sha256"), response.get("bytes")
    if "decodedSha256" in response:
        if answer.header("Content-Encoding") != "gzip":
            return [f"body isn't compressed: {short(got)}"]
        got, sha256, size = gzip.decompress(got), response["decodedSha256"], response.get("decodedBytes")
    if want is None and media_type == YAML:
        # Its hash is of an order of keys that isn't ours: it has to be what the recorded JSON of the stream is.
        want = recorded.deviations.recorded_json_of_stream(case["case"])
        return [] if yaml.load(got, YamlLoader) == want else ["YAML isn't what the stream's JSON is"]
    if want is None:
        if hashlib.sha256(got).hexdigest() != sha256:
            return [f"body: want {size} bytes, sha256 {sha256}, got {len(got)}: {short(got)}"]
        return []
    want, got = without_ages(want), without_ages(got)
    if case.get("kubeRevision") and response["status"] == 200:
        want, got = without_revisions(want, media_type), without_revisions(got, media_type)
    return [] if is_same(want, got, media_type, case.get("unordered", False)) else [difference(want, got)]


def compare(recorded, case, answer):
    problems = compare_headers(case, answer)
    if answer.status != case["response"]["status"]:
        return [f"status: want {case['response']['status']}, got {answer.status}: {short(answer.body)}", *problems]
    try:
        return problems + compare_body(recorded, case, answer)
    except (ValueError, OSError, EOFError, AttributeError, yaml.YAMLError) as error:
        return problems + [f"body isn't what its Content-Type says: {error!r}: {short(answer.body)}"]
