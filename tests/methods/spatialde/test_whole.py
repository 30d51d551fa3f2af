"""Set-ups of whole matrices, against the formulas."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from formulas import dense, null_eigenvalues, written_out

from spatialrun.methods.spatialde import Kernel
from spatialrun.methods.spatialde.family import Axis, chebyshev, interpolation, weights_shape
from spatialrun.methods.spatialde.whole import whole_setup

N_SHAPES = 4
KERNELS = [Kernel("SE", 6.0), Kernel("SE", 40.0), Kernel("PER", 30.0), Kernel("linear")]


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(4).uniform(0.0, 100.0, (200, 2))


@pytest.fixture
def size() -> np.ndarray:
    found = np.random.default_rng(5).lognormal(0.0, 0.3, 200)
    return found / found.mean()


@pytest.mark.parametrize("reference", [False, True])
def test_means_and_informations(x, size, reference) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = whole_setup(x, size, KERNELS, N_SHAPES, pool, reference=reference)
    W = weights_shape(Axis.of(size).nodes(found["mean"].shape[1]), size)
    for k, kernel in enumerate(KERNELS):
        K = dense(kernel, x)
        for t, w in enumerate(W.T):
            _, e, I, frobenius = written_out(K, w, np.zeros(len(x)))
            assert found["mean"][k, t] == pytest.approx(e, rel=1e-9)
            assert found["information"][k, t] == pytest.approx(frobenius if reference else I, rel=1e-9)
    assert found["usable"].all()


def test_spectra_have_the_third_cumulant_of_all_eigenvalues(x, size) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = whole_setup(x, size, KERNELS, N_SHAPES, pool, reference=False)
    W = weights_shape(Axis.of(size).nodes(N_SHAPES), size)
    share = found["diagonal_share"] @ interpolation(chebyshev(N_SHAPES), found["diagonal_share"].shape[1]).T
    for k, kernel in enumerate(KERNELS):
        for node, w in enumerate(W.T):
            exact = null_eigenvalues(dense(kernel, x), w, share[k, node])
            values, counts = found["spectrum"][k, node], found["multiplicity"][k]
            assert counts.sum() == len(x) - 1
            assert (counts * values**3).sum() == pytest.approx((exact**3).sum(), rel=0.03)
