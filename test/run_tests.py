#!/usr/bin/env python3
"""What `./dev test` runs of the build's tests.

  run_tests.py targets BUILD [CTEST ARGUMENT...]    prints the targets that the chosen tests need
  run_tests.py run BUILD [CTEST ARGUMENT...]        runs ctest, tells how far it is, and what failed and how to run it again

ctest learns a test's name from its program, which may not be built yet: so names are looked for in the sources. Those
of tests without one of their own stand in what CMake wrote for ctest.
"""

import contextlib
import pathlib
import re
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

PROGRESS_SECONDS = 20
GTEST = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\(\s*(\w+),\s*(\w+)", re.M)
SUITES = re.compile(r"^INSTANTIATE_(?:TYPED_)?TEST_SUITE_P\(\s*(\w+),\s*(\w+)", re.M)
ADDED = re.compile(r"^add_test\((?:\[=*\[)?([^\s\]]+)", re.M)
GO = re.compile(r"^func (Test[A-Za-z0-9]+)\(t ", re.M)


def added_names(build):
    return [name for file in build.rglob("CTestTestfile.cmake") for name in ADDED.findall(file.read_text())]


def test_names(prefix, sources, added):
    """Names that ctest will know these tests by, but for what a parameter adds behind them."""
    yield prefix
    yield from (name for name in added if name.startswith(f"{prefix}:"))
    for source in sources:
        text = pathlib.Path(source).read_text()
        instances = SUITES.findall(text)
        for suite, name in GTEST.findall(text):
            yield f"{prefix}:{suite}.{name}"
            yield from (f"{prefix}:{instance}/{suite}.{name}/" for instance, of in instances if of == suite)
        yield from (f"{prefix}:{name}" for name in GO.findall(text))


def chosen_regex(arguments):
    """What -R says, if nothing else chooses tests: then all may be needed."""
    regex, rest = None, iter(arguments)
    for argument in rest:
        if argument in ("-R", "--tests-regex"):
            regex = next(rest, None)
        elif argument.startswith("-R") and not argument.startswith("--"):
            regex = argument[2:]
        elif argument.startswith("--tests-regex="):
            regex = argument.partition("=")[2]
        elif argument in ("-L", "--label-regex", "-I", "--tests-information", "--rerun-failed"):
            return None
    return regex


def targets(build, arguments):
    regex = chosen_regex(arguments)
    try:
        patterns = [re.compile(regex)]
        # A parameter's name stands in no source, so what follows the last slash may be one.
        with contextlib.suppress(re.error):  # a slash in a group
            patterns.append(re.compile(re.sub(r"(:.*/)[^/]*$", r"\1", regex)))
    except (TypeError, re.error):  # ctest will say what it finds wrong with an expression
        print("all")
        return
    chosen, needed, added = False, set(), added_names(build)
    for line in (build / "test_table.tsv").read_text().splitlines():
        prefix, names, sources = line.split("\t")
        if any(pattern.search(name) for pattern in patterns for name in test_names(prefix, sources.split(), added)):
            chosen = True
            needed.update(names.split())
    if not chosen:
        sys.exit(f"dev: no test's name matches {regex}; names are ROOM:Suite.Name, as lib/transport/http:Http1Session.AnswersInOrder")
    print(*sorted(needed))


def is_skipped(case):
    why = case.find("skipped")
    return case.get("status") == "disabled" or (why is not None and why.get("message", "").startswith("SKIP_"))


def summarize(results):
    cases = ElementTree.parse(results).getroot().findall("testcase")
    ran = [case for case in cases if not is_skipped(case)]
    failed = [case for case in ran if case.get("status") != "run"]
    for case in failed:
        print(f"==== {case.get('name')}")
        print((case.findtext("system-out") or "it did not run").strip())
    for case in failed:
        # CMake's expressions know no escape but before what would be special.
        name = re.sub(r"([][.*+?()|^$\\])", r"\\\1", case.get("name"))
        print("run again: ./dev test -R", shlex.quote(f"^{name}$"))
    skipped = len(cases) - len(ran)
    print(f"{len(ran)} tests, {len(failed)} failed" + (f", {skipped} skipped" if skipped else ""))
    return len(ran), len(failed)


def run(build, arguments):
    results, log = build / "tests.xml", build / "tests.log"
    results.unlink(missing_ok=True)
    command = ["ctest", "--test-dir", str(build), "--output-on-failure", "--no-tests=error",
               "--output-junit", str(results), *arguments]
    done = re.compile(r"^ *(\d+)/(\d+) Test +#\d+: .*?(Passed|\*\*\*\S*)")
    failed, next_report = 0, time.monotonic() + PROGRESS_SECONDS
    with open(log, "w") as file, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace") as process:
        for line in process.stdout:
            file.write(line)
            match = done.match(line)
            if not match:
                continue
            failed += match[3].startswith("***") and match[3] != "***Skipped"
            if time.monotonic() >= next_report:
                next_report = time.monotonic() + PROGRESS_SECONDS
                print(f"dev: {match[1]} of {match[2]} tests done, {failed} failed", file=sys.stderr, flush=True)
    if "No tests were found" in log.read_text(errors="replace"):
        sys.exit("dev: no test is chosen by " + shlex.join(arguments) + "; `ctest --test-dir "
                 f"{build} -N` lists them all")
    if not results.exists():
        sys.exit(log.read_text(errors="replace") + "dev: ctest wrote no results")
    ran, failed = summarize(results)
    if process.returncode != 0 and not failed:
        print(f"dev: ctest exited with {process.returncode} after {ran} tests; see {log}", file=sys.stderr)
    sys.exit(1 if failed or process.returncode != 0 else 0)


if __name__ == "__main__":
    {"targets": targets, "run": run}[sys.argv[1]](pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:])
