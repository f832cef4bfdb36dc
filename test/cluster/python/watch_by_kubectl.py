"""Follows streams and images with `kubectl get -w`, and writes what it prints, and at the end of standard input what
`kubectl get` does, as lines of JSON (strata/test/history, Entry): watch_by_kubectl.py KUBECTL NAME KUBECONFIG"""

import json
import os
import subprocess
import sys
import threading
import time

OPS = {"ADDED": "add", "MODIFIED": "update", "DELETED": "delete"}

kubectl, client, kubeconfig = sys.argv[1:]
output = threading.Lock()
ended = threading.Event()
running = {}


def write(op, resource, meta):
    key = "/".join(part for part in (meta.get("namespace"), meta.get("name")) if part)
    line = {"client": client, "op": op, "resource": resource, "key": key,
            "revision": meta.get("resourceVersion", "0"),
            "mark": meta.get("annotations", {}).get("strata.test/mark", "0")}
    with output:
        print(json.dumps(line), flush=True)


def start(*arguments):
    return subprocess.Popen([kubectl, f"--kubeconfig={kubeconfig}", f"--cache-dir={kubeconfig}.cache", *arguments],
                            stdout=subprocess.PIPE, text=True)


def documents(stream):
    """One after the other, indented or not."""
    text, decoder = "", json.JSONDecoder()
    for line in stream:
        text += line
        if not line.startswith(("{", "}")):
            continue
        try:
            document, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            continue
        text = text[end:].lstrip()
        yield document


def follow(resource):
    while not ended.is_set():
        write("reset", resource, {})
        running[resource] = start("get", resource, "--all-namespaces", "--watch", "--output-watch-events", "-o", "json")
        for event in documents(running[resource].stdout):
            if event["type"] in OPS:
                write(OPS[event["type"]], resource, event["object"]["metadata"])
        running[resource].wait()
        time.sleep(0.5)


for resource in ("imagestreams", "images"):
    threading.Thread(target=follow, args=(resource,), daemon=True).start()
sys.stdin.read()
ended.set()
for resource, process in running.items():
    process.kill()
    for item in json.load(start("get", resource, "--all-namespaces", "-o", "json", "--chunk-size=50").stdout)["items"]:
        write("have", resource, item["metadata"])
sys.stdout.flush()
os._exit(0)
