from __future__ import annotations

import numpy as np
import pytest

from spatialrun.errors import DataError, UsageError
from spatialrun.methods.spatialde import Kernel, default_kernels


def test_lengthscales_run_from_twice_the_smallest_distance_to_the_largest() -> None:
    x = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0], [4.0, 4.0]])
    kernels = default_kernels(x, n_se=3, n_per=2)
    assert [k.kind for k in kernels] == ["SE", "SE", "SE", "PER", "PER"]
    assert kernels[0].lengthscale == pytest.approx(2.0)
    assert kernels[2].lengthscale == kernels[4].lengthscale == pytest.approx(np.sqrt(32.0))
    assert kernels[1].lengthscale == pytest.approx(np.sqrt(2.0 * np.sqrt(32.0)))


def test_spots_on_a_line_and_spots_at_one_place_have_distances() -> None:
    x = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [5.0, 5.0]])
    kernels = default_kernels(x, n_se=2, n_per=0)
    assert kernels[0].lengthscale == pytest.approx(2.0 * np.sqrt(2.0))
    assert kernels[1].lengthscale == pytest.approx(np.sqrt(50.0))


@pytest.mark.parametrize(
    "x",
    [
        np.full((5, 2), 3.0),
        np.array([[0.0, np.nan], [1.0, 1.0]]),
        np.zeros((0, 2)),
        np.zeros((1, 2)),
        np.zeros((4, 3)),
    ],
)
def test_coordinates_that_tell_nothing_apart_are_an_error(x: np.ndarray) -> None:
    with pytest.raises(DataError) as caught:
        default_kernels(x)
    assert caught.value.code == "data.coordinates"


@pytest.mark.parametrize(("kind", "lengthscale"), [("SE", 0.0), ("PER", float("nan")), ("RBF", 1.0)])
def test_a_kernel_that_does_not_exist_is_an_error(kind: str, lengthscale: float) -> None:
    with pytest.raises(UsageError):
        Kernel(kind, lengthscale)
