"""Benchmark of `svg.spatialde`: 35,554 genes x 1,470 simulated spots, 10 kernels, float64.

    python tests/benchmarks/svg.py            # the whole table, a few minutes
    python tests/benchmarks/svg.py --quick    # one repeat, fewer genes checked

The timer runs from the stored CSC matrix to the finished table, the JIT warm. Accuracy is measured against the
dense formulas on genes over the deciles of abundance. The whole process of `apply` with the counts cached stands
beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from spatialrun.execute.streaming import stream
from spatialrun.methods.simulate import BENCHMARK_1470, simulate_visium
from spatialrun.readers import simulated
from spatialrun.steps import catalogue
from spatialrun.store.elements import ObjectRef, describe
from spatialrun.store.store import Store, create_store

RECIPE = """\
spatialrun: 1
store: store
samples: {section: {path: section/outs}}
steps:
  - uses: read.visium
  - id: svg
    uses: svg.spatialde
    with: {n_svg: ${N_SVG}}
"""


class Held:
    """A value in memory as a step's input."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.meta = describe(value)[1]

    def read(self) -> Any:
        return self.value


class HeldInputs(Mapping[str, Any]):
    """Inputs by port."""

    source = None
    externals: Mapping[str, Path] = {}

    def __init__(self, elements: Mapping[str, Any]) -> None:
        self.elements = elements

    def __getitem__(self, port: str) -> Any:
        return self.elements[port]

    def __iter__(self) -> Iterator[str]:
        return iter(self.elements)

    def __len__(self) -> int:
        return len(self.elements)


