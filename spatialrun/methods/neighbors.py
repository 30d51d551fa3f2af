"""Spots next to each other in space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialrun.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def checked_places(coordinates: ArrayLike) -> Array:
    """Coordinates as (N, D) float64.

    Raises
    ------
    DataError
        ``data.coordinates`` when there are none, or some are not finite.
    """
    places = np.ascontiguousarray(coordinates, dtype=np.float64)
    if places.ndim != 2 or len(places) == 0:
        raise DataError("data.coordinates", f"coordinates of shape {places.shape}: (spots, 2) is needed")
    bad = int((~np.isfinite(places)).any(axis=1).sum())
    if bad:
        raise DataError(
            "data.coordinates",
            f"{bad} of {len(places)} spots have coordinates that are NaN or infinite",
            hint="Remove these spots, or correct the positions file.",
        )
    return places


def nearest(coordinates: ArrayLike, k: int) -> Ints:
    """The k nearest other spots of every spot, nearest first.

    Parameters
    ----------
    coordinates
        (N, D), any unit.
    k
        How many; N - 1 where there are fewer.

    Returns
    -------
    (N, min(k, N - 1)) int64.
    """
    from scipy.spatial import cKDTree

    places = checked_places(coordinates)
    k = min(k, len(places) - 1)
    _, found = cKDTree(places).query(places, k=np.arange(1, k + 2))
    # Where spots share a place, a spot need not be its own first neighbour, nor among the k + 1 at all.
    other = found != np.arange(len(places))[:, None]
    other[other.all(axis=1), -1] = False
    neighbors: Ints = found[other].reshape(len(places), k).astype(np.int64)
    return neighbors


RING = 1.2
"""Times the distance of the nearest: up to where spots of a lattice are next to each other. The second ring is at
1.41 times that distance on a square lattice, at 1.73 times on a hexagonal one."""
REGULAR = 0.1, 0.9
"""Of a lattice, the nearest spot's distance is the same to 10%, at 90% of the spots."""
LOOKED_AT = 10_000


def ring(coordinates: ArrayLike, *, regular: bool = False) -> csr_matrix | None:
    """The spots of a lattice that are next to each other: (N, N), 1 for each such pair.

    Parameters
    ----------
    coordinates
        (N, D), any unit.
    regular
        Return None where the spots do not lie on a lattice.
    """
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    places = checked_places(coordinates)
    tree = cKDTree(places)
    some = places[np.linspace(0, len(places) - 1, min(len(places), LOOKED_AT)).astype(int)]
    distance = tree.query(some, k=2)[0][:, 1]
    step = float(np.median(distance))
    if not (np.isfinite(step) and step > 0.0):  # a single spot, or most of them at one place
        return None if regular else csr_matrix((len(places), len(places)))
    if regular and np.mean(np.abs(distance - step) <= REGULAR[0] * step) < REGULAR[1]:
        return None
    pairs = tree.query_pairs(RING * step, output_type="ndarray")
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(places), len(places)))


def nearest_within(samples: Sequence[ArrayLike], k: int) -> list[Ints]:
    """`nearest` in each sample of a cohort, numbered over the spots of all samples."""
    found, start = [], 0
    for coordinates in samples:
        neighbors = nearest(coordinates, k)
        found.append(neighbors + start)
        start += len(neighbors)
    return found


def mean_of(neighbors: Sequence[Ints]) -> csr_matrix:
    """W of a cohort: row i takes the mean over the neighbours of spot i; (N, N), block diagonal.

    Parameters
    ----------
    neighbors
        From `nearest_within`.
    """
    from scipy.sparse import csr_matrix

    n_spots = sum(len(block) for block in neighbors)
    counts = np.concatenate([np.full(len(block), block.shape[1]) for block in neighbors])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = np.concatenate([block.ravel() for block in neighbors])
    data = np.repeat(1.0 / np.maximum(counts, 1), counts)
    return csr_matrix((data, indices, indptr), shape=(n_spots, n_spots))
