import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from spatialrun.errors import DataError, UsageError
from spatialrun.plots import palettes
from spatialrun.plots.scales import Categorical, Continuous, as_series, is_categorical


def continuous(*values, **options):
    chosen = {"cmap": None, "vmin": None, "vmax": None, "missing": "#d4d4d4", "label": None} | options
    return Continuous.fit([as_series(np.asarray(v, dtype=float)) for v in values], **chosen)


def categorical(*values, **options):
    series = [as_series(v) for v in values]
    shown = [np.ones(len(s), dtype=bool) for s in series]
    return Categorical.fit(
        series, shown, **({"palette": None, "missing": "#d4d4d4", "label": None} | options)
    )


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (np.array([1, 2]), None),
        (np.array([1.5, np.nan], dtype=np.float32), None),
        (pd.array([1, None], dtype="Int64"), None),
        (["b10", "b9", "", None], ["b9", "b10"]),
        (np.array([True, False]), ["False", "True"]),
        (pd.Categorical([3, 1, 3]), ["1", "3"]),
        (
            pd.Categorical(["low", "high"], categories=["low", "mid", "high"], ordered=True),
            ["low", "mid", "high"],
        ),
    ],
)
def test_what_is_a_number_and_what_a_category(values, categories):
    series = as_series(values)
    assert is_categorical(series) == (categories is not None)
    if categories is not None:
        assert list(series.cat.categories) == categories


def test_empty_strings_and_none_are_missing():
    assert list(as_series(["a", "", None, np.nan]).isna()) == [False, True, True, True]


def test_values_of_two_dimensions():
    with pytest.raises(DataError, match=r"\(2, 2\)"):
        as_series(np.zeros((2, 2)))


def test_limits_are_extremes_numbers_or_percentiles():
    values = np.arange(101.0)
    assert (continuous(values).low, continuous(values).high) == (0, 100)
    scale = continuous(values, vmin=10, vmax="p90")
    assert (scale.low, scale.high, scale.extend) == (10, 90, "both")
    assert continuous(values, [500.0]).high == 500


def test_a_percentile_of_a_sparse_gene_still_shows_it():
    scale = continuous(np.r_[np.zeros(999), 7.0], vmax="p99")
    assert (scale.low, scale.high) == (0, 7)


@pytest.mark.parametrize(("value", "limits"), [(0.0, (0, 1)), (3.0, (0, 3)), (-2.0, (-2, 0))])
def test_constant_values(value, limits):
    scale = continuous(np.full(4, value))
    assert (scale.low, scale.high) == limits


def test_missing_and_infinite_values():
    scale = continuous([0.0, 1.0, np.nan, np.inf, -np.inf])
    colors = scale.colors(as_series(np.array([0.0, 1.0, np.nan, np.inf, -np.inf])))
    assert (scale.low, scale.high, scale.any_missing) == (0, 1, True)
    assert tuple(colors[2]) == to_rgba("#d4d4d4")
    np.testing.assert_array_equal(colors[3], colors[1])
    np.testing.assert_array_equal(colors[4], colors[0])


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"cmap": "virids"}, "viridis"),
        ({"vmax": "99"}, "p99"),
        ({"vmax": "p101"}, "p99"),
        ({"vmin": 5, "vmax": 2}, "vmax"),
        ({"missing": "greyish"}, "rrggbb"),
    ],
)
def test_scales_that_do_not_exist(options, hint):
    with pytest.raises(UsageError) as caught:
        continuous([0.0, 1.0], **options)
    assert hint in str(caught.value.hint)


def test_categories_have_their_colours_and_missing_its_own():
    scale = categorical(["2", "1", None])
    assert scale.shown == ("1", "2")
    assert scale.any_missing
    expected = [palettes.CATEGORICAL[2], palettes.CATEGORICAL[1], "#d4d4d4"]
    np.testing.assert_allclose(scale.colors(as_series(["2", "1", None])), [to_rgba(c) for c in expected])


def test_several_samples_share_the_union_of_their_categories():
    scale = categorical(["WM", "10"], ["9", "WM"])
    assert scale.shown == ("9", "10", "WM")


def test_own_palettes():
    assert categorical(["a", "b"], palette={"a": "red"}).palette["a"] == "red"
    assert categorical(["b", "a", "c"], palette=["red", "blue"]).palette == {
        "a": "red",
        "b": "blue",
        "c": "red",
    }
    with pytest.raises(UsageError, match="reddish"):
        categorical(["a"], palette={"a": "reddish"})
    with pytest.raises(UsageError):
        categorical(["a"], palette=[])


def test_a_few_outliers_do_not_take_the_scale():
    """One spot of 4,000 is twice as high as the rest: the scale ends with the rest, and says so."""
    values = np.append(np.linspace(0, 3, 4000), 9.0)
    scale = continuous(values)
    assert scale.high == pytest.approx(np.percentile(values, 99.5))
    assert scale.extend == "max"
    assert continuous(values, vmax="p100").high == 9.0
    assert continuous(values[:-1]).high == 3.0, "no outlier, nothing is cut"
    assert continuous(np.append(values[:100], 9.0)).high == 9.0, "too few to tell"
    sparse = np.zeros(4000)
    sparse[:3] = 5.0
    assert continuous(sparse).high == 5.0, "the few spots that have a gene are what is to be seen"
