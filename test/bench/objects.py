"""Lists, watches and informers of image streams, beside a kube-apiserver that has the same objects: as custom resources,
and for protobuf, which those don't have, as ConfigMaps."""

import base64
import collections
import contextlib
import http.client
import json
import pathlib
import threading
import time

from load import median
from rig import SERVER_CORE, cpu_seconds, until
from state import MIB, ready

GROUP, STREAMS = "image.openshift.io", "/apis/image.openshift.io/v1/imagestreams"
CONFIG_MAPS = "/api/v1/configmaps?labelSelector=of%3Dstreams"
OUR_KEYS, THEIR_KEYS = "/openshift.io/imagestreams/", f"/registry/{GROUP}/imagestreams/"
DEFINITION = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"imagestreams.{GROUP}"},
              "spec": {"group": GROUP, "scope": "Namespaced",
                       "names": {"plural": "imagestreams", "singular": "imagestream", "kind": "ImageStream", "listKind": "ImageStreamList"},
                       "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                           "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}
AS = "application/json;as={};v=v1;g=meta.k8s.io"


# The two servers, each on the server's core, with the same image streams; only one is asked at a time.
Peers = collections.namedtuple("Peers", "ours theirs")


@contextlib.contextmanager
def peers(bench, streams, config_maps=False):
    data = ("--data-set", "A", "--streams", str(streams))
    with bench.rig.backend(*data) as url, bench.rig.server(url, audited=None) as ours, bench.rig.kube_apiserver_on(SERVER_CORE) as theirs:
        ours.url = url
        ready(bench, ours, STREAMS + "?limit=1", "admin")
        items = json.loads(bench.rig.client(ours.port).get(STREAMS, "admin"))["items"]
        assert len(items) == streams, f"{len(items)} streams are listed"
        copy(bench, theirs, items)
        if config_maps:
            copy_as_config_maps(bench, theirs, items)
        yield Peers(ours, theirs)


def copy(bench, kube, items):
    """Straight into its etcd, in the form in which it stores custom resources."""
    bench.rig.client(kube.port).post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION, "admin")
    connection = http.client.HTTPConnection(kube.url.removeprefix("http://"))
    text = lambda value: base64.b64encode(value.encode()).decode()
    for item in items:
        meta = item["metadata"]
        stored = {"apiVersion": f"{GROUP}/v1", "kind": "ImageStream", **item,
                  "metadata": {name: value for name, value in meta.items() if name != "resourceVersion"}}
        connection.request("POST", "/v3/kv/put", json.dumps({
            "key": text(f"{THEIR_KEYS}{meta['namespace']}/{meta['name']}"), "value": text(json.dumps(stored, separators=(",", ":")))}))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
    client = bench.rig.client(kube.port)

    def has_all():
        listed = json.loads(client.get(STREAMS + "?limit=1", "admin"))
        assert listed["metadata"].get("remainingItemCount", 0) + 1 == len(items)
    until(has_all)


def copy_as_config_maps(bench, kube, items):
    """Each text and number of a stream's is a value of its ConfigMap: as many strings, of the same lengths."""
    client = bench.rig.client(kube.port)
    for number, item in enumerate(items):
        values = {f"v{n}": value for n, value in enumerate(leaves({k: v for k, v in item.items() if k != "metadata"}))}
        client.post("/api/v1/namespaces/default/configmaps", {
            "metadata": {"name": f"stream-{number}", "labels": {"of": "streams"}, "annotations": item["metadata"].get("annotations", {})},
            "data": values}, "admin")


def leaves(value):
    if isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one)
    elif value is not None:
        yield str(value)


