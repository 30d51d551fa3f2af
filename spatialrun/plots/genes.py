"""Genes by domains: a dot plot (how many spots have a gene, and how much of it) or a matrix of means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray

from spatialrun.errors import DataError
from spatialrun.plots import palettes, style
from spatialrun.plots.scales import Continuous, Limit, as_series

Array = NDArray[np.float64]
Kind = Literal["dotplot", "matrix"]
Standard = Literal["var", "group"]

DOT_COLORS = "Reds"
"""Pale where there is little, as paper is; a matrix has the house's map."""

# Of the layout, lengths in inches.
_CELL = 0.21
_PAD = 0.1
_GAP = 0.2
_SWATCH = 0.09
_BRACKET = 0.07
_TITLE = 0.28
_LINE = 0.14
_SPOTS = "spots with gene"
_SHARES = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
_BAR = (0.09, 0.9)
# Largest diameter of a dot, of a cell.
_DOT = 0.92
_CIRCLE = Path.circle(radius=0.5)


@dataclass(frozen=True, eq=False)
class GenesByDomain:
    """What is drawn.

    Attributes
    ----------
    means
        (D, G) mean of each gene in each domain.
    fractions
        (D, G) share of the domain's spots that have the gene, 0 to 1.
    domains
        (D,) names.
    genes
        (G,) names; one may stand there more than once.
    groups
        Name to (start, stop) in the genes: those that belong together have a bracket.
    """

    means: Array
    fractions: Array
    domains: Sequence[str]
    genes: Sequence[str]
    groups: Mapping[str, tuple[int, int]]


def genes_by_domain(
    shown: GenesByDomain,
    kind: Kind = "dotplot",
    *,
    standard_scale: Standard | None = None,
    cmap: str | None = None,
    vmin: Limit = None,
    vmax: Limit = None,
    dot_max: float | None = None,
    palette: Mapping[str, str] | None = None,
    title: str | None = None,
    label: str = "mean",
    dpi: float = 150.0,
) -> Figure:
    """Draw domains as rows and genes as columns.

    Parameters
    ----------
    shown
        Means and fractions.
    kind
        ``dotplot``: area is the fraction, colour the mean; ``matrix``: colour alone.
    standard_scale
        Means from 0 to 1 within each gene (``var``) or each domain (``group``).
    cmap, vmin, vmax
        Of the means; as for `spatialrun.plots.spatial.Panel`.
    dot_max
        Fraction of the largest dot; None: the largest there is, rounded up to a tenth.
    palette
        Domain to colour; by default `palettes.categorical`.
    title
        Above the figure.
    label
        Of the colour bar.
    dpi
        Pixels per inch.

    Raises
    ------
    DataError
        ``data.empty``: no genes, or no domains.
    UsageError
        ``usage``: an unknown colour map, or limits that are none.
    """
    if not len(shown.genes) or not len(shown.domains):
        raise DataError(
            "data.empty", "there are no genes to draw", hint="Name genes, or mark more of them as markers."
        )
    values = _standardised(shown.means, standard_scale)
    scale = Continuous.fit(
        [as_series(values.ravel())],
        cmap=cmap or (DOT_COLORS if kind == "dotplot" else None),
        vmin=0.0 if vmin is None and values.min() >= 0 else vmin,
        vmax=vmax,
        missing=palettes.MISSING,
        label=label,
    )
    colors = palettes.categorical(shown.domains) | dict(palette or {})
    largest = dot_max or max(np.ceil(shown.fractions.max() * 10) / 10, 0.1)
    with style.house():
        figure = Figure(figsize=(4, 4), dpi=dpi)
        FigureCanvasAgg(figure)
        upright = _stands(figure, shown)
        left = _widest(figure, shown.domains) + _SWATCH + 2 * _PAD
        below = _widest(figure, shown.genes, italic=True) + 2 * _PAD
        across = _widest(figure, list(shown.groups)) if upright else _LINE
        above = _PAD + (across + _BRACKET + _PAD if shown.groups else 0.0) + (_TITLE if title else 0.0)
        wide, high = len(shown.genes) * _CELL, len(shown.domains) * _CELL
        keys = _TITLE + _BAR[1] + (_TITLE + len(_SHARES) * _CELL if kind == "dotplot" else 0.0)
        beside = max(_widest(figure, [label, _SPOTS]), _BAR[0] + 0.4)
        width, height = left + wide + _GAP + beside + _PAD, above + max(high + below, keys + _PAD)
        figure.set_size_inches(width, height)
        bottom = height - above - high
        axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
        _cells(axes, kind, values, np.minimum(shown.fractions / largest, 1.0), scale)
        _name_rows(axes, shown.domains, colors)
        _name_columns(axes, shown, upright=upright)
        if title:
            figure.text(left / width, 1 - _PAD / height, title, va="top", fontsize=10, fontweight="bold")
        at, top = left + wide + _GAP, height - above
        if kind == "dotplot":
            top = _size_key(figure, at, top, largest)
        _color_key(figure, at, top, scale, label)
    return figure


def _standardised(means: Array, by: Standard | None) -> Array:
    if by is None:
        return means
    axis = 0 if by == "var" else 1
    low, high = means.min(axis=axis, keepdims=True), means.max(axis=axis, keepdims=True)
    scaled: Array = np.divide(means - low, high - low, out=np.zeros_like(means), where=high > low)
    return scaled


