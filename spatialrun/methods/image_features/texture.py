"""Colour and texture of tiles: what can be said of stained tissue without a trained network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.image_features.tiles import Tiles

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]

LEVELS = 16
"""Of grey, among which neighbouring pixels are counted."""
POINTS, RADIUS = 8, 1
"""Of local binary patterns."""
BATCH = 256


def texture(tiles: Tiles, progress: Progress = lambda *_: None) -> Array:
    """Standardised features of every tile, (N, F).

    Parameters
    ----------
    tiles
        The windows.
    progress
        Told how many of how many tiles are done.

    Notes
    -----
    Of red, green, blue and of the stains (haematoxylin and eosin, deconvolved as Ruifrok & Johnston 2001 do):
    mean and standard deviation, and the stains' deciles 1 and 9. Of haematoxylin: contrast, homogeneity, energy
    and correlation of neighbouring pixels (Haralick 1973), and the frequencies of uniform local binary patterns
    (Ojala 2002). Features that do not vary are 0.
    """
    from skimage.color import rgb2hed
    from skimage.feature import local_binary_pattern

    stains = rgb2hed(tiles.image)[..., :2].astype(np.float32)
    grey = _levels(stains[..., 0])
    patterns = local_binary_pattern(grey, POINTS, RADIUS, method="uniform").astype(np.uint8)
    parts = []
    for start in range(0, len(tiles), BATCH):
        stop = min(start + BATCH, len(tiles))
        colours = tiles.windows(tiles.image, start, stop).astype(np.float64).reshape(stop - start, -1, 3)
        stained = tiles.windows(stains, start, stop).astype(np.float64).reshape(stop - start, -1, 2)
        deciles = np.percentile(stained, [10, 90], axis=1)
        own = [colours.mean(axis=1), colours.std(axis=1), stained.mean(axis=1), stained.std(axis=1), *deciles]
        own.append(_neighbouring(tiles.windows(grey, start, stop)))
        kinds = tiles.windows(patterns, start, stop).reshape(stop - start, -1)
        own.append(np.stack([(kinds == kind).mean(axis=1) for kind in range(POINTS + 2)], axis=1))
        parts.append(np.hstack(own))
        progress(stop, len(tiles), "tiles")
    features = np.concatenate(parts)
    spread = features.std(axis=0)
    varies = spread > 1e-9
    standardised: Array = (features - features.mean(axis=0)) * varies / np.where(varies, spread, 1.0)
    return standardised


def _levels(plane: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = np.percentile(plane, [1, 99])
    share = (plane - low) / (high - low if high > low else 1.0)
    levels: NDArray[np.uint8] = np.clip(share * LEVELS, 0, LEVELS - 1).astype(np.uint8)
    return levels


def _neighbouring(windows: NDArray[np.generic]) -> Array:
    """Contrast, homogeneity, energy and correlation of pixels beside and below each other: (N, 4)."""
    from skimage.feature import graycomatrix, graycoprops

    found = []
    for window in windows:
        counts = graycomatrix(window, [1], [0, np.pi / 2], levels=LEVELS, symmetric=True, normed=True)
        found.append(
            [
                graycoprops(counts, name).mean()
                for name in ("contrast", "homogeneity", "energy", "correlation")
            ]
        )
    return np.array(found)
