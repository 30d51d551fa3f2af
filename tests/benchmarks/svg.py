"""Benchmark of `svg.spatialde` and `svg.moran`: 35,554 genes x 1,470 simulated spots, 10 kernels; larger samples.

    python tests/benchmarks/svg.py            # the whole table, a few minutes
    python tests/benchmarks/svg.py --quick    # one repeat, fewer genes checked
    python tests/benchmarks/svg.py --size 100k    # 100,000 bins x 18,000 genes; 20k, 500k

The timer runs from the stored CSC matrix to the finished table, the JIT warm. Accuracy is measured against the
dense formulas on genes over the deciles of abundance. The whole process of `apply` with the counts cached stands
beside it, and Moran's I of the same counts. With `--squidpy PYTHON`, the interpreter of an environment that has
squidpy, its Moran's I of the first genes stands beside ours. On a larger sample, a lattice of bins, the cold run
is on a few spots, and processor seconds stand beside the clock's; Q is checked up to 20,000 spots, the kernels on
a million pairs of spots at every size.
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
from scipy.sparse import csc_matrix
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from spatialrun.execute.streaming import stream
from spatialrun.methods import moran
from spatialrun.methods.simulate import BENCHMARK_1470, simulate_visium
from spatialrun.methods.spatialde import default_kernels, levels, score_block
from spatialrun.methods.spatialde import setup as setup_of_method
from spatialrun.methods.spatialde.grid import Spots
from spatialrun.methods.spatialde.gridded import ordered_spots
from spatialrun.readers import simulated
from spatialrun.steps import catalogue
from spatialrun.steps.contract import StreamingStep
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


# Bins, genes, and counts of the mean gene in a bin: about 2.3% and 1.5% of the values are not zero.
SIZES = {"20k": (20_000, 2_000, 0.04), "100k": (100_000, 18_000, 0.027), "500k": (500_000, 18_000, 0.0175)}
DEPTH_SPREAD, ABUNDANCE_SPREAD, SEED = 0.6, 1.6, 7
PAIRS = 1_000_000
SQUIDPYS_GENES = 1_000
SQUIDPY = """
import sys, time
import anndata, numpy as np, squidpy
from scipy.sparse import csc_matrix
held = np.load(sys.argv[1])
X = csc_matrix((held["data"], held["indices"], held["indptr"]), shape=tuple(held["shape"])).tocsr()
def test(genes):
    data = anndata.AnnData(X[:, :genes], obsm={"spatial": held["spatial"]})
    begun = time.perf_counter()
    squidpy.gr.spatial_neighbors(data, coord_type="grid", n_neighs=4 if len(sys.argv) > 3 else 6)
    squidpy.gr.spatial_autocorr(data, mode="moran", genes=list(data.var_names), n_perms=None, n_jobs=1)
    return time.perf_counter() - begun, data.uns["moranI"].loc[data.var_names, "I"].to_numpy()
