"""The third coordinate of a spot: the colour of the tissue around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialrun.errors import DataError
from spatialrun.methods.neighbors import checked_places

Array = NDArray[np.float64]
BAND = 512
"""Rows of spots whose windows are summed at once."""


def histology_coordinate(
    coordinates: ArrayLike,
    image: NDArray[np.generic],
    scale: float,
    *,
    beta: float = 49.0,
    alpha: float = 1.0,
) -> Array:
    """Colour around every spot, as a length comparable with x and y.

    Parameters
    ----------
    coordinates
        (N, 2): x, y in full-resolution pixels.
    image
        (C, rows, columns): C channels; rows are y, columns x.
    scale
        Pixels of ``image`` per full-resolution pixel (``tissue_lowres_scalef`` and its like).
    beta
        Side of the window in full-resolution pixels: 2 round(beta/2) + 1, scaled to the image. What lies outside
        the image is left out of the window.
    alpha
        Weight of the colour: z spreads alpha times as far as the wider of x and y.

    Returns
    -------
    (N,) float64. All zero where the image has one colour.

    Raises
    ------
    DataError
        ``data.image``: not (C, rows, columns), or spots outside of it. ``data.coordinates``: not finite.

    Notes
    -----
    c = Σ c_k var_k / Σ var_k over channels k with c_k the window's mean; z = (c - mean)/std x max(std x, std y) x
    alpha. Means come from running sums, so beta costs nothing.
    """
    places = checked_places(coordinates)
    if image.ndim != 3 or 0 in image.shape:
        raise DataError("data.image", f"an image of shape {image.shape}: (channels, rows, columns) is needed")
    colour = _window_means(image, places * scale, round(beta / 2) * scale)
    variance = colour.var(axis=1)
    if not variance.any():
        return np.zeros(len(places))
    mixed = variance @ colour / variance.sum()
    spread = places.std(axis=0).max()
    z: Array = (mixed - mixed.mean()) / mixed.std() * spread * alpha
    return z


def _window_means(image: NDArray[np.generic], centres: Array, half: float) -> Array:
    """Mean colour (C, N) of windows of ``half`` pixels to each side of ``centres``, (x, y) each."""
    n_channels, n_rows, n_columns = image.shape
    column, row = np.floor(centres).astype(np.int64).T
    outside = (column < 0) | (row < 0) | (column >= n_columns) | (row >= n_rows)
    if outside.any():
        raise DataError(
            "data.image",
            f"{outside.sum()} of {len(centres)} spots lie outside of the image ({n_rows} x {n_columns} pixels)",
            hint="Do the image and the spots' coordinates belong together, and is the scale factor this image's?",
        )
    reach = round(half)
    top, bottom = np.maximum(row - reach, 0), np.minimum(row + reach + 1, n_rows)
    left, right = np.maximum(column - reach, 0), np.minimum(column + reach + 1, n_columns)
    area = (bottom - top) * (right - left)
    means = np.empty((n_channels, len(centres)))
    # Sums of the windows of some rows at a time: of a large image they would take eight times its memory.
    for first in range(int(row.min()), int(row.max()) + 1, BAND):
        mine = np.flatnonzero((row >= first) & (row < first + BAND))
        if not len(mine):
            continue
        above, below = int(top[mine].min()), int(bottom[mine].max())
        up, down = top[mine] - above, bottom[mine] - above
        for channel, mean in zip(image, means, strict=True):
            sums = np.zeros((below - above + 1, n_columns + 1))
            np.cumsum(np.cumsum(channel[above:below], axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
            inside = (
                sums[down, right[mine]]
                - sums[up, right[mine]]
                - sums[down, left[mine]]
                + sums[up, left[mine]]
            )
            mean[mine] = inside / area[mine]
    return means
