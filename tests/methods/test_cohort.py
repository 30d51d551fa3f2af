from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatialrun.errors import DataError
from spatialrun.methods.cohort import shared_genes


def test_shared_genes_in_the_first_samples_order():
    shared, columns = shared_genes([pd.Index(["d", "a", "b"]), pd.Index(["b", "x", "d"])])
    assert list(shared) == ["d", "b"]
    np.testing.assert_array_equal(columns[0], [0, 2])
    np.testing.assert_array_equal(columns[1], [2, 0])


def test_nothing_shared():
    with pytest.raises(DataError, match="share no genes") as raised:
        shared_genes([pd.Index(["GAPDH"]), pd.Index(["Gapdh"])])
    assert raised.value.code == "data.empty"