test(5)
seconds, I = test(X.shape[1])
np.savez(sys.argv[2], seconds=seconds, I=I, version=squidpy.__version__)
"""
BAND = 1024  # rows of a kernel matrix that are written out at once


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
    parser.add_argument("--size", choices=list(SIZES))
    parser.add_argument("--squidpy", metavar="PYTHON", help="an interpreter that has squidpy")
    parser.add_argument("--measure", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        repeats = 1 if arguments.quick else 3 if arguments.size else 5
        print(json.dumps(measure(Path(arguments.measure), repeats, large=bool(arguments.size))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, arguments.size)
        command = [sys.executable, __file__, "--measure", name, *(["--quick"] if arguments.quick else [])]
        command += ["--size", arguments.size] if arguments.size else []
        rows = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        if arguments.squidpy:
            rows |= squidpys(folder, arguments.squidpy)
        if arguments.size:
            rows |= kernel_errors(folder)
        if arguments.size in (None, "20k"):
            rows |= accuracy(folder, 16 if arguments.quick else 64)
        if arguments.size is None:
            rows |= whole_process(folder)
    rows["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(json.dumps(rows, indent=2) if arguments.json else table(rows))


def prepare(folder: Path, size: str | None) -> None:
    """Simulate the sample and keep its counts in a store."""
    if size is None:
        section = simulate_visium(**BENCHMARK_1470)
        simulated.write(section, folder / "section")
        keep(folder, section.counts, section.spatial)
    else:
        counts, places = bins(*SIZES[size])
        (folder / "square").touch()
        keep(folder, counts, places)


def keep(folder: Path, counts: csc_matrix, places: np.ndarray) -> None:
    """Keep a sample in a store."""
    genes = [f"gene{g}" for g in range(counts.shape[1])]
    store = create_store(folder / "bench")
    attempt = store.attempt()
    refs = {
        "counts": attempt.write("counts", counts),
        "spatial": attempt.write("spatial", places),
        "genes": attempt.write("genes", np.asarray(genes, dtype=object)),
    }
    refs["values"] = refs["counts"]
    (folder / "refs.json").write_text(json.dumps({name: ref.to_json() for name, ref in refs.items()}))


def bins(count: int, n_genes: int, mean: float) -> tuple[csc_matrix, np.ndarray]:
    """A square lattice of about ``count`` bins of uneven depth, and genes of very uneven abundance.

    A little askew, as on every slide: each bin has an x and a y of its own.
    """
    rng = np.random.default_rng(SEED)
    side = int(np.sqrt(count))
    row, column = np.divmod(np.arange(side * side), side)
    places = np.column_stack([column, row]) @ [[29.0, 0.45], [-0.45, 29.0]]
    ends = np.cumsum(rng.lognormal(0.0, DEPTH_SPREAD, len(places)))
    abundance = rng.lognormal(0.0, ABUNDANCE_SPREAD, n_genes)
    totals = rng.poisson(np.minimum(abundance * (mean / abundance.mean()), 3.0) * len(places))
    indptr, indices, data = np.zeros(n_genes + 1, np.int64), [], []
    for gene, total in enumerate(totals):
        found = np.searchsorted(ends, np.sort(rng.random(total)) * ends[-1])
        first = np.flatnonzero(np.diff(found, prepend=-1))
        indices.append(found[first].astype(np.int32))
        data.append(np.diff(first, append=total).astype(np.int32))
        indptr[gene + 1] = indptr[gene] + len(first)
    parts = np.concatenate(data), np.concatenate(indices), indptr
    return csc_matrix(parts, shape=(len(places), n_genes)), places


def kernel_errors(folder: Path) -> dict[str, float]:
    """Largest error of the kernels of Q over ``PAIRS`` pairs of spots."""
    _, inputs = inputs_of(folder)
    places = inputs["spatial"].read()
    kernels = default_kernels(places)
    spots = Spots.of(places[ordered_spots(places, kernels)])
    regimes = {
        k: levels.regime(spots, kernel.lengthscale)[0]
        for k, kernel in enumerate(kernels)
        if kernel.kind == "SE"
    }
    found = levels.errors(spots, regimes, levels.sources(spots, regimes), PAIRS)
    return {f"kernel_error_{regimes[k].lengthscale:.4g}": value for k, value in found.items()}


def inputs_of(folder: Path) -> tuple[Store, HeldInputs]:
    store = create_store(folder / "bench")
    refs = json.loads((folder / "refs.json").read_text())
    return store, HeldInputs({name: store.element(ObjectRef.from_json(ref)) for name, ref in refs.items()})


def staged(folder: Path, uses: str = "svg.spatialde", **params: Any) -> dict[str, Any]:
    """Run a step's stages one after another, as the engine does; return seconds and results by stage.

    ``processor`` has the seconds of all threads, which other processes of the machine disturb less.
    """
    step = catalogue.get(uses)
    assert isinstance(step, StreamingStep)
    params = step.Params(**params)
    store, inputs = inputs_of(folder)
    context, partial = Silent(), store.partial("benchmark")
    partial.discard()
    clock, processor = [time.perf_counter()], [time.process_time()]
    with threadpool_limits(1, user_api="blas"):
        setup = HeldInputs({k: Held(v) for k, v in step.setup(inputs, params, context).items()})
        clock.append(time.perf_counter())
        processor.append(time.process_time())
        blocks = stream(
            step,
            setup,
            inputs,
            params,
            partial,
            context,
            in_flight=context.threads + 1,
            stopping=lambda: False,
        )
        clock.append(time.perf_counter())
        processor.append(time.process_time())
        tested = {f"blocks/{name}": Held(value) for name, value in blocks.items()}
        outputs = step.combine(HeldInputs({**setup.elements, **tested}), inputs, params, context)
        clock.append(time.perf_counter())
        processor.append(time.process_time())
    seconds = dict(zip(("setup", "blocks", "combine"), np.diff(clock), strict=True))
    used = dict(zip(("setup", "blocks", "combine"), np.diff(processor), strict=True))
    return {"seconds": seconds, "processor": used, "setup": setup, "blocks": blocks, "outputs": outputs}


def measure(folder: Path, repeats: int, *, large: bool) -> dict[str, float]:
    """Time the test in this process: cold once, on fewer spots where there are many, then warm."""
    import resource

    before: dict[str, float] = {}
    if large:
        warm_up()
    else:
        before["cold_s"] = sum(staged(folder)["seconds"].values())
    runs = [staged(folder) for _ in range(repeats)]
    total = statistics.median(sum(run["seconds"].values()) for run in runs)
    used = statistics.median(sum(run["processor"].values()) for run in runs)
    stages = {
        f"{name}_{unit}": statistics.median(run[key][name] for run in runs)
        for key, unit in (("seconds", "s"), ("processor", "processor_s"))
        for name in runs[0]["seconds"]
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    shape = inputs_of(folder)[1]["counts"].meta
    facts = {"spots": shape["shape"][0], "genes": shape["shape"][1], "nonzero": shape["nnz"]}
    return {
        **facts,
        "warm_s": total,
        "processor_s": used,
        **stages,
        **before,
        "peak_gb": peak,
        **morans(folder, repeats),
    }


def morans(folder: Path, repeats: int) -> dict[str, float]:
    """Time Moran's I of the same counts, warm."""
    staged(folder, "svg.moran", layer="counts")
    runs = [staged(folder, "svg.moran", layer="counts") for _ in range(repeats)]
    return {
        f"moran_{unit}": statistics.median(sum(run[key].values()) for run in runs)
        for key, unit in (("seconds", "s"), ("processor", "processor_s"))
    }


