#!/usr/bin/env python3
"""What the runner of watches finds, and what it lets pass: the recorded frames themselves, changed and unchanged."""

import dataclasses
import pathlib
import queue
import struct
import time
import unittest
from unittest import mock

import comparing_watches
import frames
import player
from player import Played, Run
from scenario import Scenario
from server import Head

WATCHES = pathlib.Path(__file__).resolve().parent.parent / "golden-resources" / "watches"
FOR_EVER = 1000


def scenarios():
    return [Scenario(path) for path in sorted(WATCHES.glob("*.json"))]


def as_recorded(scenario):
    """What is played where everything is as it was recorded."""
    return Played(scenario.response["status"], [tuple(header) for header in scenario.response["headers"]],
                  scenario.response.get("body", "").encode(), list(scenario.frames), scenario.ended, FOR_EVER, 0, 1 << 40)


def problems(scenario, played, **how):
    return comparing_watches.compare(scenario, scenario.frames, played, **how)


def with_byte_changed(frame):
    return frame[:-5] + bytes([frame[-5] ^ 1]) + frame[-4:]


# Of (after, frame)s and the number of one.
CHANGES = {
    "a byte": lambda seen, at: [*seen[:at], (seen[at][0], with_byte_changed(seen[at][1])), *seen[at + 1:]],
    "missing": lambda seen, at: seen[:at] + seen[at + 1:],
    "doubled": lambda seen, at: seen[:at + 1] + seen[at:],
    "in the other order": lambda seen, at: [*seen[:at], *reversed(seen[at:at + 2]), *seen[at + 2:]],
    "later": lambda seen, at: [*seen[:at], (seen[at][0] + 1, seen[at][1]), *seen[at + 1:]],
}


class Comparison(unittest.TestCase):
    def test_what_was_recorded_is_equal(self):
        for scenario in scenarios():
            with self.subTest(scenario.name):
                self.assertEqual(problems(scenario, as_recorded(scenario)), [])

    def test_each_change_of_a_frame_is_found(self):
        for scenario in scenarios():
            for at, (_, frame) in enumerate(scenario.frames):
                for what, change in CHANGES.items():
                    if what == "in the other order" and at + 1 == len(scenario.frames):
                        continue
                    determined = not frames.is_bookmark(frame) and what != "in the other order"
                    if what != "a byte" and scenario.bookmarks_vary and not determined:
                        continue
                    with self.subTest(scenario.name, frame=at, change=what):
                        played = dataclasses.replace(as_recorded(scenario), frames=change(scenario.frames, at))
                        self.assertNotEqual(problems(scenario, played), [])

    def test_the_step_is_not_asked_for_where_all_was_written_before(self):
        for scenario in scenarios():
            played = dataclasses.replace(as_recorded(scenario), frames=[(-1, frame) for _, frame in scenario.frames])
            with self.subTest(scenario.name):
                self.assertEqual(problems(scenario, played, steps_count=False), [])

    def test_another_end_is_found(self):
        for scenario in scenarios():
            for ended in {"server", "client", "cut"} - {scenario.ended}:
                with self.subTest(scenario.name, ended=ended):
                    self.assertNotEqual(problems(scenario, dataclasses.replace(as_recorded(scenario), ended=ended)), [])

    def test_an_early_end_is_found(self):
        played = dataclasses.replace(as_recorded(recorded("rv.future")), seconds=2.5)
        self.assertEqual(problems(recorded("rv.future"), played), ["ended after 2.5 s, not 3"])

    def test_another_head_is_found(self):
        for scenario in scenarios():
            for change in ({"status": 418}, {"headers": [*as_recorded(scenario).headers, ("Vary", "Accept-Encoding")]}):
                with self.subTest(scenario.name, change=change):
                    self.assertNotEqual(problems(scenario, dataclasses.replace(as_recorded(scenario), **change)), [])

    def test_another_error_is_found(self):
        for scenario in scenarios():
            if scenario.response.get("body"):
                body = scenario.response["body"]
                played = dataclasses.replace(as_recorded(scenario), body=body.replace("a", "b", 1).encode())
                with self.subTest(scenario.name):
                    self.assertNotEqual(problems(scenario, played), [])

    def test_bookmarks_promise_no_less_and_no_more_than_was_sent(self):
        scenario = recorded("initial.rv")
        bookmark = int(frames.event(scenario.frames[2][1]).revision)
        for what, change in {"the watch had to know more": {"since": bookmark + 1},
                             "there is no such revision yet": {"until": bookmark - 1},
                             "below what was sent": {"frames": at_revision(scenario.frames, 2, bookmark - 1)},
                             "an event of what was promised": {"frames": at_revision(scenario.frames, 2, bookmark + 1)},
                             }.items():
            with self.subTest(what):
                self.assertNotEqual(problems(scenario, dataclasses.replace(as_recorded(scenario), **change)), [])

    def test_a_bookmark_that_was_recorded_has_to_come(self):
        for scenario in scenarios():
            if scenario.bookmarks_vary:
                without = [each for each in scenario.frames if not frames.is_bookmark(each[1])]
                with self.subTest(scenario.name):
                    self.assertNotEqual(problems(scenario, dataclasses.replace(as_recorded(scenario), frames=without)), [])

    def test_what_is_no_frame_is_found(self):
        played = as_recorded(recorded("life.json"))
        for garbage in (b"\n", b"{}\n", b"null\n", b'{"type":"ADDED"}\n', b"\x08"):
            with self.subTest(garbage):
                self.assertNotEqual(
                    problems(recorded("life.json"), dataclasses.replace(played, frames=[*played.frames, (5, garbage)])), [])


