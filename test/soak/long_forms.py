#!/usr/bin/env python3
"""What `./dev soak long` runs: tests that do more of the same when their environment says so, at their full length.

  long_forms.py rooms [NAME[=NUMBER]...]         prints a regular expression of the rooms that the chosen ones are in
  long_forms.py run BUILD [NAME[=NUMBER]...]     runs them one after the other, and tells what each has counted

The programs are run by themselves, since ctest would end them.
"""

import collections
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
Form = collections.namedtuple("Form", "name variable number room tests")

# The tests are as their program takes them. Of a step between faults, and of bits, 1 is all.
FORMS = [
    Form("kills", "STRATA_KILLS", 10_000, "store", "^TestNothingIsLostOrHalfDoneWhenTheStoreIsKilled$"),
    Form("cuts", "STRATA_CUTS", 1_000, "store", "^(TestNothingIsLostOrHalfDoneWhenThePowerFails|TestADefragmentationThatLosesItsPower.*)$"),
    Form("backups", "STRATA_BACKUPS", 1_000, "store", "^TestABackupTakenWhileWritingIsAMomentOfTheStore$"),
    Form("calls", "STRATA_FAULT_STEP", 1, "store", "^(TestADiskThatFailsCostsNoAnsweredWrite|TestACallThatFails.*)$"),
    Form("bits", "STRATA_EVERY_BIT", 1, "storage/engine", "Damage.OfAnyBit*:Recover.HidesNoLossWhicheverPageIsDamaged"),
    Form("bits", "STRATA_EVERY_BIT", 1, "storage/engine/tree", "Wal.LosesNoSealedRecordToAFlippedBit"),
    Form("restarts", "STRATA_KILLS", 200, "integration", "^TestAServerThatIsKilledUnderItsWatchersIsBackSoon$"),
    Form("connections", "STRATA_CONNECTIONS", 10_000, "attacks", "^TestManyIdleConnectionsAreHeld$"),
    Form("watches", "STRATA_WATCHES", 10_000, "attacks", "^TestManyWatchesAreToldOfAChange$"),
]
COUNTED = re.compile(r"^(?: +\w+_test\.go:\d+: .*|\[       OK \] .*)$", re.M)


def chosen(arguments):
    names = list(dict.fromkeys(form.name for form in FORMS))
    numbers = {}
    for argument in arguments:
        match = re.fullmatch(r"(\w+)(?:=([1-9]\d*))?", argument)
        if not match or match[1] not in names:
            sys.exit(f"dev: no argument of soak long: {argument}; there are {' '.join(names)}, each also with =NUMBER")
        numbers[match[1]] = match[2]
    for form in FORMS:
        if not numbers or form.name in numbers:
            yield form._replace(number=numbers.get(form.name) or form.number)


def command(build, form):
    """The arguments and the folder of the room's program."""
    if (folder := ROOT / "test" / form.room).is_dir():
        return [build / "go" / f"{form.room}.test", "-test.v", "-test.timeout=0", "-test.run", form.tests], folder
    return [build / form.room / f"{form.room.replace('/', '_')}_test", f"--gtest_filter={form.tests}"], ROOT


def passes(build, form):
    log = ROOT / "build" / "soak" / f"{form.name}-{form.room.replace('/', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"{form.name}: {form.variable}={form.number}, in {log.relative_to(ROOT)}", flush=True)
    arguments, folder = command(build, form)
    environment = os.environ | {form.variable: str(form.number), "STRATA_BIN": str(ROOT / "build" / "bin"),
                                "STRATA_PEERS": str(build / "go")}
    begun = time.monotonic()
    with open(log, "w") as file:
        code = subprocess.run(arguments, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file,
                              stderr=subprocess.STDOUT).returncode
    said = log.read_text(errors="replace")
    counted = COUNTED.findall(said)
    ok = code == 0 and bool(counted)  # a name that no test has any more passes, too
    print(*(counted if ok else said.splitlines()[-40:]), sep="\n")
    print(f"{form.name}: {'passed' if ok else 'FAILED'} after {time.monotonic() - begun:.0f} seconds", flush=True)
    return ok


def rooms(*arguments):
    print("^(" + "|".join(dict.fromkeys(form.room for form in chosen(arguments))) + "):")


def run(build, *arguments):
    failed = [form.name for form in list(chosen(arguments)) if not passes(pathlib.Path(build).resolve(), form)]
    if failed:
        sys.exit(f"dev: failed: {' '.join(failed)}")


if __name__ == "__main__":
    {"rooms": rooms, "run": run}[sys.argv[1]](*sys.argv[2:])
