"""Spots on their tissue: one section, or several beside each other.

Everything is drawn in full-resolution pixels with y downwards, so image, spots and ranges share one system.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.transforms import (
    Affine2D,
    Affine2DBase,
    AffineDeltaTransform,
    IdentityTransform,
    Transform,
)
from numpy.typing import ArrayLike, NDArray

from spatialrun.errors import DataError, UsageError
from spatialrun.plots import bins, palettes
from spatialrun.plots.geometry import Crop, Range, View, lattice, view
from spatialrun.plots.grid import PAD, SHAPES_AT_MOST, compose, head_of
from spatialrun.plots.points import Order, Points, check_sizes
from spatialrun.plots.render import render
from spatialrun.plots.scalebar import draw_scale_bar
from spatialrun.plots.scales import Limit, Palette, Scale

__all__ = ["Panel", "panels", "render", "spatial"]

Shape = Literal["circle", "hexagon", "square"]

# Of the layout, in inches.
_SCALE_BAR = 0.2

# Of unit diameter.
_SHAPES: dict[str, Path] = {
    "circle": Path.circle(radius=0.5),
    "square": Path.unit_rectangle().transformed(Affine2D().translate(-0.5, -0.5)),
    "hexagon": Path.unit_regular_polygon(6).transformed(Affine2D().scale(1 / math.sqrt(3))),
}


@dataclass(frozen=True, eq=False)
class Panel:
    """One section and how to draw it. Lengths are full-resolution pixels.

    Parameters
    ----------
    coordinates
        (N, 2) centres of spots: x (rightwards), y (downwards).
    values
        (N,) what colours the spots. Numbers are continuous; strings, booleans and categoricals are domains.
        NaN, None and empty strings are missing. None: all spots in one colour.
    image
        (c, y, x) background of one channel (grey) or two to three (red, green, blue). uint8, or floats from 0
        to 1; anything wider is divided by its maximum.
    image_scalef
        Image pixels per full-resolution pixel (Space Ranger's ``tissue_hires_scalef`` and its like).
    spot_diameter
        Drawn to scale. None: 0.7 of the distance between neighbours, all of it for squares.
    ptsize
        Area in points², as in scanpy and matplotlib, instead of the spots' own diameter.
    shape
        ``circle``; ``square`` (bins of Visium HD); ``hexagon``: each spot's whole cell of the hexagonal
        array, whatever its diameter, so that domains are drawn without gaps.
    xrange, yrange
        (low, high) part of the section to show. Colour scales still come from the whole section.
    crop
        Where no range is given: ``tissue`` (around the spots), ``image`` (all of it), None (both).
    palette
        Category to colour, or colours in the order of the categories; by default `palettes.categorical`.
    cmap
        matplotlib's name of a colour map; by default `palettes.CONTINUOUS`.
    vmin, vmax
        Ends of the colour scale: a number, a percentile (``'p99'``), or None for the extreme value; of
        ``vmax``, where outliers would stretch the scale, for the 99.5th percentile (``'p100'``: whatever it is).
    na_color
        Colour of spots whose value is missing.
    order
        ``value``: high values are drawn over low ones; ``given``: later spots over earlier. Missing lie
        below either way.
    alpha, image_alpha
        Opacity of spots and image, 0 to 1.
    title
        Above the panel.
    label
        Of the colour bar or legend.
    legend
        Whether there is one.
    microns_per_pixel
        Micrometres per full-resolution pixel. Given, a scale bar is drawn.
    """

    coordinates: ArrayLike
    values: Any = None
    image: NDArray[Any] | None = None
    image_scalef: float = 1.0
    spot_diameter: float | None = None
    ptsize: float | None = None
    shape: Shape = "circle"
    xrange: Range | None = None
    yrange: Range | None = None
    crop: Crop = "tissue"
    palette: Palette = None
    cmap: str | None = None
    vmin: Limit = None
    vmax: Limit = None
    na_color: str = palettes.MISSING
    order: Order = "value"
    alpha: float = 1.0
    image_alpha: float = 1.0
    title: str | None = None
    label: str | None = None
    legend: bool = True
    microns_per_pixel: float | None = None


def spatial(
    coordinates: ArrayLike,
    *,
    figsize: tuple[float, float] | None = None,
    dpi: float = 150.0,
    **appearance: Any,
) -> Figure:
    """Draw one section.

    Parameters
    ----------
    coordinates
        (N, 2) centres of spots in full-resolution pixels: x, y.
    figsize
        Width and height of the whole figure in inches, keys included. None: as large as the view needs.
    dpi
        Pixels per inch.
    **appearance
        Any other field of `Panel`: ``values``, ``image``, ``spot_diameter``, ``xrange``, ``palette``, ...

    Returns
    -------
    A figure that no global state of matplotlib knows of; `render` makes a file of it.

    Raises
    ------
    DataError
        ``data.empty``: no spots; ``data.coordinates``: not (N, 2) finite numbers; ``data.values``: not N
        values, or no spot in the ranges; ``data.image``: not (c, y, x) with one to three channels.
    UsageError
        ``usage``: a range, limit, colour, colour map, shape or crop that does not exist; a figsize too small.
    """
    return panels([Panel(coordinates, **appearance)], figsize=figsize, dpi=dpi)


def panels(
    specs: Sequence[Panel],
    *,
    ncols: int | None = None,
    shared: bool = False,
    figsize: tuple[float, float] | None = None,
    dpi: float = 150.0,
) -> Figure:
    """Draw sections in a grid, row by row.

    Parameters
    ----------
    specs
        The panels.
    ncols
        Columns of the grid. None: up to four.
    shared
        One colour scale for all, with one key on the right: limits over the values of all panels, colours
        over the union of their categories. Its appearance (``cmap``, ``palette``, limits, ``label``) is the
        first panel's. Sections whose ``microns_per_pixel`` is known are drawn to one scale, too, and the
        first has the scale bar.
    figsize, dpi
        As for `spatial`.

    Raises
    ------
    DataError, UsageError
        As for `spatial`; ``usage`` also when a shared scale mixes numbers and categories, or without panels.
    """
    scenes = [_Scene(spec) for spec in specs]
    if shared:
        _draw_to_one_scale(scenes)
    return compose(scenes, ncols=ncols, shared=shared, figsize=figsize, dpi=dpi)


def _draw_to_one_scale(scenes: Sequence[_Scene]) -> None:
    """Give scenes the frame, in micrometres, of the largest; if one's scale is unknown, they stay as they are."""
    scales = [scene.panel.microns_per_pixel for scene in scenes]
    known = [scale for scale in scales if scale is not None]
    if len(known) < len(scenes):
        return
    width = max(scene.view.width * scale for scene, scale in zip(scenes, known, strict=True))
    height = max(scene.view.height * scale for scene, scale in zip(scenes, known, strict=True))
    for scene, scale in zip(scenes, known, strict=True):
        scene.frame = (width / scale, height / scale)
        scene.has_bar = scene is scenes[0]


class _Scene:
    """A panel whose data have been checked and whose view is known."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        check_sizes(panel, "image_scalef", "spot_diameter", "ptsize", "microns_per_pixel")
        self.points = Points.checked(panel.coordinates, panel.values)
        self.xy, self.values = self.points.xy, self.points.values
        if panel.shape not in _SHAPES:
            raise UsageError("usage", f"no shape {panel.shape!r}", hint=f"one of {', '.join(_SHAPES)}")
        self.image = None if panel.image is None else _background(panel.image)
        self.outline = self._outline()
        extent = float(np.ptp(self.xy, axis=0).max())
        self.reach = float(max(self.outline.get_extents().size))
        self.view: View = view(
            self.xy,
            self._image_view(),
            margin=max(self.reach, 0.02 * extent),
            xrange=panel.xrange,
            yrange=panel.yrange,
            crop=panel.crop,
        )
        self.shown = self.view.contains(self.xy, margin=self.reach / 2)
        # Width and height that decide how large a pixel is drawn.
        self.frame = (self.view.width, self.view.height)
        self.has_bar = panel.microns_per_pixel is not None
        self.head = head_of(panel.title)
        self.foot = PAD + (_SCALE_BAR if panel.microns_per_pixel else 0.0)

    def fit(self, width: float, height: float) -> tuple[float, float]:
        """The largest size in the view's proportions with which the frame fits into a box."""
        scale = min(width / self.frame[0], height / self.frame[1])
        return self.view.width * scale, self.view.height * scale

    def draw(self, axes: Axes, scale: Scale) -> None:
        """Draw the panel into axes that have the proportions of the view."""
        axes.set(xlim=(self.view.left, self.view.right), ylim=(self.view.bottom, self.view.top))
        axes.set(aspect="equal", xticks=[], yticks=[])
        if self.image is not None:
            self._draw_image(axes, self.image)
        self._draw_spots(axes, scale)
        if self.panel.title:
            axes.set_title(self.panel.title)
        if self.has_bar and self.panel.microns_per_pixel is not None:
            draw_scale_bar(axes, self.view, self.frame[0], self.panel.microns_per_pixel)

    def _outline(self) -> Path:
        """One spot around 0, in full-resolution pixels."""
        array = lattice(self.xy)
        if self.panel.shape == "hexagon":
            corners = array.hexagon
            return Path(np.vstack([corners, corners[:1]]), closed=True)
        diameter = self.panel.spot_diameter
        if diameter is None:
            diameter = array.pitch * (1.0 if self.panel.shape == "square" else 0.7)
        return _SHAPES[self.panel.shape].transformed(Affine2D().scale(diameter))

    def _image_view(self) -> View | None:
        if self.image is None:
            return None
        # Image pixel i covers i to i + 1 in scaled coordinates.
        height, width = (n / self.panel.image_scalef for n in self.image.shape[:2])
        return View(0.0, width, 0.0, height)

    def _draw_image(self, axes: Axes, image: NDArray[Any]) -> None:
        scalef = self.panel.image_scalef
        rows, columns = image.shape[:2]
        # Only what is in view is drawn: a zoomed svg does not carry the whole slide.
        left, right = (
            int(np.clip(f(x * scalef), 0, columns))
            for f, x in ((math.floor, self.view.left), (math.ceil, self.view.right))
        )
        top, bottom = (
            int(np.clip(f(y * scalef), 0, rows))
            for f, y in ((math.floor, self.view.top), (math.ceil, self.view.bottom))
        )
        if left < right and top < bottom:
            axes.imshow(
                image[top:bottom, left:right],
                extent=(left / scalef, right / scalef, bottom / scalef, top / scalef),
                cmap="gray",
                vmin=0,
                vmax=1 if image.dtype.kind == "f" else 255,
                alpha=self.panel.image_alpha,
                # Smooth both ways: fine detail without moire, a coarse image without blocks.
                interpolation="hanning",
                zorder=0,
            )

    def _draw_spots(self, axes: Axes, scale: Scale) -> None:
        turn = self.points.turn(self.panel.order, mixed=False)
        visible = turn[self.shown[turn]]
        if self._draw_bins(axes, scale, visible):
            return
        tiles = self.panel.shape != "circle" and self.panel.ptsize is None and self.panel.alpha == 1
        if self.panel.ptsize is None:
            # Linear axes have an affine transform: its linear part takes the slide's pixels to the figure's.
            outline, sizes = self.outline, None
            transform: Transform = AffineDeltaTransform(cast(Affine2DBase, axes.transData))
        else:
            outline, sizes = _SHAPES[self.panel.shape], [self.panel.ptsize]
            transform = IdentityTransform()
        spots = PathCollection(
            [outline],
            sizes=sizes,
            offsets=self.xy[visible],
            offset_transform=axes.transData,
            facecolors=self.points.colors(scale, visible, self.panel.alpha),
            # A hairline in the tile's own colour closes the seams that antialiasing leaves between tiles.
            edgecolors="face" if tiles else "none",
            linewidths=0.4 if tiles else 0,
            transform=transform,
            zorder=2,
        )
        spots.set_rasterized(len(visible) > SHAPES_AT_MOST)
        axes.add_collection(spots, autolim=False)

    def _draw_bins(self, axes: Axes, scale: Scale, visible: NDArray[np.intp]) -> bool:
        """Draw very many square bins as pixels; say whether they are such."""
        if len(visible) < bins.PIXELS_FROM or self.panel.shape != "square" or self.panel.ptsize is not None:
            return False
        grid = bins.Grid.of(self.xy)
        if grid is None:
            return False
        colors = np.zeros((len(self.xy), 4))
        colors[visible] = self.points.colors(scale, visible, self.panel.alpha)
        bins.draw(axes, grid, colors, self.view, self.panel.spot_diameter or grid.pitch)
        return True


def _background(image: NDArray[Any]) -> NDArray[Any]:
    """From (c, y, x) to what matplotlib draws: (y, x) or (y, x, 3), uint8 or float32 from 0 to 1."""
    if image.ndim != 3 or not 1 <= image.shape[0] <= 3 or 0 in image.shape:
        raise DataError(
            "data.image",
            f"an image of shape {image.shape}",
            hint="give (channels, y, x) with 1 to 3 channels",
        )
    if image.dtype != np.uint8:
        image = np.nan_to_num(image.astype(np.float32), posinf=0.0, neginf=0.0).clip(min=0.0)
        peak = float(image.max())
        image = image / peak if peak > 1 else image
    if image.shape[0] == 1:
        grey: NDArray[Any] = image[0]
        return grey
    if image.shape[0] == 2:
        image = np.concatenate([image, np.zeros_like(image[:1])])
    return np.moveaxis(image, 0, -1)