def squidpys(folder: Path, python: str) -> dict[str, Any]:
    """Time squidpy's Moran's I of the first genes, warm, in an interpreter that has it; compare with ours."""
    _, inputs = inputs_of(folder)
    counts = inputs["counts"].columns(0, SQUIDPYS_GENES).astype(np.float64)
    sample, found = folder / "sample.npz", folder / "squidpy.npz"
    parts = {"data": counts.data, "indices": counts.indices, "indptr": counts.indptr}
    np.savez(sample, **parts, shape=counts.shape, spatial=inputs["spatial"].read())
    square = ["square"] if (folder / "square").exists() else []
    command = [python, "-W", "ignore", "-c", SQUIDPY, str(sample), str(found), *square]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    theirs = np.load(found)
    for _ in range(2):  # the first is for the compiler
        begun = time.perf_counter()
        weights = moran.neighbor_weights(inputs["spatial"].read())
        ours = moran.moments(weights, counts.indptr, counts.indices, counts.data)["I"]
        seconds = time.perf_counter() - begun
    both = np.isfinite(ours) & np.isfinite(theirs["I"])
    return {
        "squidpy": str(theirs["version"]),
        "squidpy_genes": counts.shape[1],
        "squidpy_s": float(theirs["seconds"]),
        "moran_same_genes_s": seconds,
        "squidpy_difference": float(np.abs(ours - theirs["I"])[both].max()),
    }


