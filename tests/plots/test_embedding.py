from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from PIL import Image

from spatialrun.errors import DataError, UsageError
from spatialrun.plots import palettes
from spatialrun.plots.embedding import Map, maps
from spatialrun.plots.render import render

XY = np.random.default_rng(0).standard_normal((300, 2))
GROUPS = pd.Categorical(np.where(XY[:, 0] > 0, "right", "left"))


def spots(figure, panel: int = 0) -> PathCollection:
    (collection,) = (c for c in figure.axes[panel].collections if isinstance(c, PathCollection))
    return collection


def test_spots_have_the_colours_of_every_other_figure():
    drawn = spots(maps([Map(XY, GROUPS)]))
    expected = palettes.categorical(["left", "right"])
    for place, color in zip(drawn.get_offsets(), drawn.get_facecolors(), strict=True):
        assert tuple(color) == to_rgba(expected["right" if place[0] > 0 else "left"])


def test_high_values_lie_over_low_ones_and_missing_below_all():
    values = np.arange(300.0)
    values[17] = np.nan
    drawn = spots(maps([Map(XY, values)]))
    np.testing.assert_array_equal(drawn.get_offsets()[0], XY[17])
    np.testing.assert_array_equal(drawn.get_offsets()[-1], XY[299])
    given = spots(maps([Map(XY, values[::-1], order="given")]))
    np.testing.assert_array_equal(given.get_offsets()[-1], XY[299])


def test_no_category_hides_another():
    """Drawn in the order of the categories, the last 100 spots would be of one."""
    drawn = spots(maps([Map(XY, GROUPS)]))
    last = drawn.get_offsets()[-100:, 0] > 0
    assert 0.3 < last.mean() < 0.7


def test_names_of_axes_and_categories():
    figure = maps([Map(XY, GROUPS, axes=("UMAP 1", "UMAP 2"), names=True)])
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("UMAP 1", "UMAP 2")
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert places["left"][0] == pytest.approx(np.median(XY[XY[:, 0] <= 0, 0]))
    assert places["right"][0] > places["left"][0]


def test_the_axes_names_lie_within_the_figure():
    figure = maps([Map(XY, GROUPS, axes=("UMAP 1", "UMAP 2"), title="a"), Map(XY, XY[:, 0], title="b")])
    figure.canvas.draw()
    for axes in figure.axes[:2]:
        box = axes.get_tightbbox()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.height


def test_one_spot_and_spots_in_a_row():
    for xy in (XY[:1], np.column_stack([np.arange(5.0), np.zeros(5)])):
        axes = maps([Map(xy)]).axes[0]
        assert np.ptp(axes.get_ylim()) > 0


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_the_same_map_is_the_same_file(format):
    first, again = (render(maps([Map(XY, GROUPS, names=True)], dpi=60), format) for _ in range(2))
    assert first == again


def test_many_spots_are_an_image_in_a_small_file():
    xy = np.random.default_rng(1).standard_normal((20_000, 2))
    svg = render(maps([Map(xy, xy[:, 0])]), "svg")
    assert b"<image" in svg
    assert len(svg) < 2_000_000
    with Image.open(io.BytesIO(render(maps([Map(xy, xy[:, 0])], dpi=50)))) as image:
        assert len(image.convert("RGB").getcolors(1 << 20)) > 50


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (Map(np.empty((0, 2))), DataError),
        (Map(np.full((3, 2), np.nan)), DataError),
        (Map(XY[:, :1]), DataError),
        (Map(XY, GROUPS[:5]), DataError),
        (Map(XY, ptsize=0), UsageError),
        (Map(XY, XY[:, 0], cmap="nope"), UsageError),
    ],
)
def test_what_cannot_be_drawn(spec, error):
    with pytest.raises(error):
        maps([spec])
