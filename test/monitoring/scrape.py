#!/usr/bin/env python3
"""A Prometheus scrapes both programs, and finds whatever somebody asks for.

usage: scrape.py TREE DIRECTORY_OF_THE_PROGRAMS

Who asks: our alerts, rules and dashboards, and the panels of others. A selector that finds nothing is an error, and so is a
panel without a line, unless what has to happen first stands in AFTER_EVENTS. What is served has the labels that
docs/metrics.md says.
"""

import json
import pathlib
import re
import sys
import tempfile
import time

import expressions
import panels_of_others
from live import PATIENCE_SECONDS, Live

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "documents"))
import metrics

# By the beginning of the selector: nothing is there until...
AFTER_EVENTS = {
    "apiserver_request_terminations_total{": "a request is turned away or cut off",
    'apiserver_request_total{job="strata-apiserver", instance=~".*", code=~"5.."}': "the server fails",
    "kube_cronjob_": "kube-state-metrics looks at a CronJob",
    f'grpc_server_handled_total{{{panels_of_others.STORE}, grpc_type="unary", grpc_code=': "a call fails so",
}
OBJECTIVE = "apiserver_request_sli_duration_seconds_count"
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$", re.M)
LABEL = re.compile(r'(\w+)="(?:[^"\\]|\\.)*"')


def waits_for_an_event(selector):
    return any(selector.startswith(beginning) for beginning in AFTER_EVENTS)


def missing(live, place, expression, is_alert):
    """What isn't found. An alert's expression finds nothing while all is well."""
    selectors = expressions.selectors(expression)
    lacking = [one for one in selectors if not waits_for_an_event(one) and not live.query(f"count({one})")]
    if lacking:
        return f"{place}: there is no {', '.join(lacking)}"
    may_be_empty = is_alert or any(map(waits_for_an_event, selectors))
    found = live.query(expression)
    return None if found or may_be_empty else f"{place}: nothing is found by {expression}"


def everything_asked(component):
    groups = json.loads((component / "rendered/prometheusrule.json").read_text())["spec"]["groups"]
    for group in groups:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"], "alert" in rule
    for file in sorted((component / "rendered").glob("strata-*.json")):
        for place, expression in expressions.of_dashboard(json.loads(file.read_text())):
            yield place, expression, False
    for others in ("API_SERVER", "ETCD"):
        for expression in getattr(panels_of_others, others):
            yield others, expression, False


def check_rights(live):
    for token, expected in (("reader", 200), ("stranger", 403)):
        code, _ = live.ask("/metrics", token)
        if code != expected:
            yield f"/metrics answers {token} with {code}, not {expected}"
    code, _ = live.ask("/apis/image.openshift.io/v1/imagestreams", "reader")
    if code != 403:
        yield f"the reader of metrics may list image streams: {code}"


def check_objective(live):
    if not live.query(f'{OBJECTIVE}{{job="with-objective"}}'):
        yield f"the server has no {OBJECTIVE}"
    if live.query('{__name__=~"apiserver_request_sli_.*", job="strata-apiserver"}'):
        yield f"{OBJECTIVE} comes through, and counts in kube-apiserver's objective"


def check_labels(live):
    written = {name: labels for name, _, labels, _ in metrics.rows(live.tree)}
    found = {}
    for text in live.texts():
        for name, labels in SAMPLE.findall(text):
            name = name if name in written else re.sub(r"_(bucket|sum|count)$", "", name)  # a histogram's
            found.setdefault(name, set()).update(set(LABEL.findall(labels)) - {"le"})
    for name, labels in sorted(found.items()):
        if labels != written.get(name):
            yield f"{metrics.REFERENCE}: {name} has the labels {', '.join(sorted(labels)) or '(none)'}"


def main(tree, programs):
    component = tree / "deploy/components/monitoring"
    asked = list(everything_asked(component))
    with tempfile.TemporaryDirectory() as work, Live(tree, programs, pathlib.Path(work)) as live:
        live.start_programs()
        wrong = list(check_rights(live))
        live.start_prometheus(json.loads((component / "rendered/prometheusrule.json").read_text())["spec"]["groups"])
        deadline = time.monotonic() + PATIENCE_SECONDS
        lacking = dict.fromkeys(asked)
        while lacking and time.monotonic() < deadline:
            live.make_requests()
            found = {one: missing(live, *one) for one in lacking}
            lacking = {one: why for one, why in found.items() if why}
        wrong += [*lacking.values(), *check_objective(live), *check_labels(live)]
    print("\n".join(wrong) if wrong else f"scrape: {len(asked)} expressions find what they ask for")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
