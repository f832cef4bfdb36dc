"""What differs between an answer and the recorded one."""

import gzip
import hashlib
import re

import yaml

from judging import YamlLoader
from server import Answer

COMPARED_HEADERS = ("Content-Type", "Cache-Control", "X-Content-Type-Options", "Retry-After", "Vary", "Content-Encoding",
                    "Etag", "Allow", "WWW-Authenticate", "Warning")


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


AGE = re.compile(rb"(Less than a second|About an? \w+|\d+ (second|minute|hour|day|week|month|year)s?) ago")


def without_ages(body):
    """A table's cells say how long ago something was."""
    return AGE.sub(b"X ago", body) if b"Table" in body[:20] or b"kind: Table" in body else body


def compare_body(recorded, case, answer):
    response = case["response"]
    want, body = recorded.body(case), without_ages(answer.body)
    want = want and without_ages(want)
    is_yaml = dict(response["headers"]).get("Content-Type") == "application/yaml"
    if "decodedSha256" in response:
        if answer.header("Content-Encoding") != "gzip":
            return [f"body isn't compressed: {short(body)}"]
        body = gzip.decompress(body)
        if hashlib.sha256(body).hexdigest() != response["decodedSha256"]:
            return [f"decoded body: want {response['decodedBytes']} bytes, sha256 {response['decodedSha256']}, got "
                    f"{len(body)}: {short(body)}"]
        return []
    if want is None and is_yaml:
        # Its hash is of an order of keys that isn't ours: it has to be what the recorded JSON of the stream is.
        want = recorded.deviations.recorded_json_of_stream(case["case"])
        return [] if yaml.load(body, YamlLoader) == want else ["YAML isn't what the stream's JSON is"]
    if want is None:
        if hashlib.sha256(body).hexdigest() != response["sha256"]:
            return [f"body: want {response['bytes']} bytes, sha256 {response['sha256']}, got {len(body)}: {short(body)}"]
        return []
    if want == body:
        return []
    if is_yaml and yaml.load(want, YamlLoader) == yaml.load(body, YamlLoader):
        return []
    return [difference(want, body)]


def compare(recorded, case, answer):
    problems = []
    if answer.status != case["response"]["status"]:
        problems.append(f"status: want {case['response']['status']}, got {answer.status}")
    return problems + compare_headers(case, answer) + compare_body(recorded, case, answer)
