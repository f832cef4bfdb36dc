#!/usr/bin/env python3
"""Holds a bill of materials to what CycloneDX 1.6 wants of it, and to the programs: sbom.py BOM PROGRAM..."""

import json
import pathlib
import re
import subprocess
import sys

REQUIRED = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
SERIAL = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
KNOWN = {"bomFormat", "specVersion", "version", "serialNumber", "metadata", "components", "dependencies"}
KNOWN_OF_COMPONENT = {"type", "bom-ref", "name", "version", "purl", "licenses", "externalReferences"}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout


def mistakes_of_form(bom):
    """By bom-1.6.schema.json: required properties, enumerations, unique references, no property that it doesn't know."""
    for name, value in REQUIRED.items():
        if bom.get(name) != value:
            yield f"{name} is {bom.get(name)!r}"
    if not SERIAL.fullmatch(bom.get("serialNumber", "")):
        yield "serialNumber is no URN of a UUID"
    if bom.keys() - KNOWN:
        yield f"unknown: {bom.keys() - KNOWN}"
    components = [bom["metadata"]["component"], *bom["components"]]
    references = [one.get("bom-ref") for one in components]
    if len(set(references)) != len(references) or None in references:
        yield "references aren't unique"
    for one in components:
        name = one.get("name")
        if not name or one.get("type") not in ("application", "library") or one.keys() - KNOWN_OF_COMPONENT:
            yield f"component {one}"
        if not re.fullmatch(r"pkg:(deb/debian|generic)/[^@?]+@[^@?]+(\?[^?]+)?", one.get("purl", "")):
            yield f"{name}: purl {one.get('purl')}"
        for chosen in one.get("licenses", []):
            if chosen.keys() != {"license"} or not chosen["license"].get("name"):
                yield f"{name}: licence {chosen}"
        for link in one.get("externalReferences", []):
            if link.keys() != {"type", "url"} or not link["url"].startswith("http"):
                yield f"{name}: reference {link}"
    for of in bom["dependencies"]:
        if {of["ref"], *of["dependsOn"]} - set(references):
            yield "a dependency is no component"


def linked_packages(programs):
    """The packages that have the libraries that are linked; dpkg knows some of them under /lib."""
    loaded = "".join(output("ldd", program) for program in programs)
    files = {str(pathlib.Path(name).resolve()) for name in re.findall(r"(?:=> |^\s+)(/\S+) \(", loaded, re.M)}
    found = subprocess.run(["dpkg", "-S", *files, *(file.removeprefix("/usr") for file in files)], capture_output=True,
                           text=True, check=False).stdout.splitlines()
    if unknown := [file for file in files if not any(line.endswith(file.removeprefix("/usr")) for line in found)]:
        raise SystemExit(f"no package has {unknown}")
    return {line.partition(":")[0] for line in found}


def main(file, *programs):
    bom = json.loads(pathlib.Path(file).read_text())
    mistakes = list(mistakes_of_form(bom))
    versions = {one["name"]: one["version"] for one in bom["components"]}
    for package in linked_packages(programs) | {"libboost1.81-dev", "libcli11-dev"}:
        installed = output("dpkg-query", "--show", "--showformat=${Version}", package)
        if versions.get(package) != installed:
            mistakes.append(f"{package} {installed} is linked; it says {versions.get(package)}")
    if mistakes:
        sys.exit("\n".join(mistakes))


if __name__ == "__main__":
    main(*sys.argv[1:])
