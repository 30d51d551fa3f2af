"""The sparse graph does what the matrix of all pairs does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from spatialrun.errors import DataError
from spatialrun.methods.spagcn import adjacency
from spatialrun.methods.spagcn.adjacency import aggregate, length_scale


@pytest.fixture
def places() -> np.ndarray:
    row, column = np.divmod(np.arange(600), 30)
    return np.column_stack([137.0 * (column + 0.5 * (row % 2)), 118.6 * row])


def dense(places: np.ndarray, length: float) -> np.ndarray:
    return np.exp(-(cdist(places, places) ** 2) / (2 * length**2))


@pytest.mark.parametrize("p", [0.05, 0.5, 3.0, 40.0])
def test_length_gives_the_mean_weight(places, p):
    length = length_scale(places, p)
    assert dense(places, length).sum(axis=1).mean() - 1 == pytest.approx(p, abs=0.0101)


def test_length_is_the_references(places):
    """Its bisection from 0.01 to 1000, on all pairs."""
    low, high = 0.01, 1000.0
    while True:
        middle = (low + high) / 2
        reached = dense(places, middle).sum(axis=1).mean() - 1
        if abs(reached - 0.5) <= 0.01:
            break
        low, high = (middle, high) if reached <= 0.5 else (low, middle)
    assert length_scale(places, 0.5) == middle


def test_length_beyond_the_references_bracket(places):
    far = places * 1e4
    assert length_scale(far, 0.5) == pytest.approx(1e4 * length_scale(places, 0.5), rel=0.02)


def test_product_with_the_graph(places, monkeypatch):
    monkeypatch.setattr(adjacency, "BLOCK", 100)
    X = np.random.default_rng(0).standard_normal((600, 5))
    np.testing.assert_allclose(aggregate(places, 200.0, X), dense(places, 200.0) @ X, atol=1e-5)


def test_a_third_coordinate_is_distance_too(places):
    z = np.random.default_rng(0).normal(0, 300, 600)
    solid = np.column_stack([places, z])
    X = np.random.default_rng(1).standard_normal((600, 2))
    np.testing.assert_allclose(aggregate(solid, 200.0, X), dense(solid, 200.0) @ X, atol=1e-5)


def test_no_length_for_more_weight_than_spots(places):
    with pytest.raises(DataError, match="p = 20") as raised:
        length_scale(places[:10], 20.0)
    assert raised.value.hint


def test_no_length_where_all_spots_share_a_place():
    with pytest.raises(DataError) as raised:
        length_scale(np.zeros((10, 2)), 0.5)
    assert raised.value.code == "data.values"
