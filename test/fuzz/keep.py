#!/usr/bin/env python3
"""Adds to test/fuzz/corpus what fuzz targets have learnt and no kept input does: small inputs that reach edges which
none before them did, as many as have room. Each build replays them; all the rest stays in build/fuzz/corpus.
"""

import argparse
import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile

from run import BUILD, SEEDS, command, name_of

MOST_FILES, MOST_BYTES, LARGEST = 25, 24_000, 2_000


def new_edges(target: str) -> dict[pathlib.Path, int]:
    """How many edges each learnt input reaches that neither a kept nor a smaller one does."""
    name = name_of(target)
    with tempfile.TemporaryDirectory() as folder:
        notes, kept = pathlib.Path(folder) / "notes", pathlib.Path(folder) / "kept"
        shutil.copytree(SEEDS / name, kept)
        subprocess.run([command(target, 0)[0], "-merge=1", f"-merge_control_file={notes}", "-detect_leaks=0",
                        kept, BUILD / "corpus" / name],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # How many files there are, how many of them are kept ones, their names, and what each reached first.
        lines = notes.read_text().splitlines()
    files = [pathlib.Path(line) for line in lines[2:2 + int(lines[0])]]
    counts: dict[pathlib.Path, int] = {}
    for line in lines[2 + len(files):]:
        if (match := re.fullmatch(r"COV (\d+)((?: \d+)+)", line)) and int(match[1]) >= int(lines[1]):
            counts[files[int(match[1])]] = len(match[2].split())
    return counts


def keep(target: str) -> None:
    kept = SEEDS / name_of(target)
    sizes = [file.stat().st_size for file in kept.iterdir()]
    files, size = len(sizes), sum(sizes)
    counts = new_edges(target)
    # Few files are worth more than few bytes.
    for file in sorted(counts, key=lambda one: counts[one] / (100 + one.stat().st_size), reverse=True):
        own = file.stat().st_size
        if own > LARGEST or size + own > MOST_BYTES or files == MOST_FILES:
            continue
        shutil.copy(file, kept / f"learnt-{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}")
        files, size = files + 1, size + own
    print(f"{target:40}{files:4} inputs, {size:6} bytes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="+")
    for target in parser.parse_args().targets:
        keep(target)


if __name__ == "__main__":
    main()