class Silent:
    """A context that nobody listens to."""

    threads = os.cpu_count() or 1

    def log(self, message: str) -> None: ...

    def warn(self, message: str) -> None: ...

    def measure(self, **values: float) -> None: ...

    def progress(self, done: int, total: int, unit: str = "") -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(Path(arguments.measure), 1 if arguments.quick else 5)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        command = [sys.executable, __file__, "--measure", name, *(["--quick"] if arguments.quick else [])]
        rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows |= accuracy(folder, 16 if arguments.quick else 64)
        rows |= whole_process(folder)
    rows["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(json.dumps(rows, indent=2) if arguments.json else table(rows))


def prepare(folder: Path) -> None:
    """Simulate the sample and keep its counts in a store."""
    section = simulate_visium(**BENCHMARK_1470)
    simulated.write(section, folder / "section")
    store = create_store(folder / "bench")
    attempt = store.attempt()
    refs = {
        "counts": attempt.write("counts", section.counts),
        "spatial": attempt.write("spatial", section.spatial),
        "genes": attempt.write("genes", np.asarray(section.gene_names, dtype=object)),
    }
    (folder / "refs.json").write_text(json.dumps({name: ref.to_json() for name, ref in refs.items()}))


def inputs_of(folder: Path) -> tuple[Store, HeldInputs]:
    store = create_store(folder / "bench")
    refs = json.loads((folder / "refs.json").read_text())
    return store, HeldInputs({name: store.element(ObjectRef.from_json(ref)) for name, ref in refs.items()})


def test_all(folder: Path) -> dict[str, Any]:
    """Run the step's stages one after another, as the engine does; return seconds and results by stage."""
    step = catalogue.get("svg.spatialde")
    params = step.Params()
    store, inputs = inputs_of(folder)
    context, partial = Silent(), store.partial("benchmark")
    partial.discard()
    clock = [time.perf_counter()]
    with threadpool_limits(1, user_api="blas"):
        setup = HeldInputs({k: Held(v) for k, v in step.setup(inputs, params, context).items()})
        clock.append(time.perf_counter())
        blocks = stream(step, setup, inputs, params, partial, context, in_flight=context.threads)
        clock.append(time.perf_counter())
        tested = {f"blocks/{name}": Held(value) for name, value in blocks.items()}
        outputs = step.combine(HeldInputs({**setup.elements, **tested}), inputs, params, context)
        clock.append(time.perf_counter())
    seconds = dict(zip(("setup", "blocks", "combine"), np.diff(clock), strict=True))
    return {"seconds": seconds, "setup": setup, "blocks": blocks, "outputs": outputs}


def measure(folder: Path, repeats: int) -> dict[str, float]:
    """Time the test in this process: cold once, then warm."""
    import resource

    cold = sum(test_all(folder)["seconds"].values())
    runs = [test_all(folder)["seconds"] for _ in range(repeats)]
    total = statistics.median(sum(run.values()) for run in runs)
    stages = {f"{name}_s": statistics.median(run[name] for run in runs) for name in runs[0]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"warm_s": total, **stages, "cold_s": cold, "peak_gb": peak}


def accuracy(folder: Path, count: int) -> dict[str, Any]:
    """Compare Q, e and I with the dense formulas on genes over the deciles of abundance."""
    _, inputs = inputs_of(folder)
    counts, places = inputs["counts"].read(), inputs["spatial"].read()
    result = test_all(folder)
    blocks, setup = result["blocks"], result["setup"]
    tested = np.flatnonzero(blocks["tested"])
    by_abundance = tested[np.argsort(blocks["total"][tested], kind="stable")]
    genes = by_abundance[np.linspace(0, len(by_abundance) - 1, count).astype(int)]
    s = np.asarray(counts.sum(axis=1)).ravel().astype(float)
    kernels = list(zip(setup["kernel_kind"].read(), setup["kernel_lengthscale"].read(), strict=True))
    worst = dict.fromkeys("QeI", 0.0)
    for number, (kind, length) in enumerate(kernels):
        K = dense_kernel(str(kind), float(length), places)
        for gene in genes:
            y = counts[:, gene].toarray().ravel().astype(float)
            Q, e, I = dense_score(y, s, K, blocks["m"][gene], blocks["alpha"][gene])
            found = {name: blocks[name][gene, number] for name in "QeI"}
            for name, exact, scale in (("Q", Q, e), ("e", e, e), ("I", I, I)):
                worst[name] = max(worst[name], abs(found[name] - exact) / abs(scale))
    facts = {"genes": counts.shape[1], "spots": counts.shape[0], "nonzero": int(counts.nnz)}
    rare = float(np.mean(np.asarray(counts.sum(axis=0)).ravel() < 10))
    return {**facts, "under_10_counts": rare, **{f"error_{name}": value for name, value in worst.items()}}


def dense_kernel(kind: str, length: float, places: np.ndarray) -> np.ndarray:
    if kind == "SE":
        d2 = ((places[:, None, :] - places[None, :, :]) ** 2).sum(axis=-1)
        return np.exp(-d2 / (2 * length**2))
    u = places.sum(axis=1)
    return np.cos(2 * np.pi * (u[:, None] - u[None, :]) / length)


def dense_score(
    y: np.ndarray, s: np.ndarray, K: np.ndarray, m: float, alpha: float
) -> tuple[float, float, float]:
    """Q, its mean and the information, straight from the definitions."""
    mu = m * s
    W = mu / (1 + alpha * mu)
    v = (y - mu) / (1 + alpha * mu)
    k, S1, S2, S3 = K @ W, W.sum(), (W**2).sum(), (W**3).sum()
    Q = v @ (K @ v) / 2
    e = (S1 - W @ k / S1) / 2
    I_tt = (W @ ((K * K) @ W) - 2 / S1 * (W @ (k * k)) + (W @ k) ** 2 / S1**2) / 2
    I_th = (S2 - W**2 @ k / S1 - (W**2 @ k - S2 * (W @ k) / S1) / S1) / 2
    I_hh = (S2 - 2 * S3 / S1 + S2**2 / S1**2) / 2
    return float(Q), float(e), float(I_tt - I_th**2 / I_hh)


def whole_process(folder: Path) -> dict[str, float]:
    """Time `apply` as a user does: counts cached, everything else to do; then n_svg changed; then nothing."""
    recipe = folder / "recipe.yaml"
    reading = RECIPE.split("  - id: svg")[0]
    recipe.write_text(reading)
    apply(recipe)
    recipe.write_text(RECIPE.replace("${N_SVG}", "500"))
    first = apply(recipe)
    recipe.write_text(RECIPE.replace("${N_SVG}", "400"))
    late = apply(recipe)
    return {"apply_s": first, "apply_n_svg_changed_s": late, "apply_nothing_to_do_s": apply(recipe)}


def apply(recipe: Path) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "spatialrun", "apply", "-q", str(recipe)]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def table(rows: Mapping[str, Any]) -> str:
    shown = {name: f"{value:.3g}" if isinstance(value, float) else str(value) for name, value in rows.items()}
    width = max(map(len, shown))
    return "\n".join(f"| {name:<{width}} | {value:>12} |" for name, value in shown.items())


if __name__ == "__main__":
    main()
