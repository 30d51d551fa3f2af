from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anndata
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from spatialrun.methods.spatialde import combine, default_kernels, score_block, setup


def null_p(x: NDArray, counts: csc_matrix, seed: int) -> tuple[NDArray, NDArray]:
    """p of every kernel and combined, and total counts, of the tested genes over permuted spots."""
    x = x[np.random.default_rng(seed).permutation(len(x))]
    prepared = setup(x, np.asarray(counts.sum(axis=1), float).ravel(), default_kernels(x), threads=2)

    def block(start: int) -> dict[str, NDArray]:
        part = counts[:, start : start + 1024]
        return score_block(prepared, part.indptr, part.indices, part.data)

    with ThreadPoolExecutor(2) as pool:
        blocks = list(pool.map(block, range(0, counts.shape[1], 1024)))
    log10p, total, tested = (
        np.concatenate([b[key] for b in blocks]) for key in ("log10p", "total", "tested")
    )
    table = combine(log10p, total, tested, prepared["kernel_kind"], prepared["kernel_lengthscale"])
    return 10.0 ** np.column_stack([log10p, table["log10p"]])[tested], total[tested]


def test_p_of_simulated_noise_is_uniform() -> None:
    """NB noise over very uneven depth: 1,500 genes x 4 permutations of 600 spots."""
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.arange(30.0), np.arange(20.0)), axis=-1).reshape(-1, 2)
    size = rng.lognormal(0.0, 0.6, len(grid))
    mean, alpha = np.geomspace(0.3, 5.0, 1500), np.tile([0.1, 0.5, 2.0], 500)
    counts = csc_matrix(rng.poisson(mean * size[:, None] * rng.gamma(1 / alpha, alpha, (600, 1500))))
    p = np.concatenate([null_p(grid, counts, seed)[0] for seed in range(4)])
    assert len(p) == 6000
    assert (((p < 0.05).mean(axis=0) / 0.05 > 0.75) & ((p < 0.05).mean(axis=0) / 0.05 < 1.25)).all()
    assert ((p < 0.001).mean(axis=0) < 0.003).all()


@pytest.mark.slow
def test_p_of_permuted_real_spots_is_uniform(data: Path) -> None:
    """A smaller version of tests/benchmarks/calibration.py: 262 spots, whose depth varies ten-thousandfold."""
    adata = anndata.read_h5ad(data / "spatialde_mob_rep11" / "spatialde_mob_rep11.h5ad")
    counts = csc_matrix(adata.X)
    runs = [null_p(np.asarray(adata.obsm["spatial"], float), counts, seed) for seed in range(6)]
    p = np.concatenate([p[total >= 100] for p, total in runs])
    ratio = (p < 0.05).mean(axis=0) / 0.05
    assert ((ratio > 0.7) & (ratio < 1.3)).all()
