"""Plays recorded watches: writes what was written, in its order, and watches meanwhile, or afterwards."""

import dataclasses
import json
import re

import frames
from server import Head
from watching import Watch

PATIENCE_S = 10
# In which a frame that shouldn't come would have come.
QUIET_S = 0.15
PLACEHOLDER = re.compile(r"\{\{([^{}]+)\}\}")


class NotAnswered(Exception):
    """A read that a scenario needs isn't answered."""


@dataclasses.dataclass
class Played(Head):
    status: int
    headers: list
    body: bytes
    frames: list  # (after, frame)
    ended: str
    seconds: float
    since: int  # what the watch had to know: the revision that it names, else that of the newest write before it
    until: int  # the newest revision when it was over


class Run:
    """A scenario against one backend: `writer` changes it (writing.Writer)."""

    def __init__(self, scenario, writer):
        self.scenario = scenario
        self.writer = writer
        self.revisions = {}  # recorded to ours
        self.answers = {}  # of steps, by name
        self.last = 0  # our newest revision

    def write(self, steps, ask):
        """`ask(request)`: the JSON that the server answers to a step that only reads."""
        for step in steps:
            self.do(step, ask)

    def do(self, step, ask):
        if step.compacts:
            self.last = self.writer.do("compact")
        for write in step.writes:
            self.last = self.writer.do(f"{write.verb} {write.object}")
            if write.revision:
                self.revisions[write.revision] = str(self.last)
        self.answers[step.name] = ask(self.request(step.request)) if step.request else self._ours(step.answer)

    def request(self, recorded):
        """With placeholders filled in: {{STEP.member.member}} of that step's answer."""
        return {**recorded, "path": PLACEHOLDER.sub(lambda match: self._pick(match[1]), recorded["path"])}

    def expected(self, recorded):
        """Frames, as (after, frame), with our revisions; with a ? the recorded ones of what wasn't written."""
        return [(after, frames.with_revisions(frame, lambda revision: self.revisions.get(revision, "?" + revision)))
                for after, frame in recorded]

    def _pick(self, path):
        name, *members = path.split(".")
        value = self.answers[name]
        for member in members:
            value = value[int(member) if isinstance(value, list) else member]
        return str(value)

    def _ours(self, answer):
        metadata = (answer or {}).get("metadata", {})
        recorded = metadata.get("resourceVersion")
        return {**answer, "metadata": {**metadata, "resourceVersion": self.revisions[recorded]}} \
            if recorded in self.revisions else answer


def play(scenario, server, writer):
    """The Run and what was Played, with the writes before and during the watch."""
    run = Run(scenario, writer)
    ask = lambda request: ask_json(server, request)
    run.write(scenario.setup, ask)
    # An older state than of the newest write would do.
    if re.search(r"resourceVersion=0|NotOlderThan.*resourceVersion=\d", scenario.request["path"]):
        settle(server, scenario.request, run.last)
    request = run.request(scenario.request)
    since = named_revision(request) or run.last
    with Watch(server.open(request)) as watch:
        expect_frames(watch, scenario, -1)
        for number, step in enumerate(scenario.steps if answers_frames(watch) else []):
            watch.after = number
            run.do(step, ask)
            expect_frames(watch, scenario, number)
        wait_for_end(watch, scenario)
    return run, played(watch, since, writer)


def play_afterwards(run, server):
    """What is Played when everything has been written."""
    request = run.request(run.scenario.request)
    with Watch(server.open(request)) as watch:
        expect_frames(watch, run.scenario, len(run.scenario.steps))
        wait_for_end(watch, run.scenario)
    return played(watch, named_revision(request) or run.last, run.writer)


def played(watch, since, writer):
    return Played(watch.stream.status, watch.stream.headers, watch.body, watch.frames, watch.ended, watch.seconds, since,
                  writer.last)


def answers_frames(watch):
    return watch.stream.status == 200 and not watch.stream.values("Content-Length")


def named_revision(request):
    match = re.search(r"[?&]resourceVersion=([0-9]+)", request["path"])
    return int(match[1]) if match else 0


def counts(scenario, frame):
    return not (scenario.bookmarks_vary and frames.is_bookmark(frame))


def expect_frames(watch, scenario, number):
    """Waits for the frames that came up to this step."""
    want = sum(after <= number and counts(scenario, frame) for after, frame in scenario.frames)
    enough = lambda open_watch: sum(counts(scenario, frame) for _, frame in open_watch.frames) >= want
    if not watch.wait_until(enough, 0 if watch.late else PATIENCE_S):
        watch.late = True
    watch.wait_until(lambda _: False, QUIET_S)


def wait_for_end(watch, scenario):
    if scenario.until_end or not scenario.streams:
        watch.wait_until(lambda _: False, scenario.limit_s if scenario.until_end else PATIENCE_S)


def ask_json(server, request):
    with Watch(server.open(request)) as answer:
        answer.wait_until(lambda _: False, PATIENCE_S)
    if answer.stream.status != 200:
        raise NotAnswered(f"{request['path']}: {answer.stream.status} {answer.body[:200]!r}")
    return json.loads(answer.body)


def settle(server, request, revision):
    """A watch from whatever is known shall know what has been written."""
    path = request["path"].partition("?")[0]
    ask_json(server, {**request, "path": f"{path}?resourceVersion={revision}&resourceVersionMatch=NotOlderThan"})
