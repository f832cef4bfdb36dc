#!/usr/bin/env python3
"""What is compared of a body, and how."""

import gzip
import json
import unittest

import comparing
import protobuf
from protobuf import LENGTH_DELIMITED, field
from server import Answer

JSON, YAML, PROTOBUF = "application/json", comparing.YAML, comparing.PROTOBUF


class OneRecording:
    """In the place of recorded.Recorded."""

    def __init__(self, body):
        self.one = body

    def body(self, _):
        return self.one


def problems(want, got, media_type=JSON, status=200, headers=(), response=None, **case):
    heads = [("Content-Type", media_type), ("Audit-Id", "a"), ("Date", "now"), *headers]
    recorded = {"status": 200, "headers": [list(head) for head in heads], **(response or {})}
    return comparing.compare(OneRecording(want), {"request": {"headers": {}, "method": "GET"}, "response": recorded, **case},
                             Answer(status, heads, got))


def json_list(*items, member="items"):
    return json.dumps({"kind": "List", "metadata": {"resourceVersion": "7"}, member: items}).encode()


def protobuf_list(*items, revision=b"7"):
    items = b"".join(field(2, LENGTH_DELIMITED, item) for item in items)
    metadata = field(1, LENGTH_DELIMITED, field(2, LENGTH_DELIMITED, revision))
    return b"k8s\0" + field(1, LENGTH_DELIMITED, b"") + field(2, LENGTH_DELIMITED, metadata + items)


def protobuf_item(name, revision=b"7"):
    metadata = field(1, LENGTH_DELIMITED, name) + field(6, LENGTH_DELIMITED, revision)
    return field(1, LENGTH_DELIMITED, metadata)


ONE, TWO = {"name": "one", "n": 1}, {"name": "two", "n": 2}
YAML_ONE_TWO, YAML_TWO_ONE = b"items:\n- {a: 1}\n- {a: 2}\n", b"items:\n- {a: 2}\n- {a: 1}\n"


class Bodies(unittest.TestCase):
    def test_the_order_of_items_counts_unless_it_is_not_determined(self):
        for media_type, want, got in (
                (JSON, json_list(ONE, TWO), json_list(TWO, ONE)),
                (JSON, json_list(ONE, TWO, member="rows"), json_list(TWO, ONE, member="rows")),
                (PROTOBUF, protobuf_list(b"one", b"two"), protobuf_list(b"two", b"one")),
                (YAML, YAML_ONE_TWO, YAML_TWO_ONE)):
            with self.subTest(media_type):
                self.assertNotEqual(problems(want, got, media_type), [])
                self.assertEqual(problems(want, got, media_type, unordered=True), [])

    def test_all_else_counts_where_the_order_does_not(self):
        for media_type, want, got in (
                (JSON, json_list(ONE, TWO), json_list(TWO, TWO)),
                (JSON, json_list(ONE, TWO), json_list(TWO)),
                (JSON, json_list(ONE, TWO), json_list({"n": 1, "name": "one"}, TWO)),
                (JSON, json_list(ONE, TWO), json_list(TWO, ONE) + b" "),
                (JSON, json_list(ONE, TWO), json_list(TWO, ONE).replace(b'"7"', b'"8"')),
                (PROTOBUF, protobuf_list(b"one", b"two"), protobuf_list(b"two", b"two")),
                (PROTOBUF, protobuf_list(b"one", b"two"), protobuf_list(b"two", b"one", revision=b"8")),
                (YAML, YAML_ONE_TWO, b"items:\n- {a: 2}\n- {a: 3}\n")):
            with self.subTest(media_type, got=got):
                self.assertNotEqual(problems(want, got, media_type, unordered=True), [])

    def test_the_revisions_of_another_server_do_not_count(self):
        for media_type, want, got in (
                (JSON, json_list(ONE), json_list(ONE).replace(b'"7"', b'"1234"')),
                (YAML, b"metadata: {resourceVersion: \"7\"}\n", b"metadata: {resourceVersion: \"1234\"}\n"),
                (PROTOBUF, protobuf_list(protobuf_item(b"a")), protobuf_list(protobuf_item(b"a", b"1234"), revision=b"12"))):
            with self.subTest(media_type):
                self.assertNotEqual(problems(want, got, media_type), [])
                self.assertEqual(problems(want, got, media_type, kubeRevision=True), [])
        other = protobuf_list(protobuf_item(b"b"))
        self.assertNotEqual(problems(protobuf_list(protobuf_item(b"a")), other, PROTOBUF, kubeRevision=True), [])

    def test_compressed_bodies_are_compared_by_what_they_decode_to(self):
        encoding = [("Content-Encoding", "gzip")]
        gzipped = lambda body: problems(b"{}\n", body, headers=encoding, response={"decodedSha256": "of the recorded one"})
        self.assertEqual(gzipped(gzip.compress(b"{}\n", 1)), [])
        self.assertNotEqual(gzipped(gzip.compress(b"{ }\n")), [])
        self.assertNotEqual(gzipped(b"{}\n"), [])
        self.assertNotEqual(gzipped(gzip.compress(b"{}\n")[:-9]), [])

    def test_what_cannot_be_read_is_a_difference(self):
        for media_type in (JSON, YAML, PROTOBUF):
            for garbage in (b"", b"\xff\xff\xff\xff\xff", b"k8s\0\x12\xff", b"[1]", b"- : -"):
                with self.subTest(media_type, garbage=garbage):
                    self.assertNotEqual(problems(b"k8s\0" + b"a" * len(garbage), garbage, media_type, unordered=True), [])

    def test_another_status_is_said_with_the_body(self):
        self.assertIn("got 404: 'gone'", problems(b"{}", b"gone", status=404)[0])


class Protobuf(unittest.TestCase):
    def test_what_is_taken_apart_is_put_together_again(self):
        body = protobuf_list(protobuf_item(b"a"), b"x" * 300)
        self.assertEqual(b"k8s\0" + protobuf.edited(body[4:], (2, 1, 2), lambda value: value), body)


if __name__ == "__main__":
    unittest.main()
