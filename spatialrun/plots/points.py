"""Spots as every figure takes them: their places and what colours them, checked; and which lies over which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spatialrun.errors import DataError, UsageError
from spatialrun.plots.scales import Scale, as_series, is_categorical

Order = Literal["value", "given"]


@dataclass(frozen=True, eq=False)
class Points:
    """Spots that can be drawn.

    Attributes
    ----------
    xy
        (N, 2) places, float64, finite.
    values
        (N,) what colours them, as `spatialrun.plots.scales.as_series` gives it; None: nothing does.
    """

    xy: NDArray[np.float64]
    values: pd.Series | None

    @classmethod
    def checked(cls, coordinates: ArrayLike, values: Any) -> Points:
        """Spots from what a caller gives.

        Raises
        ------
        DataError
            ``data.empty``: no spots; ``data.coordinates``: places that are not (N, 2) finite numbers;
            ``data.values``: not one value per spot.
        """
        xy = np.asarray(coordinates, dtype=np.float64)
        if xy.size == 0:
            raise DataError("data.empty", "no spots to draw", hint="look at the filters of the sample")
        if xy.ndim != 2 or xy.shape[1] != 2 or not np.isfinite(xy).all():
            raise DataError(
                "data.coordinates",
                f"coordinates of shape {xy.shape} that are not pairs of finite numbers",
                hint="give two finite numbers for every spot, (N, 2)",
            )
        series = None if values is None else as_series(values)
        if series is not None and len(series) != len(xy):
            raise DataError(
                "data.values", f"{len(series)} values for {len(xy)} spots", hint="give one value per spot"
            )
        return cls(xy, series)

    def turn(self, order: Order, *, mixed: bool) -> NDArray[np.intp]:
        """The order in which spots are drawn, lowest first; those without a value lie below all others.

        Parameters
        ----------
        order
            ``value``: high values over low ones; ``given``: later spots over earlier ones.
        mixed
            Whether spots overlap, so that categories in their own order would hide one another: they are drawn
            in an order of chance (the same one every time) where ``order`` is ``value``.
        """
        if self.values is None:
            return np.arange(len(self.xy))
        values = self.values
        rank = values.isna().to_numpy() * -1.0
        if order == "value" and not is_categorical(values):
            rank = values.fillna(-np.inf).to_numpy()
        elif order == "value" and mixed:
            rank = rank + np.random.default_rng(0).random(len(values))
        return np.argsort(rank, kind="stable")

    def colors(self, scale: Scale, index: NDArray[np.intp], alpha: float) -> NDArray[np.float64]:
        """Rgba (n, 4) of the spots ``index``."""
        values = pd.Series(np.zeros(len(self.xy))) if self.values is None else self.values
        colors = scale.colors(values.iloc[index])
        colors[:, 3] *= alpha
        return colors


def check_sizes(panel: object, *names: str) -> None:
    """Check that the sizes that a panel gives are above 0.

    Raises
    ------
    UsageError
        ``usage``: one is not.
    """
    for name in names:
        size = getattr(panel, name)
        if size is not None and not size > 0:
            raise UsageError("usage", f"{name} is {size!r}", hint="give a number above 0")
