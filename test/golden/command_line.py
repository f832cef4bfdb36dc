"""What the runners are told, and how they end."""

import argparse
import contextlib
import pathlib
import shutil
import sys
import tempfile

from process import Trouble


def parser(doc, recorded):
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--apiserver", required=True, type=pathlib.Path)
    parser.add_argument("--storage", required=True, type=pathlib.Path)
    parser.add_argument("--load", required=True, type=pathlib.Path, help="strata-golden-load")
    parser.add_argument("--write", required=True, type=pathlib.Path, help="strata-golden-write")
    parser.add_argument("--backend", required=True, choices=("etcd", "strata-storage", "data-dir"))
    parser.add_argument("--etcd", default="/usr/bin/etcd", help="for --backend=etcd")
    parser.add_argument("--keep", action="store_true", help="leave the directory with logs and answers")
    parser.add_argument("--recorded", default=recorded, type=pathlib.Path, help="where the manifest and the bodies are")
    return parser


@contextlib.contextmanager
def directory(args):
    """For what the run needs and leaves behind."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="strata-golden-"))
    try:
        yield work
    finally:
        if args.keep:
            print(f"left: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def run(main):
    try:
        sys.exit(main())
    except Trouble as trouble:
        print(f"{pathlib.Path(sys.argv[0]).name}: {trouble}", file=sys.stderr)
        sys.exit(1)
