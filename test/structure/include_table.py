#!/usr/bin/env python3
"""Checks every #include of the project against the table of rooms in docs/architecture.md.

The table is the rule: a row is `| room | may include |`, where the second cell lists rooms (with all below them,
`lib/transport/net` or `proto`), and libraries by the names in LIBRARIES. Everything may use the standard library, POSIX
headers, fmt and abseil. Tests, fuzz targets and benches may also use gtest, rapidcheck, benchmark and test/support.
What a row grants and nobody uses is an error too.
"""

import pathlib
import re
import sys

LIBRARIES = {
    "Asio": ("boost/asio", "boost/system"),
    "Beast": ("boost/beast",),
    "SmartPtr": ("boost/smart_ptr",),
    "OpenSSL": ("openssl/",),
    "nghttp2": ("nghttp2/",),
    "gRPC": ("grpc/", "grpcpp/", "grpc++/"),
    "LMDB": ("lmdb.h",),
    "libmicrohttpd": ("microhttpd.h",),
    "simdjson": ("simdjson",),
    "RapidJSON": ("rapidjson/",),
    "libyaml": ("yaml.h",),
    "libdeflate": ("libdeflate.h",),
    "libcurl": ("curl/",),
    "libsodium": ("sodium",),
    "zlib": ("zlib.h",),
    "protobuf": ("google/protobuf/",),
    "prometheus-cpp": ("prometheus/",),
    "CLI11": ("CLI/",),
}
EVERYWHERE = ("absl/", "fmt/")
# The embedded store is the backend that tests of the rooms above it run against.
TEST_BACKEND = ("storage/engine/store.h", "storage/rpc/server.h")
TESTS_ONLY = ("gtest/", "gmock/", "rapidcheck", "benchmark/", "test/support/", "test/fuzz/")
TEST_FILE = re.compile(r"(_test|_fuzz|_bench)\.(cc|h)$")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
ROW = re.compile(r"^\|\s*`([\w/.]+)`\s*\|([^|]*)\|")


def read_table(doc: pathlib.Path) -> dict[str, list[str]]:
    rooms = {}
    section = doc.read_text().split("\n## Rooms\n", 1)[-1].split("\n## ", 1)[0]
    for line in section.splitlines():
        if match := ROW.match(line):
            rooms[match[1]] = re.findall(r"`([^`]+)`", match[2])
    return rooms


def room_of(path: str, rooms: dict[str, list[str]]) -> str | None:
    inside = [room for room in rooms if path == room or path.startswith(room + "/")]
    return max(inside, key=len, default=None)


def grant_for(include: str, room: str, rooms: dict[str, list[str]]) -> str | None:
    """The grant of its room's row that an include uses."""
    target = room_of(include, rooms)
    library = next((name for name, heads in LIBRARIES.items() if include.startswith(heads)), None)
    for grant in rooms[room]:
        if target is not None and (target == grant or target.startswith(grant + "/") or include == grant):
            return grant
        if target is None and library == grant:
            return grant
    return None


def is_free(include: str, room: str, rooms: dict[str, list[str]], is_test: bool) -> bool:
    """Whether it needs no grant."""
    if is_test and (include.startswith(TESTS_ONLY) or include in TEST_BACKEND):
        return True
    target = room_of(include, rooms)
    if target is not None:
        return target == room
    if any(include.startswith(heads) for heads in LIBRARIES.values()):
        return False
    return include.startswith(EVERYWHERE) or "/" not in include or include.startswith(("sys/", "arpa/", "linux/", "net/", "netinet/"))


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    rooms = read_table(root / "docs/architecture.md")
    if len(rooms) < 10:
        print("docs/architecture.md: the table of rooms is gone or has another form")
        return 1
    checked, errors = 0, []
    # Of proto only what is generated includes anything.
    unused = {(room, grant) for room, grants in rooms.items() for grant in grants if room != "proto"}
    for top in sorted({room.split("/")[0] for room in rooms}):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            relative = str(path.relative_to(root))
            room = room_of(relative, rooms)
            checked += 1
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                include = match[1] or match[2]
                is_test = bool(TEST_FILE.search(relative))
                if room is None:
                    errors.append(f"{relative}: stands in no room of the table")
                    break
                grant = grant_for(include, room, rooms)
                unused.discard((room, grant))
                if grant is None and not is_free(include, room, rooms, is_test):
                    errors.append(f"{relative}:{number}: {room} may not include {include}")
    errors += [f"docs/architecture.md: nothing in {room} includes {grant}" for room, grant in sorted(unused)]
    for error in errors:
        print(error)
    print(f"{checked} files, {len(errors)} errors")
    return 1 if errors or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
