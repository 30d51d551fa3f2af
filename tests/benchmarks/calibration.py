"""Is p what it says? Spots of a real section are permuted: every gene is then a null gene, its counts real.

    python tests/benchmarks/calibration.py [FOLDER] [--seeds 20]

prints observed/expected numbers of p below 0.05, 0.01 and 0.001, pooled over the permutations, for every kernel
and for the combined p; genes under 100 counts and genes with alpha = 0 apart. FOLDER is a Space Ranger ``outs``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from spatialrun.methods.spatialde import combine, default_kernels, score_block, setup

Array = NDArray[np.float64]

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "dlpfc_151673" / "outs"
LEVELS = (0.05, 0.01, 0.001)
BLOCK = 1024


def read(outs: Path) -> tuple[Array, csc_matrix]:
    """Coordinates (spots, 2) and counts (spots, genes)."""
    with h5py.File(outs / "filtered_feature_bc_matrix.h5") as file:
        matrix = file["matrix"]
        parts = tuple(matrix[name][:] for name in ("data", "indices", "indptr"))
        counts = csc_matrix(parts, shape=matrix["shape"][:]).T.tocsc()
        barcodes = matrix["barcodes"][:].astype(str)
    places = pd.read_csv(outs / "spatial" / "tissue_positions_list.csv", header=None, index_col=0)
    return places.loc[barcodes, [5, 4]].to_numpy(float), counts


def null_p(x: Array, counts: csc_matrix, seed: int, threads: int) -> tuple[Array, Array, Array]:
    """log10 p (genes, kernels + 1; the last is combined), totals and alphas of the tested genes."""
    x = x[np.random.default_rng(seed).permutation(len(x))]
    size = np.asarray(counts.sum(axis=1), float).ravel()
    prepared = setup(x, size, default_kernels(x), threads=threads)

    def block(start: int) -> dict[str, NDArray]:
        part = counts[:, start : start + BLOCK]
        return score_block(prepared, part.indptr, part.indices, part.data)

    with ThreadPoolExecutor(threads) as pool:
        blocks = list(pool.map(block, range(0, counts.shape[1], BLOCK)))
    keys = ("log10p", "total", "tested", "alpha")
    log10p, total, tested, alpha = (np.concatenate([b[key] for b in blocks]) for key in keys)
    table = combine(log10p, total, tested, prepared["kernel_kind"], prepared["kernel_lengthscale"])
    return np.column_stack([log10p, table["log10p"]])[tested], total[tested], alpha[tested]


def calibration(x: Array, counts: csc_matrix, seeds: Sequence[int], threads: int = 2) -> pd.DataFrame:
    """Observed/expected: rows (group, level), columns the kernels and ``combined``."""
    runs = [null_p(x, counts, seed, threads) for seed in seeds]
    log10p, total, alpha = (np.concatenate(part) for part in zip(*runs, strict=True))
    groups = {
        ">= 100 counts": total >= 100,
        ">= 100 counts, alpha > 0": (total >= 100) & (alpha > 0),
        ">= 100 counts, alpha = 0": (total >= 100) & (alpha == 0),
        ">= 1000 counts": total >= 1000,
        "< 100 counts": total < 100,
    }
    names = [f"{k.kind} {k.lengthscale:.3g}" for k in default_kernels(x)] + ["combined"]
    rows = {
        (f"{name} (n = {chosen.sum():,})", level): (log10p[chosen] < np.log10(level)).mean(axis=0) / level
        for name, chosen in groups.items()
        for level in LEVELS
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("outs", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    with pd.option_context("display.width", 200, "display.precision", 2, "display.max_columns", 20):
        print(calibration(*read(arguments.outs), range(arguments.seeds)))


if __name__ == "__main__":
    main()
