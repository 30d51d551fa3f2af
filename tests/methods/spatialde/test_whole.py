"""Set-ups of whole matrices, against the formulas."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from spatialrun.methods.spatialde import Kernel
from spatialrun.methods.spatialde.family import Axis, chebyshev, interpolation, weights_shape
from spatialrun.methods.spatialde.whole import whole_setup

N_SHAPES = 4


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(4).uniform(0.0, 100.0, (200, 2))


@pytest.fixture
def size() -> np.ndarray:
    found = np.random.default_rng(5).lognormal(0.0, 0.3, 200)
    return found / found.mean()


def dense(kernel: Kernel, x: np.ndarray) -> np.ndarray:
    difference = x[:, None] - x
    if kernel.kind == "SE":
        return np.exp(-np.square(difference).sum(axis=2) / (2.0 * kernel.lengthscale**2))
    return np.cos(2.0 * np.pi * difference.sum(axis=2) / kernel.lengthscale)


KERNELS = [Kernel("SE", 6.0), Kernel("SE", 40.0), Kernel("PER", 30.0)]


@pytest.mark.parametrize("reference", [False, True])
def test_means_and_informations(x, size, reference) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = whole_setup(x, size, KERNELS, N_SHAPES, pool, reference=reference)
    W = weights_shape(Axis.of(size).nodes(found["mean"].shape[1]), size)
    for k, kernel in enumerate(KERNELS):
        K = dense(kernel, x)
        for t, w in enumerate(W.T):
            P = np.diag(w) - np.outer(w, w) / w.sum()
            tt, th, hh = (0.5 * np.trace(A @ B) for A, B in ((P @ K, P @ K), (P @ K, P), (P, P)))
            if reference:
                tt = 0.5 * np.square(P @ K).sum()
            assert found["mean"][k, t] == pytest.approx(0.5 * np.trace(P @ K), rel=1e-9)
            assert found["diagonal_share"][k, t] == pytest.approx(th / hh, rel=1e-9)
            assert found["information"][k, t] == pytest.approx(tt - th**2 / hh, rel=1e-9)
    assert found["usable"].all()


def test_spectra_have_the_third_cumulant_of_all_eigenvalues(x, size) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = whole_setup(x, size, KERNELS, N_SHAPES, pool, reference=False)
    W = weights_shape(Axis.of(size).nodes(N_SHAPES), size)
    share = found["diagonal_share"] @ interpolation(chebyshev(N_SHAPES), found["diagonal_share"].shape[1]).T
    for k, kernel in enumerate(KERNELS):
        for node, w in enumerate(W.T):
            P = np.diag(w) - np.outer(w, w) / w.sum()
            exact = np.linalg.eigvals(P @ (dense(kernel, x) - share[k, node] * np.eye(len(x)))).real
            exact /= np.sqrt((exact**2).sum() / 2.0)
            values, counts = found["spectrum"][k, node], found["multiplicity"][k]
            assert counts.sum() == len(x) - 1
            assert (counts * values**3).sum() == pytest.approx((exact**3).sum(), rel=0.03)
