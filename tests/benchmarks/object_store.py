"""What does a bucket cost? Requests and seconds on S3, with 30 ms to every answer, with and without faults.

    python tests/benchmarks/object_store.py [--latency 0.03] [--seeds 3] [--samples 10]
    python tests/benchmarks/object_store.py --quickstart 20

prints, for a server in this process: the first run of a small recipe; a run and a plan of a recipe of ten steps
that find nothing to do; gene blocks of a large matrix, by zarr alone and read ahead; and the small recipe with
faults at 15% of the requests, whose results are compared with those of a local store. With ``--quickstart``: that
recipe in full, with latency and faults, as often as asked, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "store")]

import steps_of_tests  # noqa: E402
from lab import Lab, digests  # noqa: E402
from server import Server, Trouble  # noqa: E402
from shipped import apply_shipped  # noqa: E402

from spatialrun.methods.simulate import simulate_visium  # noqa: E402
from spatialrun.readers import simulated  # noqa: E402
from spatialrun.store.elements import StoredElement  # noqa: E402
from spatialrun.store.remote import RemoteBackend  # noqa: E402
from spatialrun.store.store import Store, create_store, open_store  # noqa: E402

TEN_STEPS = "  - {id: read, uses: read.visium, with: {min_spots: 1}}\n" + "".join(
    f"  - {{id: n{number}, uses: test.constant, with: {{flag: none, key_added: n{number}}}}}\n"
    for number in range(9)
)
N_SPOTS, N_GENES, DENSITY, BLOCK = 20_000, 2_000, 0.25, 250


class Bench:
    """A server, and a table of what was asked of it."""

    def __init__(self, latency: float) -> None:
        self.server = Server()
        self.latency = latency
        os.environ |= self.server.environment
        self.url = self.server.bucket("benchmark")
        print(f"{'':58s} {'seconds':>8s} {'requests':>9s}")

    def measure(self, title: str, act: Callable[[], Any], *, faults: float = 0.0, seed: int = 0) -> Any:
        """Do something, and print what it took."""
        self.server.trouble = Trouble(faults, seed, latency=self.latency)
        start = time.perf_counter()
        with self.server.counted() as requests:
            answer = act()
        seconds = time.perf_counter() - start
        self.server.calm()
        methods = Counter(method for method, _ in requests)
        parts = ", ".join(f"{count} {method}" for method, count in sorted(methods.items()))
        print(f"{title:58s} {seconds:8.2f} {len(requests):9d}  {parts}", flush=True)
        return answer


class S3Lab(Lab):
    """A recipe whose store is in a bucket."""

    def __init__(self, root: Path, samples: dict[str, Path | str], steps: str, *, url: str) -> None:
        super().__init__(root, samples, steps)
        self.url = url

    @property
    def text(self) -> str:
        return super().text.replace("store: store", f"store: {self.url}")


def section(root: Path, seed: int, n_spots: int, n_genes: int) -> Path:
    size = {"n_spots": n_spots, "n_genes": n_genes, "n_domains": 2, "n_svg": 4, "mean_counts": 500}
    return simulated.write(simulate_visium(**size, image_size=50, seed=seed), root / f"section-{seed}")


def upload(url: str, outs: Path) -> str:
    """Put a Space Ranger folder into the bucket and return its URL."""
    backend = RemoteBackend(url)
    shutil.copytree(outs, backend.folder("outs"), dirs_exist_ok=True)
    backend.publish("outs")
    return f"{url}/outs"


def recipes(bench: Bench, root: Path, samples: int) -> None:
    """A recipe's first run, and a run and a plan that find nothing to do."""
    one = {"a": section(root, 0, 120, 200)}
    small = S3Lab(root / "small", one, Lab(root).steps, url=f"{bench.url}/small")
    bench.measure("4 tasks, first run", small.apply)
    bench.measure("4 tasks, nothing to do", small.apply)
    many = {f"s{seed}": section(root, seed + 1, 20, 12) for seed in range(samples)}
    wide = S3Lab(root / "wide", many, TEN_STEPS, url=f"{bench.url}/wide")
    bench.measure(f"{10 * samples} tasks, first plan", wide.plan)
    latency, bench.latency = bench.latency, 0.0
    bench.measure(f"{10 * samples} tasks, first run (without latency)", wide.apply)
    bench.latency = latency
    bench.measure(f"{10 * samples} tasks, nothing to do", wide.apply)
    bench.measure(f"{10 * samples} tasks, plan", wide.plan)
    many = {
        f"{name}-{half}": upload(f"{bench.url}/data/{name}-{half}", many[name])
        for name in many
        for half in "ab"
    }
    five = "".join(TEN_STEPS.splitlines(keepends=True)[:5])
    inputs = S3Lab(root / "inputs", many, five, url=f"{bench.url}/inputs")
    latency, bench.latency = bench.latency, 0.0
    bench.measure(f"{5 * len(many)} tasks, samples in the bucket, first run (likewise)", inputs.apply)
    bench.latency = latency
    bench.measure(f"{5 * len(many)} tasks, samples in the bucket, nothing to do", inputs.apply)
    bench.measure(f"{5 * len(many)} tasks, samples in the bucket, plan", inputs.plan)


