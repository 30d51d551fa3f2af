"""Panels beside each other: as large as what they show needs, with a key for each or one for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spatialrun.errors import UsageError
from spatialrun.plots import style
from spatialrun.plots.scales import (
    Categorical,
    Continuous,
    Key,
    Limit,
    Palette,
    Plain,
    Scale,
    is_categorical,
)

# More spots than this are an image in svg and pdf: as shapes they would stall the program that opens them.
SHAPES_AT_MOST = 5_000

# Lengths of the layout, in inches.
PAD = 0.08
GAP = 0.12
TITLE_LINE = 0.22
ONE_VIEW = 4.5
ONE_OF_SEVERAL = 3.0


class Appearance(Protocol):
    """What a panel says of its colours and its key."""

    @property
    def palette(self) -> Palette:
        """Colours of categories."""

    @property
    def cmap(self) -> str | None:
        """Colour map of numbers."""

    @property
    def vmin(self) -> Limit:
        """Lower end of the colour scale."""

    @property
    def vmax(self) -> Limit:
        """Upper end of the colour scale."""

    @property
    def na_color(self) -> str:
        """Colour of missing values."""

    @property
    def label(self) -> str | None:
        """Label of the key."""

    @property
    def legend(self) -> bool:
        """Whether there is a key."""

    @property
    def shape(self) -> str:
        """Shape of the spots in the key."""


class Scene(Protocol):
    """A panel whose data have been checked. Lengths are inches."""

    head: float
    """Room above the view: for its title."""
    foot: float
    """Room below."""
    values: pd.Series | None
    shown: NDArray[np.bool_]
    """(N,) the spots in view."""

    @property
    def panel(self) -> Appearance:
        """How it is drawn."""

    def fit(self, width: float, height: float) -> tuple[float, float]:
        """The largest size of the view in a box."""

    def draw(self, axes: Axes, scale: Scale) -> None:
        """Draw into axes of that size."""


def head_of(title: str | None) -> float:
    """Room that a title needs."""
    return PAD + TITLE_LINE * (title.count("\n") + 1 if title else 0)


def compose(
    scenes: Sequence[Scene],
    *,
    ncols: int | None = None,
    shared: bool = False,
    figsize: tuple[float, float] | None = None,
    dpi: float = 150.0,
) -> Figure:
    """Draw scenes in a grid, row by row; parameters and errors as for `spatialrun.plots.spatial.panels`."""
    if not scenes:
        raise UsageError("usage", "a figure without panels", hint="give at least one")
    scales = [scale_of(scenes)] * len(scenes) if shared else [scale_of([scene]) for scene in scenes]
    columns = min(ncols or 4, len(scenes))
    rows = math.ceil(len(scenes) / columns)

    with style.house():
        figure = Figure(figsize=figsize or (ONE_VIEW, ONE_VIEW), dpi=dpi)
        FigureCanvasAgg(figure)
        frames = [figure.add_axes((0.0, 0.0, 1.0, 1.0)) for _ in scenes]
        box = ONE_VIEW if len(scenes) == 1 else ONE_OF_SEVERAL
        head = max(scene.head for scene in scenes)
        foot = max(scene.foot for scene in scenes)

        if figsize is None:
            # The views decide: each is as large as its box allows, and cells are as large as the largest.
            room = max(scene.fit(box, box)[1] for scene in scenes)
        else:
            room = figsize[1] / rows - head - foot
            if room <= 0:
                raise UsageError("usage", f"figsize {figsize} has no room for {rows} rows", hint="enlarge it")
        common, own = _keys(figure, scenes, scales, shared, room)
        beside = common.width + GAP if common else 0.0
        # Every cell leaves room for the widest key, so that sections of one size are drawn in one size.
        side = max(key.width + GAP if key else 0.0 for key in own)
        if figsize is None:
            cell_width = max(scene.fit(box, box)[0] for scene in scenes) + side + 2 * PAD
            tallest = max(key.height for key in own if key) if any(own) else 0.0
            cell_height = max(room, tallest) + head + foot
            height = max(rows * cell_height, common.height + head + foot if common else 0.0)
            figure.set_size_inches(columns * cell_width + beside, height)
        width, height = figure.get_size_inches()
        cell_width, cell_height = (width - beside) / columns, height / rows

        for index, (scene, scale, key) in enumerate(zip(scenes, scales, own, strict=True)):
            row, column = divmod(index, columns)
            cell_left, cell_top = column * cell_width, height - row * cell_height
            # A key never takes more than two thirds of a cell: beyond that it is cut, and the tissue is not.
            room_x = max(cell_width - side - 2 * PAD, cell_width / 3)
            view_width, view_height = scene.fit(room_x, cell_height - head - foot)
            left = cell_left + PAD + max(0.0, room_x - view_width) / 2
            top = cell_top - head
            if rows * columns == 1:
                top -= (cell_height - head - foot - view_height) / 2
            axes = frames[index]
            axes.set_position(
                (left / width, (top - view_height) / height, view_width / width, view_height / height)
            )
            scene.draw(axes, scale)
            if key:
                # Beside the top of the view, unless a long legend then left the cell at the bottom.
                key.move(left + view_width + GAP, max(top, cell_top - cell_height + foot + key.height))
        if common:
            common.move(width - beside, height - head)
    return figure


def scale_of(scenes: Sequence[Scene]) -> Scale:
    """The colour scale of scenes together.

    Raises
    ------
    UsageError
        ``usage``: numbers and categories mixed.
    """
    first = scenes[0].panel
    values = [scene.values for scene in scenes if scene.values is not None]
    if not values:
        return Plain()
    kinds = {is_categorical(v) for v in values}
    if len(kinds) > 1 or len(values) < len(scenes):
        raise UsageError("usage", "a shared colour scale needs values of one kind", hint="do not share it")
    if kinds == {True}:
        shown = [scene.shown for scene in scenes]
        return Categorical.fit(
            values, shown, palette=first.palette, missing=first.na_color, label=first.label
        )
    return Continuous.fit(
        values,
        cmap=first.cmap,
        vmin=first.vmin,
        vmax=first.vmax,
        missing=first.na_color,
        label=first.label,
    )


def _keys(
    figure: Figure, scenes: Sequence[Scene], scales: Sequence[Scale], shared: bool, height: float
) -> tuple[Key | None, list[Key | None]]:
    """The key of all panels, and each panel's own."""
    if shared:
        first = scenes[0].panel
        return scales[0].key(figure, height, first.shape) if first.legend else None, [None] * len(scenes)
    own = [
        scale.key(figure, height, scene.panel.shape) if scene.panel.legend else None
        for scene, scale in zip(scenes, scales, strict=True)
    ]
    return None, own
