"""Frames of a watch: how a body is cut into them, and what stands in one.

A JSON frame is a line with its newline; a protobuf frame is a WatchEvent (k8s.io/apimachinery pkg/apis/meta/v1) without
the four bytes of its length.
"""

import base64
import dataclasses
import json
import re
import struct

import protobuf
from comparing import AGE, MAGIC

# WatchEvent.object.raw, and in the runtime.Unknown behind the magic: raw.metadata, and of a Status raw.message.
OBJECT = (2, 1)
NAME, REVISION, MESSAGE = (2, 1, 1), (2, 1, 6), (2, 3)

JSON_REVISION = re.compile(rb'("resourceVersion":")(\d+)')
# In messages: how far back the history goes, and how far the backend has come.
OF_THE_RUN = re.compile(rb"(too old resource version: \d+ \(|Too large resource version: \d+, current: )\d+")


class Cutter:
    def __init__(self, is_protobuf):
        self.is_protobuf = is_protobuf
        self.rest = b""

    def feed(self, data):
        """The frames that are whole now."""
        self.rest += data
        frames = []
        while (end := self._end()) is not None:
            frames.append(self.rest[4 if self.is_protobuf else 0:end])
            self.rest = self.rest[end:]
        return frames

    def _end(self):
        if not self.is_protobuf:
            newline = self.rest.find(b"\n")
            return newline + 1 if newline >= 0 else None
        if len(self.rest) < 4:
            return None
        end = 4 + struct.unpack(">I", self.rest[:4])[0]
        return end if end <= len(self.rest) else None


def of_recorded(frame):
    return frame["text"].encode() if "text" in frame else base64.b64decode(frame["base64"])


def is_json(frame):
    return frame[:1] == b"{"


def edited(frame, path, edit):
    """A protobuf frame with its object's runtime.Unknown edited."""
    return protobuf.edited(frame, OBJECT, lambda raw: MAGIC + protobuf.edited(raw[len(MAGIC):], path, edit))


def with_revisions(frame, revision_of):
    """The frame with each of the object's resourceVersions replaced by what `revision_of` says of it, text by text."""
    if is_json(frame):
        return JSON_REVISION.sub(lambda match: match[1] + revision_of(match[2].decode()).encode(), frame)
    return edited(frame, REVISION, lambda revision: revision_of(revision.decode()).encode() if revision else revision)


def comparable(frame):
    """The frame without what no two runs share: a table's ages, and what messages say of the run."""
    of_no_run = lambda text: OF_THE_RUN.sub(rb"\1N", text)
    if not is_json(frame):
        return edited(frame, MESSAGE, of_no_run) if is_error(frame) else frame
    frame = of_no_run(frame) if is_error(frame) else frame
    return AGE.sub(b"X ago", frame) if b'"kind":"Table"' in frame[:80] else frame


@dataclasses.dataclass(frozen=True)
class Event:
    type: str
    name: str
    revision: str  # empty: the object has none


def event(frame):
    """Nothing if it is no event but an object: the answer to a get."""
    if not is_json(frame):
        (kind,) = protobuf.values(frame, (1,))
        ((raw),) = protobuf.values(frame, OBJECT)
        first = lambda path: next(protobuf.values(raw[len(MAGIC):], path), b"").decode()
        return Event(kind.decode(), first(NAME), first(REVISION))
    document = json.loads(frame)
    if "type" not in document:
        return None
    metadata = document["object"].get("metadata", {})
    is_table = document["object"].get("kind") == "Table"
    name = document["object"]["rows"][0]["cells"][0] if is_table else metadata.get("name", "")
    return Event(document["type"], name, metadata.get("resourceVersion", ""))


def is_bookmark(frame):
    return frame.startswith((b'{"type":"BOOKMARK"', b"\n\x08BOOKMARK"))


def is_error(frame):
    return frame.startswith((b'{"type":"ERROR"', b"\n\x05ERROR"))


def object_text(frame):
    """The object of a JSON frame, to the byte."""
    text = frame.decode()
    return text[text.index('"object":') + len('"object":'):text.rindex("}")]
