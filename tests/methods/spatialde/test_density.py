"""Eigenvalues from grids against those of whole matrices."""

from __future__ import annotations

import numpy as np
import pytest

from spatialrun.methods.spatialde.density import grid_eigenvalues
from spatialrun.methods.spatialde.grid import COARSE, FINE, Spots


def eigenvalues(x: np.ndarray, lengthscale: float, w: np.ndarray) -> np.ndarray:
    """Those of P^½ K P^½ with K written out, descending."""
    K = np.exp(-np.square(x[:, None] - x).sum(axis=2) / (2.0 * lengthscale**2))
    values, vectors = np.linalg.eigh(np.diag(w) - np.outer(w, w) / w.sum())
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    return np.linalg.eigvalsh(root @ K @ root)[::-1]


@pytest.mark.parametrize(
    ("lengthscale", "precision", "error"),
    [(4.0, FINE, 1e-7), (12.0, FINE, 1e-7), (60.0, FINE, 1e-6), (2.0, COARSE, 2e-4), (4.0, COARSE, 2e-4)],
)
@pytest.mark.parametrize("kind", ["lattice", "scattered"])
def test_those_of_a_grid_are_those_of_whole_matrices(kind, lengthscale, precision, error) -> None:
    rng = np.random.default_rng(5)
    x = np.stack(np.meshgrid(np.arange(22.0), np.arange(14.0)), axis=-1).reshape(-1, 2)
    if kind == "scattered":
        x = rng.random(x.shape) * [22.0, 14.0]
    x = x[np.lexsort(x.T)]
    W = rng.lognormal(0.0, 0.5, (len(x), 2))
    for found, w in zip(grid_eigenvalues(Spots.of(x), lengthscale, precision, W), W.T, strict=True):
        exact = eigenvalues(x, lengthscale, w)
        n = min(len(found), len(x))
        np.testing.assert_allclose(found[:n], exact[:n], rtol=0.0, atol=error * exact[0])
        assert np.abs(exact[n:]).sum() < error * exact.sum()
