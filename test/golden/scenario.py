"""A recorded watch: what was written before and while it ran, what it was sent, and who ended it.

Nothing writes through the API yet, so what a step wrote is told from its recorded answer and from the frames that came after
it, and is put into the backend as a record.
"""

import dataclasses
import json
import re

import frames

OF_ONE = re.compile(r".*/(?:namespaces/(?P<namespace>[^/]+)/imagestreams|images)/(?P<name>[^/]+)$")
RECORD_KINDS = ("ImageStream", "Image")


class Unclear(Exception):
    """What a step wrote can't be told from what was recorded."""


@dataclasses.dataclass(frozen=True)
class Write:
    verb: str  # put, delete
    object: str  # JSON on one line; of a deletion kind and identity alone
    revision: str  # that it was recorded at; empty: nobody was told


@dataclasses.dataclass(frozen=True)
class Step:
    name: str
    compacts: bool
    request: dict  # of one that only reads; else nothing
    writes: list
    answer: dict  # recorded; nothing if it is no JSON object


class Scenario:
    def __init__(self, path):
        with open(path) as file:
            self.recorded = json.load(file)
        self.name = self.recorded["scenario"]
        self.order = self.recorded["order"]
        self.request = self.recorded["request"]
        self.response = self.recorded["response"]
        self.ended = self.recorded["ended"]
        self.until_end = self.recorded.get("until") == "end"
        self.limit_s = self.recorded.get("limit", 25)
        self.bookmarks_vary = self.recorded.get("bookmarksVary", False)
        self.frames = [(frame["after"], frames.of_recorded(frame)) for frame in self.recorded["frames"]]
        written = set()  # recorded revisions
        # What was deleted before the watch began may be the first that it was told.
        before = _deletions(self._after(-1))
        self.setup = [_step(step, answer, [], before, written)
                      for step, answer in zip(self.recorded["setup"], self.recorded["setupResponses"])]
        self.steps = [_step(step, answer, self._after(number), _deletions(self._after(number)), written)
                      for number, (step, answer) in enumerate(zip(self.recorded["steps"], self.recorded["stepResponses"]))]

    def _after(self, number):
        return [frame for after, frame in self.frames if after == number]

    @property
    def streams(self):
        """Whether it was answered by frames, one after the other."""
        return self.response["status"] == 200 and "Content-Length" not in dict(self.response["headers"])

    @property
    def from_history(self):
        """Whether a watch that begins when all is over is sent the same."""
        return self.streams and "resourceVersion={{" in self.request["path"] and "sendInitialEvents" not in self.request["path"]

    @property
    def compacts(self):
        return any(step.compacts for step in self.setup + self.steps)


def _deletions(seen):
    """The revisions of those that the frames say are gone, by name."""
    return {event.name: event.revision for event in map(frames.event, seen) if event and event.type == "DELETED"}


def _step(step, answer, seen, deletions, written):
    if step.get("etcd"):
        if step["etcd"] != "compact":
            raise Unclear(f"{step} does something unknown to etcd")
        return Step("compact", True, None, [], None)
    body = _json_object(answer.get("body"))
    reads = step["request"]["method"] == "GET"
    writes = []
    if not reads and answer["status"] < 300:
        writes = _writes(step["request"], body, answer.get("body"), seen, deletions, written)
    written.update(write.revision for write in writes)
    return Step(step["name"], False, step["request"] if reads else None, writes, body)


def _json_object(text):
    try:
        value = json.loads(text or "")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _writes(request, body, text, seen, deletions, written):
    kind = (body or {}).get("kind", "")
    if kind in RECORD_KINDS:
        metadata = body["metadata"]
        if metadata["resourceVersion"] not in written:
            return [Write("put", text.strip(), metadata["resourceVersion"])]
        # It changed nothing, or it took the last finalizer of what was being deleted.
        return [_deletion(kind, metadata, deletions)] if seen and metadata["name"] in deletions else []
    if request["method"] == "DELETE" and kind in ("ImageStreamList", "ImageList"):
        return [_deletion(kind.removesuffix("List"), item["metadata"], deletions) for item in body["items"]]
    one = OF_ONE.match(request["path"].partition("?")[0])
    if request["method"] == "DELETE" and one:
        kind = "ImageStream" if one["namespace"] else "Image"
        return [_deletion(kind, {"name": one["name"], "namespace": one["namespace"] or ""}, deletions)]
    return [_write_of_frame(frame) for frame in seen]


def _deletion(kind, metadata, deletions):
    identity = {"name": metadata["name"], "namespace": metadata.get("namespace", "")}
    return Write("delete", json.dumps({"kind": kind, "metadata": identity}), deletions.get(metadata["name"], ""))


def _write_of_frame(frame):
    """Of a resource that isn't stored itself, as imagestreammappings, the frames alone tell what was written."""
    event = frames.event(frame)
    document = json.loads(frame)["object"] if frames.is_json(frame) else {}
    if document.get("kind") not in RECORD_KINDS:
        raise Unclear(f"{event} doesn't hold what was written")
    if event.type == "DELETED":
        return _deletion(document["kind"], document["metadata"], {event.name: event.revision})
    return Write("put", frames.object_text(frame), event.revision)
