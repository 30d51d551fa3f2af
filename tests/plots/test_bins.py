import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spatialrun.plots import bins
from spatialrun.plots.geometry import View
from spatialrun.plots.spatial import Panel as Spots
from spatialrun.plots.spatial import panels, render

SIDE = 10.0


def array(rows: int, columns: int, degrees: float = 0.0, jitter: float = 0.0) -> np.ndarray:
    """Places of bins of side 10 around (1000, 1000), row by row."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    xy = 1000 + SIDE * np.column_stack([column - columns // 2, row - rows // 2]) @ turn.T
    return xy + np.random.default_rng(0).normal(0, jitter, xy.shape)


@pytest.mark.parametrize("degrees", [0, 7, 45, 90, 180, -63])
@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_every_bin_is_found_where_it_is(degrees, jitter):
    xy = array(90, 200, degrees, jitter)[np.random.default_rng(1).permutation(18_000)[:15_000]]
    grid = bins.Grid.of(xy)
    assert grid.pitch == pytest.approx(SIDE, rel=1e-3)
    np.testing.assert_array_equal(grid.at(*xy.T, share=1.0), np.arange(15_000))
    # Where only a part of the array's cell is the bin's, there is nothing between bins.
    between = xy + 0.5 * grid.step[:, 0]
    assert (grid.at(*between.T, share=0.6) == -1).all()


def test_what_is_no_square_array():
    rng = np.random.default_rng(0)
    assert bins.Grid.of(rng.uniform(0, 1000, (500, 2))) is None
    assert bins.Grid.of(np.vstack([array(20, 20), array(20, 20)[:1]])) is None
    assert bins.Grid.of(array(1, 30)) is None
    row, column = np.divmod(np.arange(900), 30)
    assert bins.Grid.of(np.column_stack([column + row % 2 / 2, row * np.sqrt(3) / 2])) is None


def test_pixels_are_the_mean_of_what_lies_in_them():
    """Four bins a pixel, one of them absent; and pixels finer than bins."""
    xy = array(4, 4)[:-1]
    colors = np.zeros((15, 4))
    colors[:, 0], colors[:, 3] = np.arange(15) / 15, 1
    left, top = xy.min(axis=0) - SIDE / 2
    view = View(left, left + 4 * SIDE, top, top + 4 * SIDE)
    grid = bins.Grid.of(xy)
    fine = bins.raster(grid, colors, view, (40, 40), SIDE)
    np.testing.assert_array_equal(fine[4::10, 4::10, 0].ravel()[:15], np.rint(colors[:, 0] * 255))
    assert fine[35, 35, 3] == 0
    assert (fine[:10, :10] == fine[0, 0]).all()
    coarse = bins.raster(grid, colors, view, (2, 2), SIDE)
    expected = colors[[0, 1, 4, 5], 0].mean() * 255
    # Nine samples do not share four bins evenly: those on the edges fall to either side as rounding has it.
    assert abs(coarse[0, 0, 0] - expected) < 15
    assert coarse[0, 0, 3] == 255
    assert 0.5 < coarse[1, 1, 3] / 255 < 0.95


def test_a_figure_of_many_bins(monkeypatch):
    """The same picture as with outlines; text stays text, and no shape is left in the svg."""
    xy = array(60, 60, 5)
    domain = pd.Categorical(np.where(xy[:, 0] > 1000, "right", "left"))

    def pixels():
        spec = Spots(xy, values=domain, shape="square", spot_diameter=SIDE, title="Domains", legend=False)
        figure = panels([spec], figsize=(4, 4), dpi=100)
        files = {kind: render(figure, kind) for kind in ("png", "svg", "pdf")}
        return np.asarray(Image.open(io.BytesIO(files["png"])).convert("RGB")).astype(int), files

    outlines, _ = pixels()
    monkeypatch.setattr(bins, "PIXELS_FROM", 100)
    image, files = pixels()
    assert (np.abs(image - outlines).max(axis=2) > 60).mean() < 0.03
    svg = files["svg"].decode()
    assert ">Domains</text>" in svg
    assert svg.count("<image") == 1
    assert svg.count("<path") < 40
    assert pixels()[1] == files


def test_half_a_million_bins_are_a_small_file():
    xy = array(720, 720)
    values = np.random.default_rng(0).poisson(2, len(xy)).astype(float)
    figure = panels([Spots(xy, values=values, shape="square", spot_diameter=SIDE, title="a gene")])
    for kind in ("png", "pdf"):
        assert len(render(figure, kind)) < 5e6
