"""Spots on a map of their expression: two dimensions of UMAP, or two principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.transforms import IdentityTransform
from numpy.typing import ArrayLike

from spatialrun.plots import palettes, style
from spatialrun.plots.grid import PAD, SHAPES_AT_MOST, compose, head_of
from spatialrun.plots.points import Order, Points, check_sizes
from spatialrun.plots.scales import Limit, Palette, Scale, is_categorical

# Room left of the map and below it for the names of its axes, in inches.
_AXIS = 0.2
# Areas of all spots together, and the largest and least of one, in points².
_AREA, _LARGEST, _LEAST = 60_000.0, 25.0, 0.3
_DOT = Path.circle(radius=0.5)


@dataclass(frozen=True, eq=False)
class Map:
    """One map and how to draw it; what is not explained is as in `spatialrun.plots.spatial.Panel`.

    Parameters
    ----------
    coordinates
        (N, 2) places on the map.
    values
        (N,) what colours the spots.
    axes
        Names of the two axes.
    ptsize
        Area of a spot in points². None: the less the more spots there are.
    order
        ``value``: high values over low ones, categories in an order of chance, so that none hides another;
        ``given``: later spots over earlier ones.
    names
        Whether the names of categories stand on the map.
    """

    coordinates: ArrayLike
    values: Any = None
    axes: tuple[str, str] = ("1", "2")
    ptsize: float | None = None
    palette: Palette = None
    cmap: str | None = None
    vmin: Limit = None
    vmax: Limit = None
    na_color: str = palettes.MISSING
    order: Order = "value"
    alpha: float = 1.0
    title: str | None = None
    label: str | None = None
    legend: bool = True
    names: bool = False

    @property
    def shape(self) -> str:
        """Of the spots in the key."""
        return "circle"


def maps(
    specs: Sequence[Map],
    *,
    ncols: int | None = None,
    figsize: tuple[float, float] | None = None,
    dpi: float = 150.0,
) -> Figure:
    """Draw maps in a grid, row by row.

    Parameters
    ----------
    specs
        The maps.
    ncols, figsize, dpi
        As for `spatialrun.plots.spatial.panels`.

    Raises
    ------
    DataError
        ``data.values``: values that do not fit the spots; ``data.empty``: no spots; ``data.coordinates``: places
        that are not pairs of finite numbers.
    UsageError
        ``usage``: an unknown colour or colour map, limits that are none, no maps.
    """
    return compose([_Scene(spec) for spec in specs], ncols=ncols, figsize=figsize, dpi=dpi)


class _Scene:
    """A map whose data have been checked."""

    def __init__(self, panel: Map) -> None:
        self.panel = panel
        check_sizes(panel, "ptsize")
        self.points = Points.checked(panel.coordinates, panel.values)
        self.xy, self.values = self.points.xy, self.points.values
        self.shown = np.ones(len(self.xy), dtype=bool)
        self.head, self.foot = head_of(panel.title), PAD

    def fit(self, width: float, height: float) -> tuple[float, float]:
        """The largest square, and the names of the axes beside it."""
        side = max(min(width, height) - _AXIS, _AXIS)
        return side + _AXIS, side + _AXIS

    def draw(self, axes: Axes, scale: Scale) -> None:
        """Draw the map into the upper right of the axes, less the room of the names."""
        box = axes.get_position()
        width, height = cast(Figure, axes.figure).get_size_inches()
        left, below = _AXIS / width, _AXIS / height
        axes.set_position((box.x0 + left, box.y0 + below, box.width - left, box.height - below))
        low, high = self.xy.min(axis=0), self.xy.max(axis=0)
        margin = 0.04 * np.where(high > low, high - low, 1.0)
        axes.set(
            xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1])
        )
        axes.set(xticks=[], yticks=[])
        self._draw_spots(axes, scale)
        if self.panel.names and self.values is not None and is_categorical(self.values):
            self._draw_names(axes, self.values)
        for spine in ("top", "right"):
            axes.spines[spine].set_visible(False)
        axes.set_xlabel(self.panel.axes[0], loc="left", labelpad=3)
        axes.set_ylabel(self.panel.axes[1], loc="bottom", labelpad=3)
        if self.panel.title:
            axes.set_title(self.panel.title)

    def _draw_spots(self, axes: Axes, scale: Scale) -> None:
        turn = self.points.turn(self.panel.order, mixed=True)
        size = self.panel.ptsize or float(np.clip(_AREA / len(self.xy), _LEAST, _LARGEST))
        spots = PathCollection(
            [_DOT],
            sizes=[size],
            offsets=self.xy[turn],
            offset_transform=axes.transData,
            facecolors=self.points.colors(scale, turn, self.panel.alpha),
            edgecolors="none",
            linewidths=0,
            transform=IdentityTransform(),
            zorder=2,
        )
        spots.set_rasterized(len(turn) > SHAPES_AT_MOST)
        axes.add_collection(spots, autolim=False)

    def _draw_names(self, axes: Axes, values: pd.Series) -> None:
        halo = [withStroke(linewidth=2.2, foreground="white")]
        codes = values.cat.codes.to_numpy()
        for code in np.unique(codes[codes >= 0]):
            x, y = np.median(self.xy[codes == code], axis=0)
            name = axes.text(x, y, values.cat.categories[code], ha="center", va="center", zorder=3)
            name.set(fontweight="bold", fontsize=8, color=style.INK, path_effects=halo)
