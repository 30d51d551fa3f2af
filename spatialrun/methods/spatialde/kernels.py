"""Covariance kernels over the spots' coordinates, and the lengthscales worth asking for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull, QhullError, cKDTree
from scipy.spatial.distance import pdist

from spatialrun.errors import DataError, UsageError

Array = NDArray[np.float64]
Kind = Literal["SE", "PER", "linear"]


@dataclass(frozen=True)
class Kernel:
    """One covariance function k(x, x') of two spots.

    ``SE`` is exp(-d²/(2 l²)) with d the distance; ``PER`` is cos(2π (u - u')/l) with u = x₁ + x₂; ``linear`` is
    the dot product x·x' and has no lengthscale.

    Parameters
    ----------
    kind
        Family of the covariance function.
    lengthscale
        l, in the units of the coordinates; NaN for ``linear``.
    """

    kind: Kind
    lengthscale: float = float("nan")

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageError(
                "usage", f"{self.kind!r} is not a kernel", hint=f"One of {', '.join(get_args(Kind))}."
            )
        if self.kind != "linear" and not (np.isfinite(self.lengthscale) and self.lengthscale > 0):
            raise UsageError("usage", f"a {self.kind} kernel needs a lengthscale > 0, not {self.lengthscale}")


def checked_coordinates(coordinates: ArrayLike) -> Array:
    """The coordinates as an (N, 2) float64 array.

    Raises
    ------
    DataError
        ``data.coordinates`` when they are not (N, 2), not finite, or all the same.
    """
    x = np.ascontiguousarray(coordinates, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != 2:
        raise DataError("data.coordinates", f"coordinates of shape {x.shape}, where (spots, 2) is needed")
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).any(axis=1).sum())
        raise DataError(
            "data.coordinates",
            f"{bad} of {len(x)} spots have coordinates that are NaN or infinite",
            hint="Remove these spots, or correct the positions file.",
        )
    if len(x) == 0 or (x == x[0]).all():
        raise DataError(
            "data.coordinates",
            "all spots have the same coordinates" if len(x) else "there are no spots",
            hint="Spatially variable genes need spots at two or more places.",
        )
    return x


def default_kernels(coordinates: ArrayLike, n_se: int = 5, n_per: int = 5) -> list[Kernel]:
    """``n_se`` SE and ``n_per`` PER kernels, log-spaced from 2 x smallest to the largest distance.

    Parameters
    ----------
    coordinates
        (N, 2), any unit.
    n_se, n_per
        How many of each; 0 leaves the family out.

    Raises
    ------
    DataError
        ``data.coordinates`` when they are not finite or all the same.
    """
    x = checked_coordinates(coordinates)
    shortest, longest = 2.0 * _smallest_distance(x), _largest_distance(x)
    se = [Kernel("SE", float(lengthscale)) for lengthscale in np.geomspace(shortest, longest, n_se)]
    per = [Kernel("PER", float(lengthscale)) for lengthscale in np.geomspace(shortest, longest, n_per)]
    return se + per


def _smallest_distance(x: Array) -> float:
    """Between spots at different places: some technologies give two spots the same coordinates."""
    places = np.unique(x, axis=0)
    distances, _ = cKDTree(places).query(places, k=2)
    return float(distances[:, 1].min())


def _largest_distance(x: Array) -> float:
    """Between two corners of the convex hull, or between the ends where all spots lie on a line."""
    try:
        corners = x[ConvexHull(x).vertices]
    except QhullError:
        order = np.lexsort(x.T)
        corners = x[order[[0, -1]]]
    return float(pdist(corners).max())
