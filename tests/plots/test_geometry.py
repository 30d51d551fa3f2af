import numpy as np
import pytest

from spatialrun.errors import DataError, UsageError
from spatialrun.plots.geometry import View, lattice, view

XY = np.array([[100.0, 200.0], [300.0, 250.0], [500.0, 900.0]])
IMAGE = View(0, 1000, 0, 910)


def test_crop_to_tissue_leaves_a_margin_inside_the_image():
    assert view(XY, IMAGE, margin=20) == View(80, 520, 180, 910)


def test_crop_never_cuts_spots_that_leave_the_image():
    assert view(XY, View(0, 400, 0, 400), margin=20) == View(80, 500, 180, 900)


def test_crop_to_image_and_to_both():
    assert view(XY, IMAGE, margin=20, crop="image") == IMAGE
    assert view(XY, IMAGE, margin=20, crop=None) == View(0, 1000, 0, 920)
    assert view(XY, None, margin=20, crop="image") == View(80, 520, 180, 920)


def test_a_range_is_exact_and_the_other_axis_follows_the_spots_in_it():
    assert view(XY, IMAGE, margin=20, xrange=(50, 350)) == View(50, 350, 180, 270)


def test_empty_range_names_the_range_of_the_data():
    with pytest.raises(DataError, match=r"x 600 to 700") as caught:
        view(XY, IMAGE, margin=20, xrange=(600, 700))
    assert caught.value.code == "data.values"
    assert "x 100 to 500, y 200 to 900" in str(caught.value.hint)


@pytest.mark.parametrize("bad", [{"xrange": (5, 5)}, {"yrange": (9, 1)}, {"crop": "spots"}])
def test_ranges_and_crops_that_do_not_exist(bad):
    with pytest.raises(UsageError):
        view(XY, IMAGE, margin=20, **bad)


@pytest.mark.parametrize("turn", [0.0, 0.2, np.pi / 2])
def test_lattice_of_a_turned_hexagonal_array(turn):
    row, column = np.mgrid[:12, :12]
    xy = np.column_stack([(column + row % 2 / 2).ravel(), (row * np.sqrt(3) / 2).ravel()]) * 137.0
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    found = lattice(xy @ rotation)
    assert found.pitch == pytest.approx(137.0)
    assert np.cos(6 * (found.angle - turn)) == pytest.approx(1.0)
    # Cells tile the plane: their area is that of the array's primitive cell.
    x, y = found.hexagon.T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert area == pytest.approx(137.0**2 * np.sqrt(3) / 2)


def test_lattice_of_one_spot_and_of_coincident_spots():
    assert lattice(np.array([[3.0, 4.0]])).pitch == 1.0
    assert lattice(np.full((5, 2), 7.0)).pitch == 1.0
