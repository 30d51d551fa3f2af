"""From values to colours, and the key that tells the reader which is which: a colour bar or a legend."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from spatialrun.errors import DataError, UsageError
from spatialrun.plots import palettes

Limit = float | str | None
Palette = Mapping[str, str] | Sequence[str] | None

_BAR_WIDTH = 0.09
_BAR_HEIGHT = 1.3
_LABEL_COLUMNS = 28
_MARKERS = {"circle": "o", "square": "s", "hexagon": "h"}
# Outliers: what lies beyond this percentile, of so many values at least, and stretches the scale by so much.
_OUTLIERS_BEYOND, _ENOUGH, _STRETCHED = 99.5, 400, 1.3


@dataclass(frozen=True)
class Key:
    """A legend or colour bar that has been drawn: its size in inches, and how to move its top left corner."""

    width: float
    height: float
    move: Callable[[float, float], None]


class Scale(Protocol):
    """A mapping from values to colours that can draw its own key."""

    def colors(self, values: pd.Series) -> NDArray[np.float64]:
        """Rgba (N, 4) of N values."""
        ...

    def key(self, figure: Figure, height: float, shape: str) -> Key | None:
        """Draw the key, if possible at most ``height`` inches high; None where there is nothing to tell."""
        ...


def as_series(values: Any) -> pd.Series:
    """Values as float64, or as a categorical of strings; empty strings and None are missing.

    Numbers are continuous; strings, booleans, objects and pandas categoricals are categories.

    Raises
    ------
    DataError
        ``data.values``: more than one dimension.
    """
    if np.ndim(values) != 1:
        raise DataError(
            "data.values", f"values of shape {np.shape(values)}", hint="give one value per spot, (N,)"
        )
    series = pd.Series(values).reset_index(drop=True)
    if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype):
        return series.astype("float64")
    if isinstance(series.dtype, pd.CategoricalDtype):
        categories = [str(c) for c in series.cat.categories]
        order = categories if series.cat.ordered else palettes.natural_sort(categories)
        names = series.astype(object)
    else:
        names = series.astype(object)
        order = palettes.natural_sort(str(v) for v in names[names.notna()])
    names = names.where(names.isna(), names.astype(str))
    return pd.Series(pd.Categorical(names, categories=[c for c in order if c != ""]))


def is_categorical(values: pd.Series) -> bool:
    """Whether `as_series` took the values as categories."""
    return isinstance(values.dtype, pd.CategoricalDtype)


@dataclass(frozen=True)
class Continuous:
    """Numbers between two limits, along a colour map."""

    low: float
    high: float
    cmap: str
    missing: str
    label: str | None = None
    extend: str = "neither"
    any_missing: bool = False
    any_value: bool = True

    @classmethod
    def fit(
        cls,
        values: Sequence[pd.Series],
        *,
        cmap: str | None,
        vmin: Limit,
        vmax: Limit,
        missing: str,
        label: str | None,
    ) -> Continuous:
        """The scale of several series together; limits as for `spatialrun.plots.spatial.Panel`."""
        name = cmap or palettes.CONTINUOUS
        if name not in matplotlib.colormaps:
            near = difflib.get_close_matches(name, list(matplotlib.colormaps), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "any of matplotlib's colour maps"
            raise UsageError("usage", f"no colour map {name!r}", hint=hint)
        _check_color(missing)
        pooled = np.concatenate([v.to_numpy() for v in values])
        finite = pooled[np.isfinite(pooled)]
        low = _limit("vmin", vmin, finite, 0.0)
        high = _limit("vmax", vmax, finite, 100.0) if vmax is not None else _highest(finite, low)
        if low >= high and vmax is not None and vmin is None and finite.size:
            # A percentile of a sparse gene is its minimum: show the few spots that have it rather than none.
            high = float(finite.max()) if isinstance(vmax, str) else high
        if low > high:
            raise UsageError("usage", f"vmin {low:g} is above vmax {high:g}", hint="lower vmin or raise vmax")
        below, above = bool((finite < low).any()), bool((finite > high).any())
        if low == high:
            low, high = (min(low, 0.0), max(high, 0.0)) if low else (0.0, 1.0)
        return cls(
            low,
            high,
            name,
            missing,
            label,
            extend={(True, True): "both", (True, False): "min", (False, True): "max"}.get(
                (below, above), "neither"
            ),
            any_missing=bool(np.isnan(pooled).any()),
            any_value=bool(finite.size),
        )

    def colors(self, values: pd.Series) -> NDArray[np.float64]:
        """Rgba (N, 4); values beyond the limits have the colour of the limit."""
        numbers = values.to_numpy()
        rgba: NDArray[np.float64] = matplotlib.colormaps[self.cmap](
            Normalize(self.low, self.high)(numbers).data
        )
        rgba[np.isnan(numbers)] = to_rgba(self.missing)
        return rgba

    def key(self, figure: Figure, height: float, shape: str) -> Key | None:
        """A thin colour bar, with a swatch below it when values are missing; that alone when all are."""
        if not self.any_value:
            return Categorical({}, (), self.missing, any_missing=True).key(figure, height, shape)
        length = min(_BAR_HEIGHT, height)
        cax = figure.add_axes((0.0, 0.0, 0.1, 0.1))
        mappable = ScalarMappable(Normalize(self.low, self.high), self.cmap)
        bar = figure.colorbar(mappable, cax=cax, extend=self.extend, extendfrac=0.06)
        bar.outline.set_visible(False)
        for mesh in cax.collections:
            mesh.set_edgecolor("face")
        if self.label:
            bar.set_label(self.label)
        if self.any_missing:
            cax.add_patch(
                Rectangle(
                    (0, -0.2), 1, 0.08, transform=cax.transAxes, color=self.missing, clip_on=False, lw=0
                )
            )
            cax.annotate(
                palettes.MISSING_LABEL,
                (1, -0.16),
                xycoords="axes fraction",
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=matplotlib.rcParams["ytick.labelsize"],
            )

        def move(left: float, top: float) -> None:
            width, total = figure.get_size_inches()
            # Triangles at the ends are drawn inside the axes; the labels of the ends stand half a line out.
            cax.set_position(
                (left / width, (top - 0.05 - length) / total, _BAR_WIDTH / width, length / total)
            )

        move(0.0, length)
        box = cast(Bbox, cax.get_tightbbox())
        return Key(box.width / figure.dpi, box.height / figure.dpi, move)


@dataclass(frozen=True)
class Categorical:
    """Categories, each with a colour of its own."""

    palette: Mapping[str, str]
    shown: tuple[str, ...]
    missing: str
    label: str | None = None
    any_missing: bool = False

    @classmethod
    def fit(
        cls,
        values: Sequence[pd.Series],
        shown: Sequence[NDArray[np.bool_]],
        *,
        palette: Palette,
        missing: str,
        label: str | None,
    ) -> Categorical:
        """The scale of several series together: all categories have colours, those in view are in the key."""
        declared: dict[str, None] = {}
        for series in values:
            declared.update(dict.fromkeys(series.cat.categories))
        ordered = list(declared)
        if len(values) > 1 and not all(series.cat.ordered for series in values):
            ordered = palettes.natural_sort(ordered)
        colors = palettes.categorical(ordered)
        if isinstance(palette, Mapping):
            colors |= {str(name): color for name, color in palette.items()}
        elif palette is not None:
            if not palette:
                raise UsageError("usage", "a palette without colours", hint="list one colour per category")
            colors = {name: palette[i % len(palette)] for i, name in enumerate(ordered)}
        for color in (*colors.values(), missing):
            _check_color(color)
        present = set[str]()
        any_missing = False
        for series, mask in zip(values, shown, strict=True):
            present.update(series[mask].dropna())
            any_missing |= bool(series[mask].isna().any())
        return cls(colors, tuple(n for n in ordered if n in present), missing, label, any_missing)

    def colors(self, values: pd.Series) -> NDArray[np.float64]:
        """Rgba (N, 4)."""
        table = [self.palette[name] for name in values.cat.categories]
        # Code -1, missing, picks the last row.
        rgba: NDArray[np.float64] = to_rgba_array([*table, self.missing])[values.cat.codes.to_numpy()]
        return rgba

    def key(self, figure: Figure, height: float, shape: str) -> Key | None:
        """A legend in as many columns as the height asks for."""
        entries = [(name, self.palette[name]) for name in self.shown]
        if self.any_missing:
            entries.append((palettes.MISSING_LABEL, self.missing))
        if not entries:
            return None
        handles = [
            Line2D(
                [],
                [],
                linestyle="",
                marker=_MARKERS[shape],
                markersize=6,
                markeredgewidth=0,
                color=color,
            )
            for _, color in entries
        ]
        labels = [textwrap.fill(name, _LABEL_COLUMNS) for name, _ in entries]
        columns = 1
        while True:
            # Given apart from the handles, labels may begin with an underscore.
            legend = figure.legend(
                handles,
                labels,
                ncols=columns,
                loc="upper left",
                bbox_to_anchor=(0, 0),
                bbox_transform=figure.dpi_scale_trans,
                title=self.label,
                alignment="left",
            )
            box = legend.get_window_extent()
            if box.height / figure.dpi <= height or columns >= len(handles):
                break
            legend.remove()
            columns += 1

        def move(left: float, top: float) -> None:
            legend.set_bbox_to_anchor((left, top), transform=figure.dpi_scale_trans)

        return Key(box.width / figure.dpi, box.height / figure.dpi, move)


@dataclass(frozen=True)
class Plain:
    """No variable: one colour for all spots, and no key."""

    color: str = palettes.PLAIN

    def colors(self, values: pd.Series) -> NDArray[np.float64]:
        """Rgba (N, 4)."""
        return np.tile(to_rgba(self.color), (len(values), 1))

    def key(self, figure: Figure, height: float, shape: str) -> Key | None:  # noqa: ARG002
        """Nothing to tell."""
        return None


def _highest(finite: NDArray[np.float64], low: float) -> float:
    """The upper end of a scale that nobody chose: the maximum, unless a few outliers would stretch the scale.

    A single spot of a section can be twice as high as all others; on its scale the others look alike. The colour
    bar's arrow then says that there is more.
    """
    if not finite.size:
        return 1.0
    highest, nearly = float(finite.max()), float(np.percentile(finite, _OUTLIERS_BEYOND))
    clipped = finite.size >= _ENOUGH and low < nearly < highest
    return nearly if clipped and highest - low > _STRETCHED * (nearly - low) else highest


def _limit(name: str, limit: Limit, finite: NDArray[np.float64], default: float) -> float:
    if isinstance(limit, str):
        try:
            percentile = float(limit.removeprefix("p"))
        except ValueError:
            percentile = np.nan
        if not limit.startswith("p") or not 0 <= percentile <= 100:
            raise UsageError(
                "usage", f"{name} {limit!r} is not a limit", hint="a number, or a percentile as 'p99'"
            )
    elif limit is not None:
        return float(limit)
    else:
        percentile = default
    return float(np.percentile(finite, percentile)) if finite.size else percentile / 100


def _check_color(color: str) -> None:
    try:
        to_rgba(color)
    except ValueError as error:
        raise UsageError("usage", f"no colour {color!r}", hint="a name, or '#rrggbb'") from error
