"""Null distributions' shapes from nodes and densities, against all eigenvalues of the dense matrix."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from formulas import dense, null_eigenvalues

from spatialrun.methods.spatialde import Kernel, levels, shapes
from spatialrun.methods.spatialde.family import chebyshev, interpolation
from spatialrun.methods.spatialde.grid import Spots
from spatialrun.methods.spatialde.sums import SizeClasses, kernel_sums

SIDE, N_SHAPES = 30, 3
LATTICE = np.stack(np.meshgrid(np.arange(float(SIDE)), np.arange(float(SIDE))), axis=-1).reshape(-1, 2)


def cumulants(x: np.ndarray, lengthscale: float) -> tuple[np.ndarray, np.ndarray]:
    """Third and fourth cumulants (2, N_SHAPES) of the groups, and of all eigenvalues."""
    size = np.random.default_rng(5).lognormal(0.0, 0.4, len(x))
    spots, classes = Spots.of(x), SizeClasses.of(size / size.mean())
    regime, powers = levels.regime(spots, lengthscale)
    with ThreadPoolExecutor(2) as pool:
        sums = kernel_sums(powers, classes, N_SHAPES, pool, keep=False, reference=False)
        values, counts = shapes.shapes(spots, {0: regime}, {0: sums}, classes, N_SHAPES, pool)[0]
    assert counts.sum() == len(x) - 1
    W = classes.shape(N_SHAPES)[0][classes.index]
    c = interpolation(chebyshev(N_SHAPES), classes.table.h.shape[1]) @ sums.moments.c
    K = dense(Kernel("SE", lengthscale), x)
    exact = [null_eigenvalues(K, w, share) for w, share in zip(W.T, c, strict=True)]
    return tuple(
        np.array([(n * each**power).sum(axis=1) for power in (3, 4)])
        for n, each in ((counts, values), (1.0, np.array(exact)))
    )


@pytest.mark.parametrize("lengthscale", [2.0, 6.0, 25.0])
def test_of_eigenvalues_that_are_computed_one_by_one(lengthscale) -> None:
    found, exact = cumulants(LATTICE, lengthscale)
    np.testing.assert_allclose(found, exact, rtol=0.02)


def test_of_a_density_where_there_are_too_many(monkeypatch) -> None:
    monkeypatch.setattr(shapes, "precision_of", lambda *_: None)
    found, exact = cumulants(LATTICE, 2.0)
    np.testing.assert_allclose(found, exact, rtol=0.05)


def test_of_clusters_of_spots_far_apart() -> None:
    rng = np.random.default_rng(2)
    centres = rng.uniform(0.0, 3000.0, (30, 2))
    x = np.concatenate([centre + rng.normal(0.0, 2.0, (30, 2)) for centre in centres])
    assert levels.regime(Spots.of(x), 2.0)[0].name == "neighbours"
    found, exact = cumulants(x, 2.0)
    np.testing.assert_allclose(found, exact, rtol=0.1)