def columns(bench: Bench) -> None:
    """Gene blocks of a matrix of 10 million counts."""
    random = np.random.default_rng(0)
    matrix = sp.random(N_SPOTS, N_GENES, DENSITY, format="csc", dtype=np.float32, random_state=random)
    store = create_store(f"{bench.url}/matrix")
    attempt = store.attempt()
    ref = attempt.write("layers/counts", matrix)
    bench.measure(f"write {matrix.nnz:,} counts", attempt.verify)
    blocks = [(start, start + BLOCK) for start in range(0, N_GENES, BLOCK)]

    def stream(element: StoredElement) -> None:
        for block in blocks:
            element.columns(*block)

    def alone() -> StoredElement:
        backend = open_store(store.url).backend
        backend.remote = False  # type: ignore[misc]  # as a file system, which has nothing to read ahead for
        return StoredElement(backend, ref)

    def ahead() -> StoredElement:
        return Store(open_store(store.url).backend).element(ref)

    bench.measure(f"{len(blocks)} gene blocks, zarr alone", lambda: stream(alone()))
    bench.measure(f"{len(blocks)} gene blocks, read ahead", lambda: stream(ahead()))
    bench.measure("the whole matrix, zarr alone", lambda: alone().read())
    bench.measure("the whole matrix, read ahead", lambda: ahead().read())


def faults(bench: Bench, root: Path, seeds: int) -> None:
    """The small recipe with faults: are its results those of a local store?"""
    one = {"a": section(root, 0, 120, 200)}
    local = digests(Lab(root / "local", one).apply().run)
    bench.latency = 0.0
    for seed in range(seeds):
        lab = S3Lab(root / f"faults-{seed}", one, Lab(root).steps, url=f"{bench.url}/faults-{seed}")
        outcome = bench.measure(f"4 tasks, faults at 15%, seed {seed}", lab.apply, faults=0.15, seed=seed)
        assert not outcome.errors, outcome.errors
        assert digests(outcome.run) == local
    print(f"{seeds} runs with faults, all results as on a local store; faults: {dict(bench.server.spoilt)}")


def quickstart(bench: Bench, root: Path, seeds: range) -> None:
    """The quickstart with faults and latency at 15% of the requests: are its results those of a local store?"""
    local = digests(apply_shipped("quickstart.yaml", root / "local"))
    for seed in seeds:
        place = f"store={bench.url}/quickstart-{seed}"
        act = partial(apply_shipped, "quickstart.yaml", root / f"quickstart-{seed}", place)
        run = bench.measure(f"quickstart, faults at 15%, seed {seed}", act, faults=0.15, seed=seed)
        assert digests(run) == local
    print(
        f"{len(seeds)} quickstarts with faults, all results as on a local store; {dict(bench.server.spoilt)}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latency", type=float, default=0.03, help="seconds to every answer")
    parser.add_argument("--seeds", type=int, default=3, help="runs with faults")
    parser.add_argument("--quickstart", type=int, default=0, help="runs of the quickstart with faults")
    parser.add_argument("--samples", type=int, default=10, help="of the recipe of ten steps")
    options = parser.parse_args()
    steps_of_tests.register()
    bench = Bench(options.latency)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SPATIALRUN_CACHE"] = f"{folder}/cache"
        if options.quickstart:
            quickstart(bench, Path(folder), range(options.quickstart))
        else:
            recipes(bench, Path(folder), options.samples)
            columns(bench)
            faults(bench, Path(folder), options.seeds)
    bench.server.stop()


if __name__ == "__main__":
    main()