def warm_up() -> None:
    """Compile every loop that a large sample needs."""
    counts, places = bins(6000, 50, 0.1)
    depth = np.asarray(counts.sum(axis=1)).ravel()
    prepared = setup_of_method(places, depth, default_kernels(places))
    score_block(prepared, counts.indptr, counts.indices, counts.data)


def accuracy(folder: Path, count: int) -> dict[str, Any]:
    """Compare Q, e and I with the dense formulas on genes over the deciles of abundance."""
    _, inputs = inputs_of(folder)
    counts, places = inputs["counts"].read(), inputs["spatial"].read()
    result = staged(folder)
    blocks, setup = result["blocks"], result["setup"]
    tested = np.flatnonzero(blocks["tested"])
    by_abundance = tested[np.argsort(blocks["total"][tested], kind="stable")]
    genes = by_abundance[np.linspace(0, len(by_abundance) - 1, count).astype(int)]
    s = np.asarray(counts.sum(axis=1)).ravel().astype(float)
    kernels = list(zip(setup["kernel_kind"].read(), setup["kernel_lengthscale"].read(), strict=True))
    mu, alpha = s[:, None] * blocks["m"][genes], blocks["alpha"][genes]
    W = mu / (1 + alpha * mu)
    v = (counts[:, genes].toarray().astype(float) - mu) / (1 + alpha * mu)
    worst = dict.fromkeys("QeI", 0.0)
    seconds = 0.0
    for number, (kind, length) in enumerate(kernels):
        begun = time.perf_counter()
        Q, e, I = dense_scores(str(kind), float(length), places, v, W)
        seconds += time.perf_counter() - begun
        for name, exact, scale in (("Q", Q, e), ("e", e, e), ("I", I, I)):
            error = np.abs(blocks[name][genes, number] - exact) / np.abs(scale)
            worst[name] = max(worst[name], float(error.max()))
    rare = float(np.mean(np.asarray(counts.sum(axis=0)).ravel() < 10))
    dense = {"dense_s_a_gene": seconds / count}
    return {"under_10_counts": rare, **dense, **{f"error_{name}": value for name, value in worst.items()}}


def dense_scores(
    kind: str, length: float, places: np.ndarray, v: np.ndarray, W: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q, its mean and the information of genes (columns) from the definitions, a band of the kernel at a time."""
    k, kk, Kv = np.empty_like(W), np.empty_like(W), np.empty_like(v)
    for start in range(0, len(places), BAND):
        rows = slice(start, start + BAND)
        K = dense_kernel(kind, length, places[rows], places)
        Kv[rows], k[rows] = K @ v, K @ W
        kk[rows] = np.square(K) @ W
    S1, S2, S3 = (np.sum(W**power, axis=0) for power in (1, 2, 3))
    Wk, WWk = np.sum(W * k, axis=0), np.sum(W**2 * k, axis=0)
    I_tt = (np.sum(W * kk, axis=0) - 2 / S1 * np.sum(W * k * k, axis=0) + Wk**2 / S1**2) / 2
    I_th = (S2 - WWk / S1 - (WWk - S2 * Wk / S1) / S1) / 2
    I_hh = (S2 - 2 * S3 / S1 + S2**2 / S1**2) / 2
    return np.sum(v * Kv, axis=0) / 2, (S1 - Wk / S1) / 2, I_tt - I_th**2 / I_hh


def dense_kernel(kind: str, length: float, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    if kind == "SE":
        return np.exp(-cdist(here, there, "sqeuclidean") / (2 * length**2))
    return np.cos(2 * np.pi * (here.sum(axis=1)[:, None] - there.sum(axis=1)) / length)


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
