"""Follows streams and images with the Python client's watches, and writes what they tell, and at the end of its standard
input what there is then, as lines of JSON (strata/test/history, Entry): watch.py KUBECONFIG"""

import json
import os
import sys
import threading
import time

import urllib3
from kubernetes import client, config, watch

OPS = {"ADDED": "add", "MODIFIED": "update", "DELETED": "delete"}
GROUP = ("image.openshift.io", "v1")

output = threading.Lock()


def write(op, resource, meta):
    line = {"client": "Python", "op": op, "resource": resource, "key": key_of(meta),
            "revision": meta.get("resourceVersion", "0"),
            "mark": meta.get("annotations", {}).get("strata.test/mark", "0")}
    with output:
        print(json.dumps(line), flush=True)


def key_of(meta):
    return "/".join(part for part in (meta.get("namespace"), meta.get("name")) if part)


class Follower:
    """Lists, and watches from there until it is told that this is too old: as the library's documentation has it."""

    def __init__(self, kubeconfig, resource):
        self.api = client.CustomObjectsApi(config.new_client_from_config(kubeconfig))
        self.resource = resource
        self.revision = None
        self.held = {}
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                if self.revision is None:
                    self.list()
                self.watch()
            except client.ApiException as error:
                if error.status == 410:
                    self.revision = None
                else:
                    time.sleep(0.5)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.5)

    def list(self):
        listed = self.api.list_cluster_custom_object(*GROUP, self.resource)
        write("reset", self.resource, {})
        self.held = {}
        for item in listed["items"]:
            self.take("add", item["metadata"])
        self.revision = listed["metadata"]["resourceVersion"]

    def watch(self):
        for event in watch.Watch().stream(self.api.list_cluster_custom_object, *GROUP, self.resource,
                                          resource_version=self.revision, timeout_seconds=4, allow_watch_bookmarks=True):
            meta = event["object"]["metadata"]
            if event["type"] in OPS:
                self.take(OPS[event["type"]], meta)
            self.revision = meta["resourceVersion"]

    def take(self, op, meta):
        write(op, self.resource, meta)
        self.held[key_of(meta)] = meta
        if op == "delete":
            del self.held[key_of(meta)]


followers = [Follower(sys.argv[1], resource) for resource in ("imagestreams", "images")]
sys.stdin.read()
for follower in followers:
    for meta in list(follower.held.values()):
        write("have", follower.resource, meta)
sys.stdout.flush()
os._exit(0)
