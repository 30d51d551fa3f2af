from __future__ import annotations

import numpy as np
from scipy.sparse import csc_matrix

from spatialrun.methods.by_domain import means_and_fractions


def test_means_and_fractions():
    dense = np.array([[1.0, 0], [3, 0], [0, 2], [5, 5]])
    layer = csc_matrix(dense)
    means, fractions = means_and_fractions(layer, np.array([0, 0, 2, -1]), 3)
    np.testing.assert_array_equal(means, [[2, 0], [0, 0], [0, 2]])
    np.testing.assert_array_equal(fractions, [[1, 0], [0, 0], [0, 1]])


def test_stored_zeros_are_no_expression():
    layer = csc_matrix(np.array([[1.0], [1.0]]))
    layer.data[:] = [0.0, 2.0]
    means, fractions = means_and_fractions(layer, np.zeros(2, dtype=np.int8), 1)
    assert means[0, 0] == 1
    assert fractions[0, 0] == 0.5
