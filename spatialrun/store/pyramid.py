"""Images in levels: each half the size of the one before, in tiles that are read one by one.

A figure of a thousand pixels needs no twenty thousand. Levels are means of 2 x 2 pixels of the level before, so
they say nothing that level 0 does not: an image's digest is that of level 0 alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import zarr

SMALLEST = 1024
"""A level whose longer side has at most so many pixels is the last."""
TILE = 512
SHARD_TILES = 4
"""Tiles along each side of what is written at once."""


def sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of every level, the whole image first."""
    found = [(height, width)]
    while max(found[-1]) > SMALLEST:
        found.append((-(-found[-1][0] // 2), -(-found[-1][1] // 2)))
    return found


def tiling(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Chunks and shards of a level (c, y, x); no shards where a chunk holds the whole."""
    channels, height, width = shape
    side = TILE * SHARD_TILES
    chunk = (1, max(1, min(TILE, height)), max(1, min(TILE, width)))
    if channels <= 1 and height <= TILE and width <= TILE:
        return chunk, None
    # A shard is a whole number of chunks along each side.
    tiles = [
        max(1, -(-min(side, size) // part)) for size, part in zip((height, width), chunk[1:], strict=True)
    ]
    return chunk, (max(1, channels), tiles[0] * chunk[1], tiles[1] * chunk[2])


def halve(pixels: np.ndarray) -> np.ndarray:
    """(c, y, x) to half its size, rounded up: means of 2 x 2 pixels, of 2 x 1 at an odd edge."""
    import numpy as np

    _, height, width = pixels.shape
    padded = np.pad(pixels, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    small = pixels.dtype.kind in "bu" and pixels.dtype.itemsize < 4
    wide: np.ndarray[Any, np.dtype[Any]] = padded.astype(np.uint32 if small else np.float64)
    total = wide[:, ::2, ::2] + wide[:, 1::2, ::2] + wide[:, ::2, 1::2] + wide[:, 1::2, 1::2]
    mean = (total + 2) // 4 if small else total / 4
    if pixels.dtype.kind == "i":
        mean = np.rint(mean)
    half: np.ndarray = mean.astype(pixels.dtype)
    return half


def stripes(height: int) -> Iterator[tuple[int, int]]:
    """Rows that are written at once: those of a shard."""
    side = TILE * SHARD_TILES
    for start in range(0, height, side):
        yield start, min(start + side, height)


def fill(levels: Sequence[zarr.Array]) -> None:
    """Fill every level but the first from the one before, a stripe of shards at a time."""
    import numpy as np

    for finer, coarser in pairwise(levels):
        for start, stop in stripes(coarser.shape[1]):
            coarser[:, start:stop] = halve(np.asarray(finer[:, 2 * start : 2 * stop]))


def enough(widths: Sequence[tuple[int, int]], least: float) -> int:
    """Which level to read: the coarsest whose longer side has at least so many pixels, else the finest."""
    return max([0, *(number for number, size in enumerate(widths) if max(size) >= least)])