class Peak(threading.Thread):
    """The most memory of its own, without pages of files, that a process has while this runs."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status, self.most, self.ended = pathlib.Path(f"/proc/{pid}/status"), 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.01):
            self.most = max(self.most, anonymous_bytes(self.status))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


def anonymous_bytes(status):
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("RssAnon:"))


def read_list(bench, server, path, accept, encoding, page=0):
    """CPU, bytes, seconds to the first byte, and peak memory of one whole list."""
    client = bench.rig.client(server.port).connection
    client.connect()
    headers = {"Authorization": "Bearer admin", "Accept": accept, "Accept-Encoding": encoding}
    size, first, token = 0, None, ""
    before, begin = cpu_seconds(server.pid), time.monotonic()
    with Peak(server.pid) as peak:
        while True:
            query = f"limit={page}&continue={token}" if page else ""
            client.request("GET", path + ("&" if "?" in path else "?") + query, headers=headers)
            answer = client.getresponse()
            body = [answer.read(1)]
            first = first or time.monotonic() - begin
            while piece := answer.read(1 << 20):
                body.append(piece)
            size += sum(map(len, body))
            assert answer.status == 200, body[:1]
            token = json.loads(b"".join(body))["metadata"].get("continue", "") if page else ""
            if not token:
                break
    return {"cpu": cpu_seconds(server.pid) - before, "bytes": size, "first": first, "peak": peak.most, "wall": time.monotonic() - begin}


def lists(bench):
    """Lists of 10,000 image streams in every form, beside a kube-apiserver's of the same objects."""
    streams = 1_000 if bench.quick else 10_000
    forms = [("json", "JSON", "application/json", STREAMS, 0, ">= 5"),
             ("protobuf", "protobuf, beside ConfigMaps", "application/vnd.kubernetes.protobuf", CONFIG_MAPS, 0, ">= 8"),
             ("table", "Table", AS.format("Table"), STREAMS, 0, None),
             ("metadata", "metadata alone", AS.format("PartialObjectMetadataList"), STREAMS, 0, None),
             ("pages", "JSON, in pages of 500", "application/json", STREAMS, 500, None)]
    with peers(bench, streams, config_maps=True) as both:
        for name, figure, accept, their_path, page, target in forms:
            for encoding in ("identity", "gzip"):
                if page and encoding == "gzip":
                    continue
                ours, theirs = [], []
                for _ in range(bench.few_rounds):
                    ours.append(read_list(bench, both.ours, STREAMS, accept, encoding, page))
                    theirs.append(read_list(bench, both.theirs, their_path, accept, encoding, page))
                add_list(bench, f"{name}-{encoding}", f"{figure}{', gzip' if encoding == 'gzip' else ''}", streams, ours, theirs,
                         None if bench.quick or encoding == "gzip" else target, page)


def add_list(bench, row, figure, streams, ours, theirs, target, page):
    of = lambda rounds, what: median([one[what] for one in rounds])
    megabytes = lambda rounds: f"{of(rounds, 'bytes') / 1e6:,.1f} MB"
    bench.table.ratio(f"{row}-cpu", f"list of {streams:,} streams, {figure}: CPU", [one["cpu"] for one in ours], [one["cpu"] for one in theirs],
                      "x less", target, f"{megabytes(ours)}, beside {megabytes(theirs)}")
    if not page:
        bench.table.add(f"{row}-first", "its first byte", of(ours, "first") * 1e3, "ms", None if bench.quick else "< 50",
                        None, f"kube-apiserver: {of(theirs, 'first') * 1e3:,.0f} ms; the whole in {of(ours, 'wall'):.2f} s, beside {of(theirs, 'wall'):.2f} s")
    bench.table.add(f"{row}-peak", "its peak memory, without pages of files", of(ours, "peak") / MIB, "MiB", None, None,
                    f"kube-apiserver: {of(theirs, 'peak') / MIB:,.0f} MiB")


