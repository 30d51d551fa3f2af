from __future__ import annotations

import numpy as np
import pytest

from spatialrun.methods.spatialde.family import Axis, family, gauss_sizes, interpolation, weights_shape


@pytest.mark.parametrize("widest", [1.0, 5.0, 1e4])
def test_weights_are_interpolated_to_rounding_however_much_sizes_differ(widest: float) -> None:
    size = np.geomspace(1.0 / widest, 1.0, 200)
    size /= size.mean()
    table = family(size)
    a = np.concatenate([[0.0], np.geomspace(1e-6, 1e9, 300)])
    at = interpolation(table.axis.locate(a), len(table.phi))
    exact = weights_shape(a / (1.0 + a), size)
    np.testing.assert_allclose(table.psi @ (at @ table.phi).T, exact, rtol=0, atol=1e-11 * exact.max())


def test_nodes_end_at_both_ends_and_are_located_at_chebyshev_points() -> None:
    axis = Axis.of(np.array([0.1, 1.9]))
    t = axis.nodes(9)
    assert t[0] == 0.0
    assert t[-1] == 1.0
    np.testing.assert_allclose(
        axis.locate(t[:-1] / (1.0 - t[:-1])), -np.cos(np.pi * np.arange(8) / 8), atol=1e-14
    )


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.5])
def test_gauss_nodes_sum_over_spots(spread: float) -> None:
    size = np.random.default_rng(0).lognormal(0.0, spread, 3000)
    nodes, weights = gauss_sizes(size)
    assert len(nodes) <= 32
    for a in (1e-3, 1.0, 1e3):
        assert weights @ np.log1p(a * nodes) == pytest.approx(np.log1p(a * size).sum(), rel=1e-13)
        assert weights @ (nodes / (1 + a * nodes)) ** 2 == pytest.approx(
            ((size / (1 + a * size)) ** 2).sum(), rel=1e-12
        )
