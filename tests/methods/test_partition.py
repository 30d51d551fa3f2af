from __future__ import annotations

import numpy as np
import pytest

from spatialrun.errors import DataError
from spatialrun.methods.partition import by_size, check_n_clusters, fill_empty, split


def test_the_largest_is_0():
    np.testing.assert_array_equal(by_size(np.array([7, 3, 3, 9, 3, 9])), [2, 0, 0, 1, 0, 1])


def test_of_equal_sizes_the_first_seen_is_first():
    np.testing.assert_array_equal(by_size(np.array([5, 5, 1, 1])), [0, 0, 1, 1])
    np.testing.assert_array_equal(by_size(np.array([1, 1, 5, 5])), [0, 0, 1, 1])


def test_empty_domains_get_the_spots_that_fit_worst():
    labels = np.array([0, 0, 0, 2, 0], dtype=np.int32)
    filled, n = fill_empty(labels, 5, np.array([5.0, 1.0, 3.0, 0.0, 2.0]))
    assert n == 3
    np.testing.assert_array_equal(filled, [0, 1, 4, 2, 3])
    assert fill_empty(np.array([1, 0], dtype=np.int32), 2, np.zeros(2))[1] == 0


def test_split_cuts_rows():
    parts = split(np.arange(10).reshape(5, 2), [2, 3])
    assert [part.shape for part in parts] == [(2, 2), (3, 2)]


@pytest.mark.parametrize("n_clusters", [-1, 0, 1, 11])
def test_impossible_numbers(n_clusters):
    with pytest.raises(DataError):
        check_n_clusters(n_clusters, 10)
