#!/usr/bin/env python3
"""The mixin: rendered as checked in, right by promtool, each alert with its cases and its section of the documents.

usage: rules.py TREE
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

from alert_cases import CASES

wrong = []


def run(*command, cwd):
    """What it printed; a failure is noted."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        wrong.append(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def check_rendered(component, work):
    run("jsonnet", "-m", work, "manifests.jsonnet", cwd=component)
    made = {file.name: file.read_text() for file in pathlib.Path(work).iterdir()}
    if made != {file.name: file.read_text() for file in (component / "rendered").iterdir()}:
        wrong.append(f"{component}/rendered is not what the mixin renders: README.md there says how")
    sources = [str(path.relative_to(component)) for path in component.rglob("*.*sonnet")]
    run("jsonnetfmt", "--test", *sources, cwd=component)


def check_alerts(alerts, documents):
    headings = {line.lstrip("# ").lower() for line in documents.splitlines() if line.startswith("#")}
    for alert in alerts:
        name, notes = alert["alert"], alert["annotations"]
        for annotation in ("summary", "description", "runbook_url"):
            if not notes.get(annotation):
                wrong.append(f"{name} has no {annotation}")
        if alert["labels"]["severity"] not in ("warning", "critical"):
            wrong.append(f"{name}: no such severity")
        page, _, anchor = notes["runbook_url"].partition("#")
        if not page.endswith("docs/operations.md") or anchor not in headings:
            wrong.append(f"{name}: no section {notes['runbook_url']}")


# Labels of the series that an aggregation leaves out.
DROPPED = {"StrataNotReady": {"type"}, "StrataRelisting": {"reason"}, "StrataFreshnessSlow": {"le"}}


def labels_of(alert, series):
    if alert == "StrataDown":
        return {}  # of what is absent
    pairs = re.findall(r'(\w+)="([^"]*)"', next(iter(series)))
    return {label: value for label, value in pairs if label not in DROPPED.get(alert, ())}


def unit_test(alerts, case):
    name, series, when, alert, fires = case
    notes = next(rule["annotations"] for rule in alerts if rule["alert"] == alert)
    labels = labels_of(alert, series)
    expected = [
        {"exp_labels": {"severity": severity, **labels}, "exp_annotations": {**notes, "description": description}}
        for severity, description in fires.items()
    ]
    return {
        "name": f"{alert}: {name}",
        "interval": "30s",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [{"eval_time": when, "alertname": alert, "exp_alerts": expected}],
    }


def check_cases(alerts):
    for alert in alerts:
        name, severity = alert["alert"], alert["labels"]["severity"]
        fired = [severity in fires for _, _, _, asked, fires in CASES if asked == name]
        if not (any(fired) and not all(fired)):
            wrong.append(f"{name}, {severity}: a case in which it fires is needed, and one in which it doesn't")


def main(tree):
    component = tree / "deploy/components/monitoring"
    with tempfile.TemporaryDirectory() as work:
        check_rendered(component, work)
    groups = json.loads((component / "rendered/prometheusrule.json").read_text())["spec"]["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    check_alerts(alerts, (tree / "docs/operations.md").read_text())
    check_cases(alerts)
    with tempfile.TemporaryDirectory() as work:
        tests = {"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": [unit_test(alerts, c) for c in CASES]}
        for name, content in (("rules.yaml", {"groups": groups}), ("tests.yaml", tests)):
            (pathlib.Path(work) / name).write_text(yaml.safe_dump(content))
        run("promtool", "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", cwd=work)
        run("promtool", "test", "rules", "tests.yaml", cwd=work)
    print("\n".join(wrong) if wrong else f"rules: {len(alerts)} alerts, {len(CASES)} cases")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