def recorded(name):
    return Scenario(WATCHES / f"{name}.json")


def at_revision(seen, at, revision):
    after, frame = seen[at]
    return [*seen[:at], (after, frames.with_revisions(frame, lambda _: str(revision))), *seen[at + 1:]]


class Frames(unittest.TestCase):
    def test_every_frame_survives_being_written_again(self):
        for scenario in scenarios():
            for _, frame in scenario.frames:
                self.assertEqual(frames.with_revisions(frame, lambda revision: revision), frame)

    def test_a_revision_may_get_longer(self):
        frame = recorded("life.pb").frames[0][1]
        longer = frames.with_revisions(frame, lambda _: "123456789" * 20)
        self.assertEqual(frames.event(longer).revision, "123456789" * 20)
        self.assertEqual(frames.with_revisions(longer, lambda _: frames.event(frame).revision), frame)

    def test_bodies_are_cut_wherever_they_are_divided(self):
        for name in ("life.json", "life.pb"):
            seen = [frame for _, frame in recorded(name).frames]
            body = b"".join(wire(frame) for frame in seen)
            for size in (1, 7, len(body)):
                cutter = frames.Cutter(is_protobuf=name == "life.pb")
                got = [frame for at in range(0, len(body), size) for frame in cutter.feed(body[at:at + size])]
                self.assertEqual((got, cutter.rest), (seen, b""))


def wire(frame):
    return frame if frames.is_json(frame) or not frame else struct.pack(">I", len(frame)) + frame


class Writes(unittest.TestCase):
    def test_the_steps_write_every_revision_that_an_event_has(self):
        for scenario in scenarios():
            written = {write.revision for step in scenario.setup + scenario.steps for write in step.writes}
            for _, frame in scenario.frames:
                if not frames.is_bookmark(frame) and frames.event(frame):
                    self.assertLessEqual({frames.event(frame).revision}, written | {""}, scenario.name)

    def test_what_changes_nothing_writes_nothing(self):
        steps = {step.name: step.writes for step in recorded("life.json").steps}
        self.assertEqual(steps["noop"], [])
        self.assertEqual([write.verb for write in steps["rm-three"]], ["delete"])

    def test_a_collection_is_deleted_one_by_one(self):
        (step,) = recorded("deletecollection").steps
        self.assertEqual([(write.verb, write.revision) for write in step.writes], [("delete", "1202"), ("delete", "1203")])


class FakeStore:
    """In the place of a backend and of a server: says what was recorded as soon as it is written. `change` is given the
    frames of each step."""

    def __init__(self, scenario, change=lambda after, seen: seen):
        self.scenario, self.change = scenario, change
        self.last = 5000
        self.revisions = {}
        self.coming = queue.Queue()
        # (the number of the step, or nothing of one before the watch, write)
        self.writes = [(None, write) for step in scenario.setup for write in step.writes]
        self.writes += [(number, write) for number, step in enumerate(scenario.steps) for write in step.writes]

    def do(self, _):
        self.last += 3
        number, write = self.writes.pop(0)
        self.revisions[write.revision] = str(self.last)
        if number is not None and number not in [later for later, _ in self.writes]:
            self.send(number)
        return self.last

    def open(self, _):
        stream = FakeStream(self.scenario, self.coming)
        self.send(-1)
        if self.scenario.ended == "server":
            self.coming.put(b"")
        return stream

    def send(self, after):
        ours = lambda frame: frames.with_revisions(frame, lambda revision: self.revisions.get(revision, str(self.last)))
        for frame in self.change(after, [ours(frame) for at, frame in self.scenario.frames if at == after]):
            self.coming.put(wire(frame))


class FakeStream(Head):
    def __init__(self, scenario, coming):
        self.begun = time.monotonic()
        self.status = scenario.response["status"]
        self.headers = scenario.response["headers"]
        self.coming = coming

    def read(self):
        return self.coming.get()

    def hang_up(self):
        self.coming.put(None)

    def close(self):
        pass


class Playing(unittest.TestCase):
    def play(self, name, change=lambda after, seen: seen):
        scenario = recorded(name)
        store = FakeStore(scenario, change)
        with mock.patch.multiple(player, PATIENCE_S=0.3, QUIET_S=0.01):
            run, played = player.play(scenario, store, store)
        return comparing_watches.compare(scenario, run.expected(scenario.frames), played)

    def test_a_faithful_server_is_equal(self):
        for name in ("life.json", "life.pb", "life.table", "life.pom", "label.pb", "label.notin", "initial.pb", "initial.table",
                     "initial.images", "images.life", "mapping", "deletecollection", "rv.one-to-now", "field.spec-repo",
                     "life.watch-one-get"):
            with self.subTest(name):
                self.assertEqual(self.play(name), [])

    def test_a_server_that_is_one_step_late_is_found(self):
        held = []

        def one_late(_, seen):
            held.append(seen)
            return held[-2] if len(held) > 1 else []

        self.assertNotEqual(self.play("life.json", one_late), [])

    def test_a_server_that_ends_its_answer_is_found(self):
        self.assertIn("got by server", " ".join(self.play("life.json", lambda after, seen: [b""] if after == 4 else seen)))

    def test_a_server_that_breaks_off_is_found(self):
        self.assertIn("got by cut",
                      " ".join(self.play("life.json", lambda after, seen: [b'{"type":'] + [b""] if after == 4 else seen)))


if __name__ == "__main__":
    unittest.main()
