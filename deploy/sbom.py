#!/usr/bin/env python3
"""A bill of materials of programs, as CycloneDX 1.6 JSON: which Debian packages are in what they run.

  sbom.py VERSION PROGRAM... [--with PACKAGE...]      prints it; PACKAGE is one more that is shipped beside them

It depends on the programs and on what is installed, and on nothing else: the same twice is the same bytes. A package's
purl names its source (`upstream`), by which Debian's security tracker knows it (docs/security.md).
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse
import uuid

# Compiled in, so that no program is linked with them: Beast and Asio; the command line's.
HEADERS_ALONE = ["libboost1.81-dev", "libcli11-dev"]
FIELDS = ["Package", "Version", "Architecture", "source:Package", "Homepage"]


def output(*command, may_fail=False):
    return subprocess.run(command, check=not may_fail, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL if may_fail else None, env=dict(os.environ, LC_ALL="C")).stdout


def libraries(program):
    """Files that the loader maps for the program."""
    text = output("ldd", program)
    if missing := re.findall(r"(\S+) => not found", text):
        sys.exit(f"sbom.py: {program}: {', '.join(missing)} not found")
    return re.findall(r"^\s+(?:\S+ => )?(/\S+) \(", text, re.M)


def packages_of(files):
    """The packages that have these files, which dpkg knows under /lib or under /usr/lib."""
    files = {str(pathlib.Path(file).resolve()).removeprefix("/usr") for file in files}
    found = output("dpkg-query", "--search", *sorted(files | {"/usr" + file for file in files}), may_fail=True)
    packages = {file.removeprefix("/usr"): package for package, file in re.findall(r"^([^\s,:]+).*?: (/.*)$", found, re.M)}
    if unknown := files - packages.keys():
        sys.exit(f"sbom.py: no Debian package has {', '.join(sorted(unknown))}")
    return set(packages.values())


def license_of(package):
    """What the copyright file says of `Files: *`, where it can be read by machines; names are Debian's, not SPDX's."""
    file = pathlib.Path("/usr/share/doc", package, "copyright")
    text = file.read_text(errors="replace") if file.exists() else ""
    of_all = re.search(r"^Files:\s*\*\s*$.*?^License:\s*(\S.*?)\s*$", text, re.M | re.S)
    return of_all and of_all[1]


def component(name, version, architecture, source, homepage, distribution):
    query = urllib.parse.urlencode({"arch": architecture, "distro": distribution, "upstream": source})
    purl = f"pkg:deb/debian/{urllib.parse.quote(name)}@{urllib.parse.quote(version)}?{query}"
    made = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if declared := license_of(name):
        made["licenses"] = [{"license": {"name": declared, "acknowledgement": "declared"}}]
    if homepage:
        made["externalReferences"] = [{"type": "website", "url": homepage}]
    return made


def bill(version, programs, beside):
    release = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text(), re.M))
    packages = packages_of(file for program in programs for file in libraries(program)) | {*HEADERS_ALONE, *beside}
    lines = output("dpkg-query", "--show", "--showformat=" + "\t".join(f"${{{field}}}" for field in FIELDS) + "\n",
                   *sorted(packages)).splitlines()
    components = sorted((component(*line.split("\t"), f"{release['ID']}-{release['VERSION_ID']}") for line in lines),
                        key=lambda one: one["purl"])
    own = {"type": "application", "bom-ref": "strata", "name": "strata", "version": version,
           "purl": f"pkg:generic/strata@{urllib.parse.quote(version)}"}
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": own},
           "components": components,
           "dependencies": [{"ref": "strata", "dependsOn": [one["bom-ref"] for one in components]}]}
    bom["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True)).urn
    return bom


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("version")
    parser.add_argument("programs", nargs="+")
    parser.add_argument("--with", dest="beside", nargs="+", default=[])
    given = parser.parse_args()
    print(json.dumps(bill(given.version, given.programs, given.beside), indent=1))