def _widest(figure: Figure, texts: Sequence[str], *, italic: bool = False) -> float:
    """Inches of the longest of texts, as they will be drawn."""
    drawn = [
        Text(0, 0, text, fontsize=7.5, fontstyle="italic" if italic else "normal", figure=figure)
        for text in texts
    ]
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    return max(text.get_window_extent(renderer).width for text in drawn) / figure.dpi if drawn else 0.0


def _stands(figure: Figure, shown: GenesByDomain) -> bool:
    """Whether some bracket is too narrow for its name, so that all names stand upright."""
    return any(
        _widest(figure, [name]) > (stop - start) * _CELL for name, (start, stop) in shown.groups.items()
    )


def _cells(axes: Axes, kind: Kind, values: Array, sizes: Array, scale: Continuous) -> None:
    n_rows, n_columns = values.shape
    axes.set(xlim=(-0.5, n_columns - 0.5), ylim=(n_rows - 0.5, -0.5))
    if kind == "matrix":
        cmap = matplotlib.colormaps[scale.cmap]
        axes.pcolormesh(
            np.arange(n_columns + 1) - 0.5,
            np.arange(n_rows + 1) - 0.5,
            values,
            cmap=cmap,
            norm=Normalize(scale.low, scale.high),
            edgecolors="white",
            linewidth=0.4,
        )
        for spine in axes.spines.values():
            spine.set_visible(False)
        return
    row, column = np.divmod(np.arange(values.size), n_columns)
    dots = PathCollection(
        [_CIRCLE],
        sizes=(_DOT * _CELL * 72) ** 2 * sizes.ravel(),
        offsets=np.column_stack([column, row]),
        offset_transform=axes.transData,
        facecolors=scale.colors(as_series(values.ravel())),
        edgecolors=style.INK,
        linewidths=0.25,
        transform=IdentityTransform(),
    )
    axes.add_collection(dots, autolim=False)


def _name_rows(axes: Axes, domains: Sequence[str], colors: Mapping[str, str]) -> None:
    axes.set_yticks(range(len(domains)), domains, fontsize=7.5)
    axes.tick_params(axis="y", length=0, pad=(_SWATCH + 0.08) * 72)
    width = _SWATCH / (_CELL * (axes.get_xlim()[1] - axes.get_xlim()[0]))
    gap = 0.05 / (_CELL * (axes.get_xlim()[1] - axes.get_xlim()[0]))
    for row, domain in enumerate(domains):
        axes.add_patch(
            Rectangle(
                (-gap - width, row - 0.36),
                width,
                0.72,
                transform=axes.get_yaxis_transform(),
                facecolor=to_rgba(colors[domain]),
                linewidth=0,
                clip_on=False,
            )
        )


def _name_columns(axes: Axes, shown: GenesByDomain, *, upright: bool) -> None:
    axes.set_xticks(range(len(shown.genes)), shown.genes, rotation=90, fontsize=7.5, fontstyle="italic")
    axes.tick_params(axis="x", length=0, pad=3)
    unit = 1 / (_CELL * len(shown.domains))
    low, high = 1 + 0.05 * unit, 1 + (0.05 + _BRACKET) * unit
    for name, (start, stop) in shown.groups.items():
        ends = (start - 0.32, stop - 1 + 0.32)
        axes.plot(
            (ends[0], ends[0], ends[1], ends[1]),
            (low, high, high, low),
            transform=axes.get_xaxis_transform(),
            color=style.INK,
            linewidth=0.7,
            clip_on=False,
            scalex=False,
            scaley=False,
        )
        axes.text(
            sum(ends) / 2,
            high + 0.04 * unit,
            name,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            rotation=90 if upright else 0,
            fontsize=7.5,
        )


def _size_key(figure: Figure, left: float, top: float, largest: float) -> float:
    """Dots of a few fractions below their title; returns where the next key begins."""
    width, height = figure.get_size_inches()
    fractions = _SHARES * largest
    high = len(_SHARES) * _CELL
    figure.text(left / width, (top - 0.02) / height, _SPOTS, va="top", fontsize=7.5)
    axes = figure.add_axes(
        (left / width, (top - _TITLE + 0.08 - high) / height, _CELL / width, high / height), frameon=False
    )
    axes.set(xlim=(-0.5, 0.5), ylim=(len(_SHARES) - 0.5, -0.5), xticks=[])
    axes.yaxis.tick_right()
    axes.set_yticks(range(len(_SHARES)), [f"{fraction:.0%}" for fraction in fractions])
    axes.tick_params(axis="y", length=0, pad=3)
    dots = PathCollection(
        [_CIRCLE],
        sizes=(_DOT * _CELL * 72) ** 2 * _SHARES,
        offsets=np.column_stack([np.zeros(len(_SHARES)), np.arange(len(_SHARES))]),
        offset_transform=axes.transData,
        facecolors=style.FAINT,
        edgecolors=style.INK,
        linewidths=0.25,
        transform=IdentityTransform(),
    )
    axes.add_collection(dots, autolim=False)
    return top - _TITLE - high


def _color_key(figure: Figure, left: float, top: float, scale: Continuous, label: str) -> None:
    width, height = figure.get_size_inches()
    thick, high = _BAR
    figure.text(left / width, (top - 0.02) / height, label, va="top", fontsize=7.5)
    cax = figure.add_axes((left / width, (top - _TITLE + 0.03 - high) / height, thick / width, high / height))
    bar = figure.colorbar(
        matplotlib.cm.ScalarMappable(Normalize(scale.low, scale.high), scale.cmap),
        cax=cax,
        extend=scale.extend,
        extendfrac=0.06,
    )
    bar.outline.set_visible(False)
    for mesh in cax.collections:
        mesh.set_edgecolor("face")
