"""Beside other real servers: a kube-apiserver that is asked about tokens and rights, and etcd as a store."""

import json
import re
import subprocess

from answers import FEW, Answers
from load import alternate, median, uniform
from rig import LOAD_CORE, until


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def many_streams(bench):
    """20,000 streams for a user whose rights are reviewed by kube-apiserver, beside one stream."""
    here = Answers(bench)
    data = ("--data-set", "A", "--streams", "2000" if bench.quick else "20000")
    paths = bench.rig.paths(*data)
    with bench.rig.kube_apiserver() as kubeconfig, bench.rig.kept_backend(*data) as url, \
            bench.rig.server(url, "--response-cache-bytes=1073741824", kubeconfig=kubeconfig) as server, \
            bench.rig.server(url, kubeconfig=kubeconfig) as bounded:
        for on in (server, bounded):
            until(lambda: bench.rig.client(on.port).get(paths[0]))
        order = uniform(paths)
        cold = bench.load.h2load(server, order, len(order))
        bench.table.add("cold", f"first requests over {len(paths):,} streams: nothing reviewed, nothing cached", cold, "/s", ">= 239", None,
                        "openshift-apiserver, warm or not: 239/s")
        # The rights of a user are asked about anew every ten seconds: rounds are longer than that in all.
        one, many, built = alternate(bench.rounds, bench.seconds, here.load.cost(server, paths[0]), here.load.cost(server, order),
                                     here.load.cost(bounded, order))
        bench.table.ratio("cpu", f"{len(paths):,} streams, beside one", many, one, "x one", ">= 0.8", "answers cached (1 GiB)")
        with bench.rig.files(dict.fromkeys(paths, here.body(server, paths[0]))) as root, bench.rig.nghttpd(root) as nghttpd:
            theirs, spread = alternate(bench.few_rounds, bench.short, here.load.cost(nghttpd, paths[0]), here.load.cost(nghttpd, order))
        bench.table.ratio("static", "nghttpd with as many files, beside one", spread, theirs, "x one", None,
                          "what so many paths cost where nothing else does")
        bench.table.ratio("built", "the same with the default cache of 256 MiB", built, one, "x one")
        rates = [bench.load.h2load(server, order, int(bench.seconds / median(many))) for _ in range(bench.few_rounds)]
        bench.table.add("rate", f"requests a second over {len(paths):,} streams", median(rates), "/s", None, [min(rates), max(rates)],
                        "load, etcd and kube-apiserver share a core; openshift-apiserver: 239/s")


def delegation(bench):
    """The small answer with kube-apiserver's reviews warm, beside the token file and RBAC files."""
    here = Answers(bench)
    with bench.rig.kube_apiserver() as kubeconfig, here.served(*FEW) as (files, paths), \
            bench.rig.server(files.url, kubeconfig=kubeconfig) as asked:
        until(lambda: bench.rig.client(asked.port).get(paths[0]))
        reviews, by_files = alternate(bench.rounds, bench.seconds, here.load.cost(asked, paths[0]), here.load.cost(files, paths[0]))
        bench.table.ratio("reviews", "reviews by kube-apiserver, warm, beside files", reviews, by_files, "x files", ">= 0.95")


def store(bench):
    """The embedded store beside etcd 3.6, by one Go client on one disk; each server on one core, the client on the other."""
    command = [bench.rig.peer("storebench"), f"--etcd={bench.rig.peer('etcd')}",
               f"--strata-storage={bench.rig.bin}/strata-storage", f"--work={bench.rig.work}"] + (["--quick"] if bench.quick else [])
    with bench.rig.process(*command, core=LOAD_CORE, stdout=subprocess.PIPE) as running:
        for line in running.stdout:
            figure = json.loads(line)
            ratios = sorted(ours / theirs for ours, theirs in zip(figure["ours"], figure["theirs"]))
            ours, theirs = median(figure["ours"]), median(figure["theirs"])
            # "<= 0.5 x etcd"
            target = figure["target"].removesuffix(" x etcd") or None
            bench.table.add(slug(figure["figure"]), figure["figure"], median(ratios), "x etcd", target, [ratios[0], ratios[-1]],
                            f"{ours:,.1f} {figure['unit']}, etcd {theirs:,.1f} {figure['unit']}")
        if running.wait():
            raise SystemExit(f"storebench ended with {running.returncode}")
