from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spatialrun.errors import DataError
from spatialrun.methods.annotation import join

TABLE = pd.DataFrame(
    {"domain": ["10", "2", " ", "2"], "depth": [1, 2, 3, 4], "edge": [True, False, True, True]},
    index=["s1", "s2", "s3", "elsewhere"],
)


def test_order_is_that_of_the_names() -> None:
    columns, matched = join(["s3", "s1", "s2"], TABLE)
    assert matched == 3
    assert list(columns["depth"]) == [3, 1, 2]
    assert columns["edge"].dtype == bool


def test_absent_names_have_no_value() -> None:
    columns, matched = join(["s1", "s9"], TABLE)
    assert matched == 1
    assert np.isnan(columns["depth"][1])
    assert list(pd.isna(columns["domain"])) == [False, True]


def test_text_becomes_categories_in_natural_order() -> None:
    domain = join(["s1", "s2", "s3"], TABLE)[0]["domain"]
    assert list(domain.categories) == ["2", "10"]
    assert list(domain.isna()) == [False, False, True]


def test_an_order_that_was_given_is_kept() -> None:
    ordered = pd.Categorical(["deep", "top"], categories=["top", "deep"], ordered=True)
    columns, _ = join(["a", "b"], pd.DataFrame({"layer": ordered}, index=["a", "b"]))
    assert list(columns["layer"].categories) == ["top", "deep"]


def test_names_that_are_numbers() -> None:
    columns, _ = join(["1", "2"], pd.DataFrame({"depth": [5.0, 6.0]}, index=[2, 1]))
    assert list(columns["depth"]) == [6.0, 5.0]


def test_no_name_is_there() -> None:
    with pytest.raises(DataError, match="it has s1, the sample s1-1") as error:
        join(["s1-1"], TABLE)
    assert error.value.code == "data.table"


def test_an_empty_table() -> None:
    with pytest.raises(DataError, match="no rows"):
        join(["s1"], TABLE.iloc[:0])


def test_a_name_twice() -> None:
    with pytest.raises(DataError, match="several rows for s1"):
        join(["s1"], pd.concat([TABLE, TABLE]))
