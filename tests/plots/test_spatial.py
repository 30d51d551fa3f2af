import io
import json
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spatialrun.errors import DataError, UsageError
from spatialrun.plots.spatial import Panel, panels, render, spatial

# A slide of 600 x 400 pixels whose image is ten times smaller, its one red square off every symmetry.
SQUARE = (450.0, 550.0, 50.0, 120.0)
CENTRE = (500.0, 85.0)
CORNERS = np.array([[10.0, 10.0], [590.0, 390.0]])


def slide(dtype=np.uint8, channels=3):
    image = np.full((channels, 40, 60), 200, dtype=np.uint8)
    image[:, 5:12, 45:55] = 20
    if channels == 3:
        image[0, 5:12, 45:55] = 255
    return image if dtype == np.uint8 else (image / 255).astype(dtype)


def pixels(figure, dpi=None):
    return np.asarray(Image.open(io.BytesIO(render(figure, dpi=dpi))).convert("RGB")).astype(int)


def place(figure, x, y, axes=0):
    """Row and column of the rendered figure at a place of the slide, from the axes' frame alone."""
    ax = figure.axes[axes]
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    box = ax.get_position()
    width, height = figure.get_size_inches() * figure.dpi
    column = (box.x0 + (x - left) / (right - left) * box.width) * width
    row = (1 - box.y1 + (y - top) / (bottom - top) * box.height) * height
    return int(row), int(column)


def is_red(picture):
    return (picture[..., 0] > 200) & (picture[..., 1:].max(axis=-1) < 100)


def is_blue(picture):
    return (picture[..., 2] > 200) & (picture[..., :2].max(axis=-1) < 100)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_the_image_is_not_mirrored_turned_or_transposed(dtype):
    figure = spatial(CORNERS, image=slide(dtype), image_scalef=0.1, crop="image", alpha=0.0)
    picture = pixels(figure)
    rows, columns = np.nonzero(is_red(picture))
    top, left = place(figure, SQUARE[0], SQUARE[2])
    bottom, right = place(figure, SQUARE[1], SQUARE[3])
    found = np.array([rows.min(), rows.max(), columns.min(), columns.max()])
    np.testing.assert_allclose(found, [top, bottom, left, right], atol=6)
    # In words: the square is in the upper right of the picture.
    assert rows.mean() < picture.shape[0] / 2
    assert columns.mean() > picture.shape[1] / 2


def test_spots_lie_on_their_place_in_the_image():
    def draw(alpha):
        return spatial(
            np.vstack([CORNERS, CENTRE]),
            values=["corner", "corner", "target"],
            palette={"target": "#0000ff", "corner": "#00ff00"},
            image=slide(),
            image_scalef=0.1,
            spot_diameter=40,
            crop="image",
            legend=False,
            alpha=alpha,
        )

    spot = np.argwhere(is_blue(pixels(draw(1.0)))).mean(axis=0)
    square = np.argwhere(is_red(pixels(draw(0.0)))).mean(axis=0)
    np.testing.assert_allclose(spot, square, atol=2)


@pytest.mark.parametrize(("shape", "area"), [("circle", np.pi / 4), ("square", 1.0)])
@pytest.mark.parametrize("figsize", [(3, 3), (6, 4)])
def test_spots_have_their_true_size(shape, area, figsize):
    xy = np.vstack([CORNERS, CENTRE])
    options = {
        "spot_diameter": 80,
        "shape": shape,
        "figsize": figsize,
        "legend": False,
        "palette": {"t": "#0000ff"},
    }
    figure = spatial(xy, values=[None, None, "t"], xrange=(0, 600), yrange=(0, 400), **options)
    # Pixels of the figure per pixel of the slide.
    scale = figure.axes[0].get_position().width * figure.get_size_inches()[0] * figure.dpi / 600
    assert is_blue(pixels(figure)).sum() == pytest.approx(area * (80 * scale) ** 2, rel=0.05)


def test_ptsize_is_in_points_whatever_the_view():
    xy = np.vstack([CORNERS, CENTRE])
    for xrange in ((0, 600), (300, 600)):
        figure = spatial(
            xy,
            values=[None, None, "t"],
            palette={"t": "#0000ff"},
            ptsize=400,
            legend=False,
            xrange=xrange,
            dpi=144,
        )
        assert is_blue(pixels(figure)).sum() == pytest.approx(np.pi / 4 * 400 * 4, rel=0.05)


