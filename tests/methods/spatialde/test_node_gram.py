"""Eigenvalues from grids against those of whole matrices."""

from __future__ import annotations

import numpy as np
import pytest

from spatialrun.methods.spatialde.grid import COARSE, FINE, Spots
from spatialrun.methods.spatialde.node_gram import NodeGram, NodeOperator
from spatialrun.methods.spatialde.vectors import LANES


def eigenvalues(x: np.ndarray, lengthscale: float, w: np.ndarray) -> np.ndarray:
    """Those of P^½ K P^½ with K written out, descending."""
    K = np.exp(-np.square(x[:, None] - x).sum(axis=2) / (2.0 * lengthscale**2))
    values, vectors = np.linalg.eigh(np.diag(w) - np.outer(w, w) / w.sum())
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    return np.linalg.eigvalsh(root @ K @ root)[::-1]


def places(kind: str) -> np.ndarray:
    x = np.stack(np.meshgrid(np.arange(22.0), np.arange(14.0)), axis=-1).reshape(-1, 2)
    if kind == "scattered":
        x = np.random.default_rng(5).random(x.shape) * [22.0, 14.0]
    return x[np.lexsort(x.T)]


@pytest.mark.parametrize(
    ("lengthscale", "precision", "error"),
    [(4.0, FINE, 2e-7), (12.0, FINE, 2e-7), (60.0, FINE, 1e-6), (2.0, COARSE, 2e-4), (4.0, COARSE, 2e-4)],
)
@pytest.mark.parametrize("kind", ["lattice", "scattered"])
def test_eigenvalues_are_those_of_whole_matrices(kind, lengthscale, precision, error) -> None:
    x = places(kind)
    W = np.random.default_rng(6).lognormal(0.0, 0.5, (len(x), 2))
    gram = NodeGram.of(Spots.of(x), lengthscale, precision, W)
    for lane, w in enumerate(W.T):
        found, exact = gram.eigenvalues(lane), eigenvalues(x, lengthscale, w)
        n = min(len(found), len(x))
        np.testing.assert_allclose(found[:n], exact[:n], rtol=0.0, atol=error * exact[0])
        assert np.abs(exact[n:]).sum() < 2.0 * error * exact.sum()


@pytest.mark.parametrize("kind", ["lattice", "scattered"])
def test_what_is_applied_is_the_same_matrix(kind) -> None:
    x = places(kind)
    W = np.random.default_rng(6).lognormal(0.0, 0.5, (len(x), 3))
    gram = NodeGram.of(Spots.of(x), 3.0, COARSE, W)
    lanes = np.array([2, 1, 0, 2, 1, 0, 0, 0])
    vectors = np.random.default_rng(7).normal(size=(len(gram), LANES))
    spots = gram.grid.spots
    F = (gram.grid.y.rows(spots.iy)[:, :, None] * gram.grid.x.rows(spots.ix)[:, None, :]).reshape(len(x), -1)
    found = NodeOperator(gram, lanes).times(vectors)
    for lane, weights in enumerate(lanes):
        w = W[:, weights]
        exact = F.T @ (w * (F @ vectors[:, lane])) - F.T @ w * (w @ F @ vectors[:, lane]) / w.sum()
        np.testing.assert_allclose(found[:, lane], exact, rtol=0.0, atol=2e-4 * np.abs(exact).max())
