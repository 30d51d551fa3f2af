"""Where things are: the part of a section that a panel shows, and the lattice that its spots lie on.

All lengths are full-resolution pixels; y points down, as in the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from spatialrun.errors import DataError, UsageError

Range = tuple[float, float]
Crop = Literal["tissue", "image"] | None

# The lattice is regular: a few thousand spots tell its pitch as well as half a million.
_SAMPLE = 2_000


@dataclass(frozen=True)
class View:
    """The rectangle of the section that a panel shows."""

    left: float
    right: float
    top: float
    bottom: float

    @property
    def width(self) -> float:
        """Extent in x."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Extent in y."""
        return self.bottom - self.top

    def contains(self, xy: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
        """Which of the points (N, 2) lie inside, or at most ``margin`` outside."""
        x, y = xy.T
        inside: NDArray[np.bool_] = (
            (x >= self.left - margin)
            & (x <= self.right + margin)
            & (y >= self.top - margin)
            & (y <= self.bottom + margin)
        )
        return inside


def view(
    xy: NDArray[np.float64],
    image: View | None,
    *,
    margin: float,
    xrange: Range | None = None,
    yrange: Range | None = None,
    crop: Crop = "tissue",
) -> View:
    """The view that ranges and crop ask for.

    Parameters
    ----------
    xy
        (N, 2) centres of spots.
    image
        The rectangle that the image covers, or None.
    margin
        Space left around the spots, but not beyond the image's edge.
    xrange, yrange
        (low, high); each overrides ``crop`` along its axis.
    crop
        ``tissue``: around the spots in range; ``image``: the whole image; None: both.

    Raises
    ------
    DataError
        ``data.values``: no spot lies in the ranges.
    UsageError
        ``usage``: a range whose ends are not two ascending numbers, an unknown crop.
    """
    if crop not in ("tissue", "image", None):
        raise UsageError("usage", f"no crop {crop!r}", hint="'tissue', 'image' or none")
    selected = np.ones(len(xy), dtype=bool)
    for axis, (name, bounds) in enumerate({"xrange": xrange, "yrange": yrange}.items()):
        if bounds is not None:
            low, high = bounds
            if not low < high:
                raise UsageError("usage", f"{name} {low:g} to {high:g} is empty", hint="give (low, high)")
            selected &= (xy[:, axis] >= low) & (xy[:, axis] <= high)
    if not selected.any():
        xy_ranges = zip(xy.min(axis=0), xy.max(axis=0), strict=True)
        raise DataError(
            "data.values",
            f"no spot lies in {_describe(xrange, yrange)}",
            hint=f"the spots lie in {_describe(*xy_ranges)} (full-resolution pixels)",
        )
    (left, top), (right, bottom) = xy[selected].min(axis=0), xy[selected].max(axis=0)
    whole = View(left - margin, right + margin, top - margin, bottom + margin)
    if image is not None:
        if crop == "image":
            whole = image
        elif crop is None:
            whole = View(
                min(whole.left, image.left),
                max(whole.right, image.right),
                min(whole.top, image.top),
                max(whole.bottom, image.bottom),
            )
        else:
            whole = View(
                max(whole.left, min(image.left, left)),
                min(whole.right, max(image.right, right)),
                max(whole.top, min(image.top, top)),
                min(whole.bottom, max(image.bottom, bottom)),
            )
    x = xrange or (whole.left, whole.right)
    y = yrange or (whole.top, whole.bottom)
    return View(float(x[0]), float(x[1]), float(y[0]), float(y[1]))


def _describe(xrange: Any, yrange: Any) -> str:
    named = {"x": xrange, "y": yrange}
    return ", ".join(
        f"{axis} {ends[0]:.0f} to {ends[1]:.0f}" for axis, ends in named.items() if ends is not None
    )


@dataclass(frozen=True)
class Lattice:
    """The regular array under the spots.

    Attributes
    ----------
    pitch
        Between neighbours.
    angle
        To one of them, in radians.
    sixfold
        How much the array is hexagonal: 1 where neighbours lie in six directions, about 0 in a square array.
    square
        To a neighbour of a square array, in radians.
    """

    pitch: float
    angle: float
    sixfold: float = 0.0
    square: float = 0.0

    @property
    def hexagon(self) -> NDArray[np.float64]:
        """(6, 2) corners, around 0, of the cell of a hexagonal array: cells tile the section without gaps."""
        turns = self.angle + np.pi / 6 + np.arange(6) * np.pi / 3
        corners: NDArray[np.float64] = (
            self.pitch / np.sqrt(3) * np.column_stack([np.cos(turns), np.sin(turns)])
        )
        return corners


def lattice(xy: NDArray[np.float64]) -> Lattice:
    """The array that spots (N, 2) lie on, from the nearest neighbours of an even selection of them."""
    some = xy[:: -(-len(xy) // _SAMPLE)]
    distance, neighbour = cKDTree(xy).query(some, k=min(2, len(xy)))
    if len(xy) == 1:
        return Lattice(pitch=1.0, angle=0.0)
    apart = distance[:, 1] > 0
    if not apart.any():
        return Lattice(pitch=1.0, angle=0.0)
    x, y = (xy[neighbour[apart, 1]] - some[apart]).T
    sixfold = np.exp(6j * np.arctan2(y, x)).mean()
    fourfold = np.exp(4j * np.arctan2(y, x)).mean()
    return Lattice(
        pitch=float(np.median(distance[apart, 1])),
        angle=float(np.angle(sixfold) / 6),
        sixfold=float(np.abs(sixfold)),
        square=float(np.angle(fourfold) / 4),
    )