def test_hexagons_leave_no_gaps():
    row, column = np.mgrid[:10, :10]
    xy = np.column_stack([(column + row % 2 / 2).ravel(), (row * np.sqrt(3) / 2).ravel()]) * 100.0
    figure = spatial(
        xy,
        values=["t"] * 100,
        palette={"t": "#0000ff"},
        shape="hexagon",
        xrange=(200, 700),
        yrange=(200, 500),
    )
    top, left = place(figure, 210, 210)
    bottom, right = place(figure, 690, 490)
    assert is_blue(pixels(figure)[top:bottom, left:right]).all()


def test_high_values_lie_over_low_ones_and_missing_below_all():
    xy = np.array([[0.0, 0.0], [100.0, 100.0], [50.0, 50.0], [50.0, 50.0], [50.0, 50.0]])

    def middle(order):
        figure = spatial(
            xy, values=[0.0, 1.0, 1.0, 0.0, np.nan], spot_diameter=30, order=order, cmap="gray", legend=False
        )
        return pixels(figure)[place(figure, 50, 50)]

    np.testing.assert_array_equal(middle("value"), [255, 255, 255])
    np.testing.assert_array_equal(middle("given"), [0, 0, 0])


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_one_to_three_channels(channels):
    figure = spatial(CORNERS, image=slide(channels=channels), image_scalef=0.1, crop="image", alpha=0.0)
    colour = pixels(figure)[place(figure, 100, 300)]
    np.testing.assert_allclose(colour, [200, 200, 0 if channels == 2 else 200], atol=1)


def test_wide_images_are_scaled_by_their_maximum():
    figure = spatial(
        CORNERS, image=slide(channels=1).astype(np.uint16) * 100, image_scalef=0.1, crop="image", alpha=0.0
    )
    assert pixels(figure)[place(figure, 100, 300)].min() == 255


def test_ranges_bound_the_view_and_keep_its_proportions():
    figure = spatial(
        np.vstack([CORNERS, CENTRE]), xrange=(400, 600), yrange=(0, 100), image=slide(), image_scalef=0.1
    )
    axes = figure.axes[0]
    assert axes.get_xlim() == (400, 600)
    assert axes.get_ylim() == (100, 0)
    box, (width, height) = axes.get_position(), figure.get_size_inches()
    assert box.width * width / (box.height * height) == pytest.approx(2.0)
    # A zoomed figure carries only what it shows of the image.
    assert axes.images[0].get_array().shape[:2] == (10, 20)


def test_a_range_does_not_change_the_colour_scale():
    xy, values = np.vstack([CORNERS, CENTRE]), np.array([0.0, 10.0, 5.0])
    figure = spatial(xy, values=values, xrange=(400, 550))
    assert figure.axes[1].get_ylim() == (0, 10)


def test_figsize_is_the_size_of_the_figure():
    figure = spatial(CORNERS, values=["a", "b"], figsize=(5, 3), dpi=100)
    assert pixels(figure).shape == (300, 500, 3)


def test_numbers_have_a_colour_bar_with_its_label():
    figure = spatial(CORNERS, values=[0.0, 3.0], label="log counts", title="CSTB")
    assert len(figure.axes) == 2
    assert figure.axes[1].get_ylabel() == "log counts"
    assert figure.axes[0].get_title(loc="left") == "CSTB"


def test_categories_have_a_legend_in_natural_order_of_those_in_view():
    xy = np.vstack([CORNERS, CENTRE, CENTRE])
    figure = spatial(xy, values=["10", "9", "2", None], xrange=(0, 550), spot_diameter=20)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["2", "10", "NA"]
    assert not spatial(xy, values=["10", "9", "2", None], legend=False).legends
    assert not spatial(xy).legends


@pytest.mark.parametrize("count", [1, 12, 40])
@pytest.mark.parametrize("figsize", [None, (6, 4)])
def test_keys_stay_inside_the_figure_and_off_the_tissue(count, figsize):
    xy = np.random.default_rng(0).uniform(0, 1000, (200, 2)) * (2, 1)
    figure = spatial(xy, values=[f"domain {i % count}" for i in range(200)], figsize=figsize)
    legend, axes = figure.legends[0].get_window_extent(), figure.axes[0].get_window_extent()
    assert legend.x0 > axes.x1
    assert legend.x1 <= figure.bbox.x1
    assert legend.y0 >= figure.bbox.y0


def test_a_scale_bar_is_a_round_length():
    figure = spatial(CORNERS, xrange=(0, 600), yrange=(0, 400), microns_per_pixel=0.5)
    (bar,) = figure.axes[0].lines
    assert np.ptp(bar.get_xdata()) == pytest.approx(50 / 0.5)
    assert figure.axes[0].texts[0].get_text() == "50 µm"
    longer = spatial(CORNERS, xrange=(0, 600), yrange=(0, 400), microns_per_pixel=10)
    assert longer.axes[0].texts[0].get_text() == "1 mm"


