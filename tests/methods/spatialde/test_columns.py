from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from spatialrun.methods.spatialde.columns import Columns


def test_columns_by_class_are_those_written_out() -> None:
    table, index = np.random.default_rng(0).normal(size=(4, 11)), np.array([3, 0, 0, 2, 1, 3])
    short, whole = Columns(table, index), Columns(table[index])
    assert short.shape == whole.shape == (6, 11)
    np.testing.assert_array_equal(short.rows(slice(1, 4)), table[index[1:4]])
    np.testing.assert_array_equal(short.lanes(8), whole.lanes(8))
    with ThreadPoolExecutor(2) as pool:
        np.testing.assert_array_equal(short.applied(lambda lanes: 2.0 * lanes, pool), 2.0 * table[index])
