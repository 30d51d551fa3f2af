"""The scale of a section: what real files tell of it, and when nothing does."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from spatialrun.plots.scalebar import ruler
from spatialrun.plots.spatial import Panel, panels


def hexagonal(pitch, rows=12):
    row, column = np.divmod(np.arange(rows * rows), rows)
    return pitch * np.column_stack([column + row % 2 / 2, row * np.sqrt(3) / 2])


def square(pitch, rows=12):
    return pitch * np.column_stack(np.divmod(np.arange(rows * rows), rows)).astype(float)


@pytest.mark.parametrize("spot", [0.55, 0.65, 0.70])
def test_the_array_tells_the_scale_whatever_the_files_call_a_spot(spot):
    known = ruler({"spot_diameter_fullres": spot * 137}, hexagonal(137.0))
    assert known.microns_per_pixel == pytest.approx(100 / 137)
    assert "100 µm apart" in known.why


def test_fiducials_tell_it_where_few_spots_are_left():
    scattered = hexagonal(137.0)[::17]
    factors = {"spot_diameter_fullres": 89.44, "fiducial_diameter_fullres": 144.49}
    assert ruler(factors, scattered).microns_per_pixel == pytest.approx(105 / 144.49)


def test_bins_of_visium_hd():
    given = {"microns_per_pixel": 0.25, "bin_size_um": 8.0, "spot_diameter_fullres": 29.2}
    assert ruler(given, square(29.2)).microns_per_pixel == 0.25
    del given["microns_per_pixel"]
    assert ruler(given, square(29.2)).microns_per_pixel == pytest.approx(8 / 29.2)


@pytest.mark.parametrize(
    ("factors", "xy"),
    [
        ({}, hexagonal(137.0)),
        ({"spot_diameter_fullres": 10.0}, square(15.0)),
        ({"spot_diameter_fullres": 1.0}, np.random.default_rng(0).uniform(0, 1000, (500, 2))),
        ({"spot_diameter_fullres": 90.0}, np.array([[5.0, 5.0]])),
    ],
    ids=["no factors", "square array", "no array", "one spot"],
)
def test_what_is_not_known_is_not_guessed(factors, xy):
    known = ruler(factors, xy)
    assert known.microns_per_pixel is None
    assert known.why


@pytest.mark.parametrize("section", ["dlpfc_151673", "visium_mouse_cytassist"])
def test_array_and_fiducials_of_real_sections_agree(data, section):
    folder = data / section / "outs" / "spatial"
    factors = json.loads((folder / "scalefactors_json.json").read_text())
    (file,) = folder.glob("tissue_positions*.csv")
    table = pd.read_csv(file, header=0 if "list" not in file.name else None)
    known = ruler(factors, table.iloc[:, [5, 4]].to_numpy(float))
    assert known.microns_per_pixel == pytest.approx(105 / factors["fiducial_diameter_fullres"], rel=0.01)


def drawn_scale(figure, number):
    """Inches that a pixel of the slide has in a panel."""
    axes = figure.axes[number]
    return axes.get_position().width * figure.get_size_inches()[0] / np.ptp(axes.get_xlim())


def test_sections_of_one_scale_are_drawn_to_it_with_one_bar():
    """The second slide was scanned at half the resolution, and holds a smaller piece."""
    large = Panel(hexagonal(100.0, 20), np.arange(400.0), microns_per_pixel=1.0, spot_diameter=55.0)
    small = Panel(hexagonal(50.0, 8), np.arange(64.0), microns_per_pixel=2.0, spot_diameter=27.5)
    figure = panels([large, small], shared=True)
    assert drawn_scale(figure, 0) / 1.0 == pytest.approx(drawn_scale(figure, 1) / 2.0)
    assert [len(axes.lines) for axes in figure.axes[:2]] == [1, 0]
    apart = panels([large, small])
    assert [len(axes.lines) for axes in apart.axes[:2]] == [1, 1]
