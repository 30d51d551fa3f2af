"""Square bins in great number, drawn as pixels: each pixel of the figure is the mean of what lies in it.

Half a million outlines take long to draw and cannot be opened in an svg; an image of the figure's own resolution
shows the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from spatialrun.plots.geometry import View, lattice

PIXELS_FROM = 50_000
"""Bins in view from which on they are drawn as pixels."""
MOST_PIXELS = 4096
"""Of a side of the image, however fine the figure is."""
SAMPLES = 3
"""Places within a pixel, along each axis, whose mean it shows."""
_OFF_LATTICE = 0.25
"""How far off its place on the array a bin may be, in pitches."""
_WHOLE = 1 - 1e-6
"""Share of the pitch from which bins touch: rounding of the fitted pitch must open no seams between them."""
_FIRST_REACH, _REACH_GROWS = 12, 3


@dataclass(frozen=True, eq=False)
class Grid:
    """Bins on a square array, turned by any angle.

    Attributes
    ----------
    origin, step
        (2,), (2, 2): the place of column 0, row 0, and the ways (columns) to the next column and row.
    number
        (rows, columns): which bin is there; -1 where none is.
    """

    origin: NDArray[np.float64]
    step: NDArray[np.float64]
    number: NDArray[np.int64]

    @classmethod
    def of(cls, xy: NDArray[np.float64]) -> Grid | None:
        """The array that bins (N, 2) lie on; ``None`` where they lie on none, or two at one place."""
        array = lattice(xy)
        cos, sin = np.cos(array.square), np.sin(array.square)
        step = array.pitch * np.array([[cos, -sin], [sin, cos]])
        middle = xy[np.argmin(np.abs(xy - np.median(xy, axis=0)).sum(axis=1))]
        apart, reach = np.abs(xy - middle).max(axis=1), _FIRST_REACH * array.pitch
        # Over a thousand bins the smallest error of a step adds up: what is fitted to a few tells where more are.
        while True:
            near = apart <= reach
            place = np.rint((xy[near] - middle) @ np.linalg.inv(step).T)
            known = np.column_stack([np.ones(len(place)), place])
            moments = known.T @ known
            if np.linalg.matrix_rank(moments) < 3:
                return None
            fitted = np.linalg.solve(moments, known.T @ xy[near])
            if np.abs(known @ fitted - xy[near]).max() > _OFF_LATTICE * array.pitch:
                return None
            middle, step = fitted[0], fitted[1:].T
            if near.all():
                break
            reach *= _REACH_GROWS
        low = place.min(axis=0)
        columns, rows = (place - low).astype(np.int64).T
        number = np.full((rows.max() + 1, columns.max() + 1), -1, dtype=np.int64)
        number[rows, columns] = np.arange(len(xy))
        if (number >= 0).sum() < len(xy):
            return None
        return cls(middle + step @ low, step, number)

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64], share: float) -> NDArray[np.int64]:
        """Which bin is at each place; -1 where none is. ``share`` of the array's pitch is a bin's side."""
        ways = np.linalg.inv(self.step)
        column, row = (ways @ np.stack([x.ravel() - self.origin[0], y.ravel() - self.origin[1]])).reshape(
            2, *x.shape
        )
        near_column, near_row = np.rint(column).astype(np.int64), np.rint(row).astype(np.int64)
        rows, columns = self.number.shape
        inside = (near_row >= 0) & (near_row < rows) & (near_column >= 0) & (near_column < columns)
        if share < _WHOLE:
            inside &= (np.abs(column - near_column) <= share / 2) & (np.abs(row - near_row) <= share / 2)
        found = np.full(x.shape, -1, dtype=np.int64)
        found[inside] = self.number[near_row[inside], near_column[inside]]
        return found

    @property
    def pitch(self) -> float:
        """Distance between neighbours."""
        return float(np.sqrt(abs(np.linalg.det(self.step))))


def raster(
    grid: Grid, colors: NDArray[np.float64], shown: View, size: tuple[int, int], side: float
) -> NDArray[np.uint8]:
    """Bins as an image of what a view shows.

    Parameters
    ----------
    grid
        Where the N bins are.
    colors
        (N, 4) red, green, blue and opacity, 0 to 1.
    shown
        The view.
    size
        Width and height of the image in pixels.
    side
        Of a bin, in the view's units.

    Returns
    -------
    (height, width, 4), 0 to 255: the mean of the colours in each pixel, by their opacity.
    """
    width, height = size
    # Bins that are not there are the last row: transparent.
    weighted = np.vstack([colors, np.zeros(4)]).astype(np.float32)
    weighted[:, :3] *= weighted[:, 3:]
    total = np.zeros((height, width, 4), dtype=np.float32)
    for part in range(SAMPLES**2):
        down, right = ((np.array(divmod(part, SAMPLES)) + 0.5) / SAMPLES).tolist()
        x = shown.left + (np.arange(width) + right) * shown.width / width
        y = shown.top + (np.arange(height) + down) * shown.height / height
        across, along = np.meshgrid(x, y)
        total += weighted[grid.at(across, along, side / grid.pitch)]
    opacity = total[..., 3:]
    total[..., :3] = np.divide(total[..., :3], opacity, out=np.zeros_like(total[..., :3]), where=opacity > 0)
    total[..., 3] /= SAMPLES**2
    image: NDArray[np.uint8] = np.rint(total * 255).astype(np.uint8)
    return image


def draw(axes: Axes, grid: Grid, colors: NDArray[np.float64], shown: View, side: float) -> None:
    """Draw bins into axes of the view, in as many pixels as the figure has there."""
    box = axes.get_window_extent()
    scale = min(1.0, MOST_PIXELS / max(box.width, box.height))
    size = (max(1, round(box.width * scale)), max(1, round(box.height * scale)))
    axes.imshow(
        raster(grid, colors, shown, size, side),
        extent=(shown.left, shown.right, shown.bottom, shown.top),
        interpolation="none",
        zorder=2,
    )
