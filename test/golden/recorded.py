"""What openshift-apiserver answered: a directory of recordings."""

import gzip
import importlib.util
import json


class Recorded:
    """With `deviations`, the module of the directory's deviations.py: what is known of our answers."""

    def __init__(self, directory):
        self.directory = directory.resolve()
        spec = importlib.util.spec_from_file_location("deviations", self.directory / "deviations.py")
        self.deviations = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.deviations)

    def cases(self):
        with open(self.directory / "manifest.json") as file:
            return json.load(file)["cases"]

    def body(self, case):
        name = case["response"].get("file")
        if not name:
            return None
        data = (self.directory / name).read_bytes()
        return gzip.decompress(data) if name.endswith(".gz") else data

    def records(self):
        """Those of the backend, by revision."""
        with gzip.open(self.directory / "etcd.jsonl.gz", "rt") as file:
            return sorted(map(json.loads, file), key=lambda record: record["modRevision"])
