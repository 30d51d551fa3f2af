from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from spatialrun.errors import DataError, SpatialrunError, UsageError
from spatialrun.methods.spatialde import Kernel, default_kernels, setup

X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.5]])


def test_the_setup_is_plain_arrays(sample) -> None:
    prepared = setup(sample.coordinates, sample.size, default_kernels(sample.coordinates))
    for key, value in prepared.items():
        assert isinstance(value, np.ndarray), key
        assert value.dtype.kind in "biufU", key
        assert value.ndim >= 1, key


def test_the_same_input_gives_the_same_bits(sample) -> None:
    first, second = (
        setup(sample.coordinates, sample.size, default_kernels(sample.coordinates), threads=n) for n in (1, 2)
    )
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], err_msg=key)


def test_kernels_that_cannot_tell_spots_apart_are_marked() -> None:
    kernels = [Kernel("SE", 1e-3), Kernel("SE", 1.0), Kernel("SE", 1e9)]
    np.testing.assert_array_equal(setup(X, np.ones(5), kernels)["usable"], [False, True, False])


def test_spots_at_one_place_are_allowed() -> None:
    prepared = setup(np.repeat(X, 2, axis=0), np.arange(1.0, 11.0), [Kernel("SE", 1.0)])
    assert np.isfinite(prepared["features"]).all()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((np.full((5, 2), 1.0), np.ones(5)), "data.coordinates"),
        ((np.where(X == 2.0, np.nan, X), np.ones(5)), "data.coordinates"),
        ((X, np.array([1.0, 0, 0, 0, 0])), "data.coordinates"),
        ((X, np.ones(4)), "data.values"),
        ((X, np.array([1.0, -1, 1, 1, 1])), "data.values"),
        ((X, np.array([1.0, np.nan, 1, 1, 1])), "data.values"),
        ((X, np.zeros(5)), "data.empty"),
        ((X, None), "usage"),
    ],
)
def test_bad_input_is_a_coded_error(arguments, code) -> None:
    with pytest.raises(SpatialrunError) as caught:
        setup(*arguments, [Kernel("SE", 1.0)])
    assert caught.value.code == code
    assert isinstance(caught.value, DataError | UsageError)


def test_a_short_kernel_over_dense_spots_far_apart_is_too_large() -> None:
    x = np.random.default_rng(0).random((5_200, 2))
    x[::2] += 1e5
    with pytest.raises(DataError) as caught:
        setup(x, np.ones(len(x)), [Kernel("SE", 0.5)])
    assert caught.value.code == "data.too-large"


def test_where_spots_are_few_that_kernel_is_held_whole() -> None:
    x = np.random.default_rng(0).random((1_200, 2))
    x[::2] += 1e5
    assert "regime" not in setup(x, np.ones(len(x)), [Kernel("SE", 0.5)])


def test_unknown_choices_are_an_error() -> None:
    for choice in ({"obs_dist": "poisson"}, {"statistic": "best"}):
        with pytest.raises(UsageError):
            setup(X, np.ones(5), [Kernel("SE", 1.0)], **choice)
    with pytest.raises(UsageError):
        setup(X, np.ones(5), [])


def test_importing_the_package_does_not_import_numba() -> None:
    code = (
        "import sys, spatialrun.methods.spatialde as s; s.default_kernels; sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
