"""Benchmark of `domains.spagcn` and `domains.multispati`: simulated sections of 18,000 genes, 7 domains.

    python tests/benchmarks/spagcn.py                          # 1,500 to 500,000 spots; the last take long
    python tests/benchmarks/spagcn.py --spots 1500 20000       # these
    python tests/benchmarks/spagcn.py --methods spagcn --repeats 1

The timer runs from the stored layer to the labels, libraries and kernels warm; seconds are the median of the
repeats. Memory is the peak of a process that runs the one method on the one section, libraries and interpreter
included. ARI is that of the refined domains with those that were simulated.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spatialrun.methods.normalize import log1p, to_depth
from spatialrun.methods.reporter import Silent
from spatialrun.methods.simulate import SimulationParameters, simulate_visium
from spatialrun.steps import catalogue
from spatialrun.store.elements import ObjectRef
from spatialrun.store.store import Store, create_store

SPOTS = (1_500, 3_600, 20_000, 100_000, 500_000)
METHODS = ("spagcn", "multispati")
SECTION: SimulationParameters = {
    "n_genes": 18_000,
    "n_domains": 7,
    "n_svg": 4_000,
    "mean_counts": 1_000.0,
    "image_size": 64,
    "seed": 42,
}
"""As shallow as Visium HD in bins of 16 micrometres: about 600 genes a spot."""


class StoredSection(Mapping[str, Any]):
    """A simulated section's elements in a store of its own, by port: a step's inputs."""

    source = None
    externals: Mapping[str, Path] = {}

    def __init__(self, folder: Path) -> None:
        self.store: Store = create_store(folder / "store")
        refs = json.loads((folder / "refs.json").read_text())
        self.elements = {name: self.store.element(ObjectRef.from_json(ref)) for name, ref in refs.items()}

    def __getitem__(self, port: str) -> Any:
        return self.elements[port]

    def __iter__(self) -> Iterator[str]:
        return iter(self.elements)

    def __len__(self) -> int:
        return len(self.elements)


class OneThread(Silent):
    """A context that nobody listens to."""

    threads = 1


def prepare(folder: Path, n_spots: int) -> None:
    """Simulate a section and keep it in a store."""
    made = simulate_visium(n_spots=n_spots, **SECTION)
    folder.mkdir(parents=True, exist_ok=True)
    attempt = create_store(folder / "store").attempt()
    refs = {
        "counts": attempt.write("counts", made.counts),
        "spatial": attempt.write("spatial", made.spatial),
        "truth": attempt.write("truth", made.domain),
        "lognorm": attempt.write("lognorm", log1p(to_depth(made.counts))),
    }
    (folder / "refs.json").write_text(json.dumps({name: ref.to_json() for name, ref in refs.items()}))


def measure(method: str, folder: Path, warming: Path, repeats: int) -> dict[str, Any]:
    """Time one method in this process, which has run it on another section before."""
    from sklearn.metrics import adjusted_rand_score

    step = catalogue.get(f"domains.{method}")
    params = step.Params(n_clusters=SECTION["n_domains"])
    step.run(StoredSection(warming), params, OneThread())
    section = StoredSection(folder)
    clocks, outputs = [], {}
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        outputs = step.run(section, params, OneThread())
        clocks.append((time.perf_counter() - wall, time.process_time() - cpu))
    shape = section["counts"].meta["shape"]
    return {
        "spots": shape[0],
        "nonzero": section["counts"].meta["nnz"],
        "method": method,
        "seconds": statistics.median(wall for wall, _ in clocks),
        "cpu_seconds": statistics.median(cpu for _, cpu in clocks),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "domains": len(set(outputs["refined"])),
        "ari": adjusted_rand_score(section["truth"].read(), np.asarray(outputs["refined"].codes)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spots", type=int, nargs="+", default=SPOTS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, help="where sections are kept for the next time")
    parser.add_argument("--prepare", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        prepare(section_of(arguments.folder, arguments.prepare), arguments.prepare)
    elif arguments.measure:
        folder = section_of(arguments.folder, arguments.spots[0])
        warming = section_of(arguments.folder, SPOTS[0])
        print(json.dumps(measure(arguments.measure, folder, warming, arguments.repeats)))
    elif arguments.folder:
        print_table(arguments.folder, arguments)
    else:
        with tempfile.TemporaryDirectory() as name:
            print_table(Path(name), arguments)


def print_table(folder: Path, arguments: argparse.Namespace) -> None:
    """Run every measurement in a process of its own; the table grows line by line."""
    if not arguments.json:
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    shared = ["--folder", str(folder)]
    for n_spots in dict.fromkeys((SPOTS[0], *arguments.spots)):
        if not (section_of(folder, n_spots) / "refs.json").exists():
            python([*shared, "--prepare", str(n_spots)])
    rows = []
    for n_spots in arguments.spots:
        for method in arguments.methods:
            command = [*shared, "--measure", method, "--spots", str(n_spots)]
            rows.append(json.loads(python([*command, "--repeats", str(arguments.repeats)])))
            if arguments.json:
                continue
            line = pd.DataFrame(rows).to_string(index=False, float_format="{:.3f}".format).splitlines()
            print("\n".join(line if len(rows) == 1 else line[-1:]), flush=True)
    if arguments.json:
        print(json.dumps(rows))


def section_of(folder: Path, n_spots: int) -> Path:
    return folder / f"section-{n_spots}"


def python(arguments: list[str]) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
