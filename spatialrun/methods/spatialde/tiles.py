"""Features of kernels as the gene blocks take them: some at a time, for all spots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.score_kernels import TILE

Array = NDArray[np.float64]

# Of the trace, left out: Q of a gene that follows nothing else is wrong by N times that, relative to e.
RESIDUAL = 1e-10


def compressed(F: Array) -> Array:
    """The fewest columns whose products are those of ``F`` (N, R) less its mean, but for ``RESIDUAL``.

    Σ v = 0 at the maximum likelihood: the means drop out of F'v, and with them what would cancel.
    """
    centred = F - F.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    held = np.cumsum(np.maximum(values, 0.0))
    found: Array = centred @ vectors[:, held > RESIDUAL * held[-1]][:, ::-1]
    return found


def tiled(features: dict[int, Array], psi: Array, single: Sequence[Array] = ()) -> dict[str, NDArray[Any]]:
    """``features`` (N, R) of some kernels in tiles, the last one padded with zeros, and each one's kernel.

    Of ``single`` (N, C) each column is wanted by itself: their places are -1, -2 ... Below the spots are the ψ
    (N, B) of the weights. ``features`` is emptied on the way: there may be no room for them twice.
    """
    n_spots, n_basis = psi.shape
    owner = np.repeat(np.array(list(features), np.int64), [part.shape[1] for part in features.values()])
    owner = np.append(owner, -1 - np.arange(sum(part.shape[1] for part in single)))
    n_tiles = -(-len(owner) // TILE)
    tiles = np.zeros((n_tiles, n_spots + n_basis, TILE))
    column = 0
    for kernel in [*features, *range(-len(single), 0)]:
        F = features.pop(kernel) if kernel >= 0 else single[kernel]
        below = psi.T @ F
        for j in range(F.shape[1]):
            tile, place = divmod(column + j, TILE)
            tiles[tile, :n_spots, place] = F[:, j]
            tiles[tile, n_spots:, place] = below[:, j]
        column += F.shape[1]
    padded = np.append(owner, np.zeros(n_tiles * TILE - len(owner), np.int64))
    return {"features": tiles, "tile_kernel": padded}