@pytest.mark.parametrize(
    "values",
    [
        None,
        [np.nan] * 2,
        [4.0] * 2,
        ["only"] * 2,
        [None] * 2,
        pd.Categorical(["a", None], categories=["a", "b"]),
    ],
    ids=["none", "all-nan", "constant", "one-category", "all-missing", "unused-category"],
)
def test_sparse_values_are_drawn(values):
    assert render(spatial(CORNERS, values=values)).startswith(b"\x89PNG")


def test_one_spot_is_drawn():
    assert render(spatial([[5.0, 5.0]], values=[1.0]))


@pytest.mark.parametrize("format", ["svg", "pdf"])
def test_many_spots_are_an_image_and_few_are_shapes(format):
    xy = np.random.default_rng(0).uniform(0, 1000, (20_000, 2))
    values = xy[:, 0]
    assert len(render(spatial(xy, values=values), format)) < 1_000_000
    if format == "svg":
        assert b"<image" in render(spatial(xy, values=values, legend=False), format)
        assert b"<image" not in render(spatial(xy[:100], values=values[:100], legend=False), format)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"coordinates": np.zeros((0, 2))}, "data.empty"),
        ({"coordinates": np.array([[0.0, np.nan]])}, "data.coordinates"),
        ({"coordinates": np.zeros((4, 3))}, "data.coordinates"),
        ({"values": [1.0]}, "data.values"),
        ({"xrange": (1000, 2000)}, "data.values"),
        ({"image": np.zeros((4, 5, 5))}, "data.image"),
        ({"image": np.zeros((5, 5))}, "data.image"),
        ({"shape": "star"}, "usage"),
        ({"spot_diameter": 0}, "usage"),
        ({"figsize": (3, 0.1)}, "usage"),
        ({"values": [1.0, 2.0], "cmap": "no-map"}, "usage"),
    ],
)
def test_what_cannot_be_drawn_says_so(options, code):
    with pytest.raises((DataError, UsageError)) as caught:
        spatial(**({"coordinates": CORNERS} | options))
    assert caught.value.code == code
    assert caught.value.hint


def test_panels_share_one_scale():
    specs = [Panel(CORNERS, values=np.array(v), title=t) for v, t in (([0.0, 1.0], "a"), ([2.0, 8.0], "b"))]
    shared = panels(specs, shared=True)
    assert len(shared.axes) == 3
    assert shared.axes[2].get_ylim() == (0, 8)
    assert len(panels(specs).axes) == 4


def test_panels_share_categories():
    specs = [Panel(CORNERS, values=v) for v in (["1", "2"], ["2", "WM"])]
    figure = panels(specs, shared=True)
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["1", "2", "WM"]


def test_panels_lie_in_a_grid_row_by_row():
    figure = panels([Panel(CORNERS, title=str(i)) for i in range(5)], ncols=3)
    corners = [(round(ax.get_position().x0, 3), -round(ax.get_position().y1, 3)) for ax in figure.axes]
    assert len({x for x, _ in corners}) == 3
    assert sorted(corners, key=lambda c: (c[1], c[0])) == corners


def test_panels_that_cannot_share():
    with pytest.raises(UsageError):
        panels([Panel(CORNERS, values=[1.0, 2.0]), Panel(CORNERS, values=["a", "b"])], shared=True)
    with pytest.raises(UsageError):
        panels([])


def test_pyplot_is_not_needed():
    assert "matplotlib.pyplot" not in sys.modules or sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_spots_sit_on_the_tissue_of_a_real_section(data):
    outs = data / "dlpfc_151673" / "outs" / "spatial"
    factors = json.loads((outs / "scalefactors_json.json").read_text())
    positions = pd.read_csv(outs / "tissue_positions_list.csv", header=None)
    xy = positions.loc[positions[1] == 1, [5, 4]].to_numpy(dtype=float)
    image = np.moveaxis(np.asarray(Image.open(outs / "tissue_lowres_image.png").convert("RGB")), -1, 0)
    figure = spatial(
        xy,
        image=image,
        image_scalef=factors["tissue_lowres_scalef"],
        spot_diameter=factors["spot_diameter_fullres"],
        alpha=0.0,
    )
    picture = pixels(figure)
    under = np.array([picture[place(figure, x, y)] for x, y in xy])
    # Stained tissue is pink or purple (little green); the bare slide is grey.
    stained = under[:, 0] - under[:, 1] > 15
    assert stained.mean() > 0.95
