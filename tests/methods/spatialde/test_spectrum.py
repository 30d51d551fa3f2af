from __future__ import annotations

import numpy as np
import pytest

from spatialrun.methods.spatialde.preparation import LARGEST_WHOLE
from spatialrun.methods.spatialde.spectrum import N_GROUPS, group_edges, grouped_spectrum


def test_the_groups_of_the_largest_sample_fit_with_the_rest() -> None:
    assert len(group_edges(LARGEST_WHOLE)) <= N_GROUPS


@pytest.mark.parametrize("rank", [1, 2, 7, 100, 4999])
def test_groups_cover_every_eigenvalue_once_singles_first(rank: int) -> None:
    edges = group_edges(rank)
    assert edges[0] == 0
    assert edges[-1] == rank
    assert (np.diff(edges) > 0).all()
    assert edges[: min(rank, 6) + 1] == list(range(min(rank, 6) + 1))


def test_cumulants_are_those_of_the_dense_matrix() -> None:
    """Standard third and fourth cumulants: tr(M³) and 3 tr(M⁴) for M = P^½ (K - cI) P^½ of tr(M²) = 2."""
    rng = np.random.default_rng(0)
    F = rng.normal(size=(80, 12)) * np.geomspace(1.0, 0.05, 12)
    W = rng.uniform(0.9, 1.1, 80)
    P = np.diag(W) - np.outer(W, W) / W.sum()
    c = np.trace(P @ F @ F.T @ P) / np.trace(P @ P)
    M = np.linalg.eigvals(P @ (F @ F.T - c * np.eye(80))).real
    M /= np.sqrt((M**2).sum() / 2)
    values, counts = grouped_spectrum(F, W, c)
    assert counts.sum() == 79
    assert (counts * values**2).sum() == pytest.approx(2.0, rel=1e-12)
    assert (counts * values**3).sum() == pytest.approx((M**3).sum(), rel=0.02)
    assert (counts * values**4).sum() == pytest.approx((M**4).sum(), rel=0.02)
