"""What differs between a watch that was played and the recorded one."""

import re

import frames
from comparing import compare_headers, difference

EARLY_S = 0.3  # clocks of two processes


def compare(scenario, expected, played, steps_count=True):
    """Problems, as text. `expected`: the recorded frames, with our revisions, as (after, frame); `steps_count`: they have to
    come after the step after which they came."""
    problems = []
    if played.status != scenario.response["status"]:
        problems.append(f"status: want {scenario.response['status']}, got {played.status}")
    problems += compare_headers({"request": scenario.request, "response": scenario.response}, played)
    if played.ended != scenario.ended:
        problems.append(f"end: want by {scenario.ended}, got by {played.ended} after {played.seconds:.1f} s")
    body = scenario.response.get("body")
    if body is not None:  # a protobuf Status has bytes in it that no text has
        got = played.body.decode(errors="replace")
        return problems if got == body else problems + [difference(body, got)]
    try:
        problems += compare_frames(scenario, expected, played, steps_count)
        problems += check_bookmarks(played)
        problems += check_time(scenario, played)
    except (ValueError, KeyError, IndexError, TypeError, StopIteration) as error:
        problems.append(f"a frame isn't one: {error!r} in {played.body[-300:]!r}")
    return problems


def compare_frames(scenario, expected, played, steps_count):
    want = [(after if steps_count else None, normal(frame)) for after, frame in expected]
    got = [(after if steps_count else None, normal(frame)) for after, frame in played.frames]
    problems = []
    if scenario.bookmarks_vary:
        problems = compare_bookmarks(want, got)
        want, got = ([each for each in side if not frames.is_bookmark(each[1])] for side in (want, got))
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    if at < max(len(want), len(got)):
        problems.append(f"{len(got)} frames, want {len(want)}; the first that differs is number {at}")
        problems += describe_difference(want[at:], got[at:])
    return problems


def normal(frame):
    frame = frames.comparable(frame)
    return frames.with_revisions(frame, lambda _: "BOOKMARK") if frames.is_bookmark(frame) else frame


def describe_difference(want, got):
    if not got:
        return [f"  missing, after step {want[0][0]}: {want[0][1][:300]!r}"]
    if not want:
        return [f"  too many, after step {got[0][0]}: {got[0][1][:300]!r}"]
    problems = []
    if want[0][0] != got[0][0]:
        problems.append(f"  want after step {want[0][0]}, got after step {got[0][0]}")
    if want[0][1] != got[0][1]:
        problems.append("  " + difference(want[0][1], got[0][1]))
    return problems


def compare_bookmarks(want, got):
    """When they come and how many isn't determined, but each is one of those that were recorded."""
    want, got = ([frame for _, frame in side if frames.is_bookmark(frame)] for side in (want, got))
    problems = [f"bookmark: {difference(want[0], frame)}" for frame in got if want and frame not in want]
    if bool(want) != bool(got):
        problems.append(f"{len(got)} bookmarks, want {len(want)}")
    return problems


def check_bookmarks(played):
    """A client that goes on from a bookmark misses nothing, sees nothing again, and isn't sent back."""
    problems, newest, promised = [], played.since, 0
    for _, frame in played.frames:
        event = frames.event(frame)
        revision = int(event.revision) if event and event.revision else None
        if revision is None:
            continue
        if event.type == "BOOKMARK":
            if not newest <= revision <= played.until:
                problems.append(f"a bookmark at {revision}, not between {newest} and {played.until}")
            promised = revision
        elif revision <= promised:
            problems.append(f"an event of {revision} after a bookmark at {promised}")
        newest = max(newest, revision)
    return problems


def check_time(scenario, played):
    """A watch isn't ended before its time, but for an error."""
    asked = re.search(r"[?&]timeoutSeconds=(\d+)", scenario.request["path"])
    if not asked or played.ended != "server" or any(frames.is_error(frame) for _, frame in played.frames):
        return []
    if played.seconds < int(asked[1]) - EARLY_S:
        return [f"ended after {played.seconds:.1f} s, not {asked[1]}"]
    return []
