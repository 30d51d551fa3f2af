from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.sparse import csc_matrix

from spatialrun.errors import DataError
from spatialrun.methods import moran


def square(side: int) -> np.ndarray:
    row, column = np.divmod(np.arange(side * side), side)
    return 8.0 * np.column_stack([column, row])


def hexagonal(side: int) -> np.ndarray:
    row, place = np.divmod(np.arange(side * side), side)
    return np.column_stack([50.0 * (2 * place + row % 2), 86.6 * row])


def dense(weights: moran.Weights) -> np.ndarray:
    """The symmetric part of W, from its rows above the diagonal."""
    n = len(weights["reach"])
    W = np.zeros((n, n))
    rows = np.repeat(np.arange(n), np.diff(weights["near"]))
    W[rows, weights["neighbor"]] = weights["weight"]
    return W + W.T


def values(n_spots: int, n_genes: int = 30) -> csc_matrix:
    rng = np.random.default_rng(4)
    return csc_matrix(np.log1p(rng.poisson(rng.lognormal(-1.0, 1.0, n_genes), (n_spots, n_genes))))


def block(weights: moran.Weights, X: csc_matrix) -> dict[str, np.ndarray]:
    return moran.moments(weights, X.indptr, X.indices, X.data)


@pytest.mark.parametrize(("places", "ring"), [(square(9), 4), (hexagonal(9), 6)])
def test_the_next_spots_of_a_lattice(places, ring):
    weights = moran.neighbor_weights(places, row_normalized=False)
    W = dense(weights)
    assert weights["kind"][0] == "lattice"
    assert W[40].sum() == ring  # in the middle
    assert W[0].sum() == 2
    assert set(np.unique(W)) == {0.0, 1.0}


def test_spots_anywhere_have_nearest_neighbours():
    places = np.random.default_rng(1).random((200, 2))
    weights = moran.neighbor_weights(places, n_neighbors=5)
    assert weights["kind"][0] == "nearest"
    assert weights["sums"][0] == pytest.approx(200.0)
    assert moran.neighbor_weights(square(9), "nearest")["kind"][0] == "nearest"


@pytest.mark.parametrize("row_normalized", [True, False])
def test_as_the_dense_formulas(row_normalized):
    places = np.random.default_rng(1).random((150, 2))
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    W = np.zeros((150, 150))
    W[np.arange(150)[:, None], np.argsort(distance, axis=1)[:, 1:7]] = 1 / 6 if row_normalized else 1.0
    X = values(150)
    z = X.toarray() - X.toarray().mean(axis=0)
    weights = moran.neighbor_weights(places, row_normalized=row_normalized)
    found = block(weights, X)
    np.testing.assert_allclose(
        found["I"], 150 / W.sum() * np.sum(z * (W @ z), axis=0) / np.sum(z * z, axis=0), rtol=0, atol=1e-14
    )
    np.testing.assert_allclose(found["kurtosis"], stats.kurtosis(z, fisher=False), rtol=1e-13)
    np.testing.assert_array_equal(found["n_spots"], (X.toarray() != 0).sum(axis=0))
    S1 = np.square(W + W.T).sum() / 2
    S2 = np.square(W.sum(axis=0) + W.sum(axis=1)).sum()
    np.testing.assert_allclose(weights["sums"], [W.sum(), S1, S2], rtol=1e-13)


def test_p_as_squidpys():
    """squidpy 1.6, ``gr.spatial_autocorr``: ``_analytic_pval`` under normality, one tail."""
    weights = moran.neighbor_weights(hexagonal(12))
    X = values(144)
    found = block(weights, X)
    n, (S0, S1, S2) = 144, weights["sums"]
    variance = (n**2 * S1 - n * S2 + 3 * S0**2) / ((n - 1) * (n + 1) * S0**2) - (1 / (n - 1)) ** 2
    z = (found["I"] + 1 / (n - 1)) / np.sqrt(variance)
    everyone = np.ones(30, bool)
    ours = moran.significance(
        found["I"], found["kurtosis"], weights["sums"], n, everyone, assumption="normality"
    )
    np.testing.assert_allclose(ours["z"], z, rtol=1e-12)
    np.testing.assert_allclose(ours["pval"], 1 - stats.norm.cdf(z), rtol=1e-9)
    np.testing.assert_allclose(ours["padj"], stats.false_discovery_control(ours["pval"]), rtol=1e-9)
    two = moran.significance(
        found["I"],
        found["kurtosis"],
        weights["sums"],
        n,
        everyone,
        assumption="normality",
        alternative="two-sided",
    )
    np.testing.assert_allclose(two["pval"], 2 * stats.norm.sf(np.abs(z)), rtol=1e-9)


def test_moments_of_the_permuted_values():
    """Under randomisation mean and variance are those over all orders of the values: here over 20,000 of them."""
    places = square(5)
    weights = moran.neighbor_weights(places)
    x = np.random.default_rng(3).gamma(0.3, size=25)  # far from normal
    orders = np.random.default_rng(8).permuted(np.tile(x, (20_000, 1)), axis=1)
    found = block(weights, csc_matrix(orders.T))
    variance = moran.variance(found["kurtosis"][:1], weights["sums"], 25, "randomization")[0]
    assert found["I"].mean() == pytest.approx(moran.expected(25), abs=4 * np.sqrt(variance / 20_000))
    assert found["I"].var() == pytest.approx(variance, rel=0.05)


def test_patterns_come_first_and_constants_are_not_tested():
    places = square(20)
    rng = np.random.default_rng(0)
    X = rng.poisson(1.0, (400, 10)).astype(float)
    X[:, 3] += 4 * (places[:, 0] > 80)
    X[:, 4] = (places.sum(axis=1) / 8) % 2  # a chessboard
    X[:, 5] = 7.1
    weights = moran.neighbor_weights(places)
    found = block(weights, csc_matrix(X))
    result = moran.significance(found["I"], found["kurtosis"], weights["sums"], 400, found["n_spots"] > 0)
    assert result["rank"][3] == 1
    assert found["I"][4] == pytest.approx(-1.0)
    assert result["rank"][4] == 9
    assert np.isnan(found["I"][5])
    assert all(np.isnan(result[name][5]) for name in ("z", "pval", "padj", "rank"))


def test_z_too_large_for_p_still_ranks():
    I = np.array([0.8, 0.9, 0.7])
    weights = moran.neighbor_weights(square(100))
    result = moran.significance(I, np.full(3, 4.0), weights["sums"], 10_000, np.ones(3, bool))
    assert result["pval"].max() == 0.0
    np.testing.assert_array_equal(result["rank"], [2, 1, 3])


def test_a_gene_does_not_depend_on_its_block():
    weights = moran.neighbor_weights(square(15))
    X = values(225)
    whole, part = block(weights, X), block(weights, X[:, 7:11])
    for name in whole:
        np.testing.assert_array_equal(whole[name][7:11], part[name])


def test_what_cannot_be_tested():
    weights = moran.neighbor_weights(square(3))
    X = csc_matrix(np.array([[np.nan]] * 9))
    with pytest.raises(DataError) as raised:
        block(weights, X)
    assert raised.value.code == "data.values"
    for places in (np.zeros((1, 2)), np.full((4, 2), np.inf)):
        with pytest.raises(DataError) as raised:
            moran.neighbor_weights(places)
        assert raised.value.code == "data.coordinates"
