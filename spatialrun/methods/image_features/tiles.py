"""A window of the tissue image for every spot, cut from memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialrun.errors import DataError
from spatialrun.methods.neighbors import checked_places

FEWEST_PIXELS = 3
"""Side of the smallest window in which there is anything to see."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """Square windows around N spots; at the image's edge its outermost pixels go on.

    Attributes
    ----------
    image
        (rows, columns, 3) uint8.
    top, left
        (N,) first row and column, which may lie outside of the image.
    side
        Pixels of the image.
    """

    image: NDArray[np.uint8]
    top: NDArray[np.int64]
    left: NDArray[np.int64]
    side: int

    def __len__(self) -> int:
        return len(self.top)

    def windows(self, plane: NDArray[np.generic], start: int, stop: int) -> NDArray[np.generic]:
        """Windows of some spots in any plane of the image's size: (spots, side, side, ...)."""
        along = np.arange(self.side)
        rows = np.clip(self.top[start:stop, None] + along, 0, plane.shape[0] - 1)
        columns = np.clip(self.left[start:stop, None] + along, 0, plane.shape[1] - 1)
        found: NDArray[np.generic] = plane[rows[:, :, None], columns[:, None, :]]
        return found

    def batches(self, size: int) -> Iterator[tuple[int, NDArray[np.generic]]]:
        """Number of the first spot, and the windows of the image, (spots, side, side, 3), one batch at a time."""
        for start in range(0, len(self), size):
            yield start, self.windows(self.image, start, min(start + size, len(self)))


def tiles(image: NDArray[np.generic], coordinates: ArrayLike, scale: float, tile_size: float) -> Tiles:
    """Windows of an image around spots.

    Parameters
    ----------
    image
        (3, rows, columns): red, green and blue; integers of 0 to 255, or floats of 0 to 1.
    coordinates
        (N, 2): x, y in full-resolution pixels.
    scale
        Pixels of ``image`` per full-resolution pixel.
    tile_size
        Side of a window in full-resolution pixels.

    Raises
    ------
    DataError
        ``data.image``: not (3, rows, columns), spots outside of it, or windows of less than 3 pixels.
        ``data.coordinates``: not finite.
    """
    places = checked_places(coordinates)
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise DataError("data.image", f"an image of shape {image.shape}: (3, rows, columns) is needed")
    side = round(tile_size * scale)
    if side < FEWEST_PIXELS:
        raise DataError(
            "data.image",
            f"a tile of {tile_size:g} full-resolution pixels is {tile_size * scale:.1f} of this image: too few",
            hint="Take a larger image, or raise `tile_size`.",
        )
    _, n_rows, n_columns = image.shape
    column, row = np.floor(places * scale).astype(np.int64).T
    outside = int(((column < 0) | (row < 0) | (column >= n_columns) | (row >= n_rows)).sum())
    if outside:
        raise DataError(
            "data.image",
            f"{outside} of {len(places)} spots lie outside of the image ({n_rows} x {n_columns} pixels)",
            hint="Do the image and the spots' coordinates belong together, and is the scale factor this image's?",
        )
    pixels = image if image.dtype == np.uint8 else _bytes(image)
    return Tiles(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)), row - side // 2, column - side // 2, side)


def _bytes(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    values = image.astype(np.float64)
    if image.dtype.kind == "f":
        values = values * 255.0
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def leading(features: NDArray[np.floating], n_components: int) -> NDArray[np.float32]:
    """The components of features (N, F) that vary most, (N, min(n_components, F, N)) float32."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    kept = vectors[:, ::-1][:, : min(n_components, len(features))]
    largest = np.abs(kept).argmax(axis=0)
    turned = kept * np.sign(kept[largest, np.arange(kept.shape[1])])
    found: NDArray[np.float32] = (centred @ turned).astype(np.float32)
    return found
