"""The colour around a spot is read where the spot is: rows are y, columns are x."""

from __future__ import annotations

import numpy as np
import pytest

from spatialrun.errors import DataError
from spatialrun.methods.spagcn import histology, histology_coordinate

SCALE = 0.1
PLACES = np.array([[105.0, 35.0], [355.0, 35.0], [105.0, 155.0], [355.0, 155.0], [205.0, 95.0]])
"""x, y in full-resolution pixels; in the image at (row 3, column 10) and so on."""
RED = np.array([10.0, 200.0, 90.0, 60.0, 250.0])


def painted(red: np.ndarray, green: float = 40.0) -> np.ndarray:
    """An image of 20 rows and 50 columns, coloured where the spots are and nowhere else alike."""
    image = np.zeros((3, 20, 50), dtype=np.uint8)
    image[1] = int(green)
    for (x, y), value in zip(PLACES, red, strict=True):
        column, row = int(x * SCALE), int(y * SCALE)
        image[0, row - 2 : row + 3, column - 2 : column + 3] = int(value)
    return image


def expected(colour: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return (colour - colour.mean()) / colour.std() * PLACES.std(axis=0).max() * alpha


@pytest.mark.parametrize("alpha", [1.0, 2.5])
def test_known_colours_on_an_image_that_is_not_square(alpha):
    z = histology_coordinate(PLACES, painted(RED), SCALE, beta=40, alpha=alpha)
    np.testing.assert_allclose(z, expected(RED, alpha))


def test_channels_weigh_by_their_variance():
    image = painted(RED)
    image[2] = painted(RED[::-1] / 5)[0]
    blue = np.floor(RED[::-1] / 5)
    mixed = (RED * RED.var() + blue * blue.var()) / (RED.var() + blue.var())
    np.testing.assert_allclose(histology_coordinate(PLACES, image, SCALE, beta=40), expected(mixed))


def test_the_window_is_scaled_to_the_image():
    """beta 80 at 0.1 pixels per pixel: 9 x 9 pixels, 5 x 5 of them painted; at row 3 one row is outside."""
    z = histology_coordinate(PLACES, painted(RED), SCALE, beta=80)
    area = np.array([72, 72, 81, 81, 81])
    np.testing.assert_allclose(z, expected(25 * RED / area), rtol=1e-6)
    corner = np.array([[0.0, 0.0], [490.0, 190.0], [250.0, 100.0]])
    assert np.isfinite(histology_coordinate(corner, painted(RED), SCALE, beta=80)).all()


def test_an_image_of_one_colour():
    assert (histology_coordinate(PLACES, np.full((3, 20, 50), 7, np.uint8), SCALE) == 0).all()


def test_the_image_of_another_sample():
    with pytest.raises(DataError, match="2 of 5 spots lie outside") as raised:
        histology_coordinate(PLACES, painted(RED)[:, :, :30], SCALE)
    assert raised.value.code == "data.image"
    with pytest.raises(DataError):
        histology_coordinate(PLACES, np.zeros((20, 50)), SCALE)


def test_bands_of_the_image_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (3, 90, 70)).astype(np.uint8)
    places = rng.uniform(0, [700, 900], (200, 2))
    whole = histology_coordinate(places, image, scale=0.1, beta=80)
    monkeypatch.setattr(histology, "BAND", 7)
    np.testing.assert_array_equal(histology_coordinate(places, image, scale=0.1, beta=80), whole)