def watches(bench):
    """1,000 and 10,000 watches: memory each, CPU an event, and from etcd's acknowledgement to the event."""
    with peers(bench, 1_000) as both:
        query = STREAMS + "?watch=true&allowWatchBookmarks=true&resourceVersion={}"
        revision = lambda server: json.loads(bench.rig.client(server.port).get(STREAMS + "?limit=1", "admin"))["metadata"]["resourceVersion"]
        names = [name.split("/") for name in paths_of_streams(bench)]
        for count, writes, rate in ((1_000, 40, 10), (10_000, 10, 1)) if not bench.quick else ((1_000, 10, 5),):
            ours = watch(bench, both.ours, OUR_KEYS, query.format(revision(both.ours)), count, writes, rate)
            add_watches(bench, f"all-{count}", f"{count:,} watches of everything", ours, "<= 8")
            theirs = watch(bench, both.theirs, THEIR_KEYS, query.format(revision(both.theirs)), count, writes, rate)
            add_watches(bench, f"all-{count}-theirs", f"kube-apiserver: {count:,} watches of everything", theirs)
            each = lambda done: done["cpu_s"] / done["events"]
            bench.table.ratio(f"all-{count}-cpu", f"CPU an event and watch, {count:,} watches of everything", [each(ours)], [each(theirs)], "x less")
        # Each watches one stream, and all streams are watched.
        for who, server, keys, target in (("", both.ours, OUR_KEYS, "< 10"), ("kube-apiserver: ", both.theirs, THEIR_KEYS, None)):
            at = revision(server)
            one = [f"/apis/{GROUP}/v1/namespaces/{ns}/imagestreams?watch=true&resourceVersion={at}&fieldSelector=metadata.name%3D{name}"
                   for ns, name in names]
            done = watch(bench, server, keys, one, len(one), 500 * (2 if bench.quick else 10), 500)
            bench.table.add("single" + ("-theirs" if who else ""), f"{who}p99 from commit to event: 1,000 watches of one stream each, 500 writes/s",
                            done["delay_us"]["p99"] / 1e3, "ms", target, None,
                            f"p50 {done['delay_us']['p50'] / 1e3:.2f} ms, p99.9 {done['delay_us']['p999'] / 1e3:.2f} ms; "
                            f"{done['cpu_s'] / done['writes'] * 1e6:.0f} us of CPU a write")


def paths_of_streams(bench):
    return [f"{path.split('/')[5]}/{path.split('/')[7]}" for path in bench.rig.paths("--data-set", "A", "--streams", "1000")]


def watch(bench, server, keys, paths, count, writes, rate):
    done = bench.load.benchload("watch", server, paths, "-token=admin", f"-etcd={server.url}", f"-prefix={keys}", f"-watches={count}",
                                f"-n={writes}", f"-rate={rate}", f"-pid={server.pid}")
    if done["ended"]:
        raise SystemExit(f"watches ended: {done}")
    return done


def add_watches(bench, row, figure, done, target=None):
    missing = done["writes"] * done["watches"] - done["events"]
    bench.table.add(row, f"{figure}: memory a watch, idle", done["idle_bytes"] / done["watches"] / 1024, "KiB", target, None,
                    f"{done['cpu_s'] / done['events'] * 1e6:.1f} us of CPU an event and watch of {done['bytes'] / done['events'] / 1e3:.1f} KB; p99 from commit "
                    f"{done['delay_us']['p99'] / 1e3:,.0f} ms; {missing} events of {done['writes'] * done['watches']:,} missing; "
                    f"{done['peak_bytes'] / MIB:,.0f} MiB after them", cpu_s=done["cpu_s"], events=done["events"])


def informers(bench):
    """100 informers that start together: list and watch, or a watch that begins with the list."""
    with peers(bench, 1_000) as both:
        for how, figure, options in (("listed", "list, then watch", ()), ("streamed", "a watch that begins with the list", ("-streamed",))):
            done = {}
            for who, server in (("ours", both.ours), ("theirs", both.theirs)):
                store = bench.rig.process_of(server.url).pid
                before = cpu_seconds(server.pid), cpu_seconds(store)
                with Peak(server.pid) as peak:
                    done[who] = bench.load.benchload("inform", server, STREAMS, "-token=admin", f"-n={20 if bench.quick else 100}", *options)
                done[who] |= {"cpu": cpu_seconds(server.pid) - before[0], "etcd": cpu_seconds(store) - before[1], "peak": peak.most}
            ours, theirs = done["ours"], done["theirs"]
            say = lambda one: (f"{one['cpu']:.2f} s of CPU, etcd {one['etcd']:.2f} s, {one['bytes'] / 1e6:,.0f} MB, all have it after "
                               f"{one['seconds']:.1f} s, peak {one['peak'] / MIB:,.0f} MiB")
            bench.table.add(how, f"{ours['informers']} informers of 1,000 streams, {figure}: CPU", theirs["cpu"] / ours["cpu"], "x less", None, None,
                            f"{say(ours)}; kube-apiserver: {say(theirs)}")
