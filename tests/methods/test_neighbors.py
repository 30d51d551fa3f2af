from __future__ import annotations

import numpy as np
import pytest

from spatialrun.errors import DataError
from spatialrun.methods.neighbors import mean_of, nearest, nearest_within


def test_nearest_first_and_never_the_spot_itself():
    places = np.array([[0.0, 0], [1, 0], [3, 0], [7, 0]])
    np.testing.assert_array_equal(nearest(places, 2), [[1, 2], [0, 2], [1, 0], [2, 1]])


def test_spots_at_one_place_are_each_others_neighbours():
    places = np.zeros((10, 2))
    found = nearest(places, 3)
    assert found.shape == (10, 3)
    assert (found != np.arange(10)[:, None]).all()


def test_no_more_neighbours_than_other_spots():
    assert nearest(np.array([[0.0, 0], [1, 0], [2, 0]]), 6).shape == (3, 2)
    assert nearest(np.zeros((1, 2)), 6).shape == (1, 0)


def test_samples_do_not_touch():
    rng = np.random.default_rng(0)
    W = mean_of(nearest_within([rng.random((20, 2)), rng.random((5, 2))], 6))
    assert W[:20, 20:].nnz == W[20:, :20].nnz == 0
    np.testing.assert_allclose(W.sum(axis=1), 1.0)
    assert np.diff(W.indptr).tolist() == [6] * 20 + [4] * 5


@pytest.mark.parametrize("places", [np.zeros((0, 2)), np.array([[0.0, np.nan], [1, 1]]), np.zeros(4)])
def test_coordinates_that_are_none(places):
    with pytest.raises(DataError) as raised:
        nearest(places, 2)
    assert raised.value.code == "data.coordinates"
