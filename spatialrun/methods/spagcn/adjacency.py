"""The graph of a sample: Gaussian weights between spots, never as a matrix of all pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

Array = NDArray[np.float64]

REACH = 6.1
"""Lengths l beyond which a weight is below 1e-8."""
BLOCK = 8192
"""Spots whose neighbours are held at once."""
SAMPLED = 20_000
"""Most spots that the mean weight is measured at."""
SHORTEST, LONGEST = 0.01, 1000.0
"""The reference's bracket of l; doubled until it holds l, so that recommended values agree with its."""
TOLERANCE = 0.01


def length_scale(places: Array, p: float) -> float:
    """The l at which the others' weights around a spot sum to p on average.

    Parameters
    ----------
    places
        (N, D) coordinates.
    p
        Mean over spots i of Σ_{j≠i} exp(-d_ij²/(2 l²)); below N - 1.

    Raises
    ------
    DataError
        ``data.values`` when no l gives p: fewer than p + 1 spots, or too many at one place.

    Notes
    -----
    Bisection to within 0.01 of p, as the reference's ``search_l``. Sums are over the nearest neighbours, as many
    as decide: what is left out only adds to the sum.
    """
    mean_weight = _MeanWeight(places)
    low, high = SHORTEST, LONGEST
    if p >= len(places) - 1:
        raise DataError(
            "data.values",
            f"p = {p:g} asks for more neighbours than the {len(places) - 1} other spots",
            hint="Lower `p`.",
        )
    while mean_weight(high, p) < p - TOLERANCE:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2
        reached = mean_weight(middle, p)
        if abs(reached - p) <= TOLERANCE:
            return middle
        low, high = (middle, high) if reached < p else (low, middle)
    raise DataError(
        "data.values",
        f"no length gives p = {p:g}: too many spots share their places",
        hint="Are the coordinates those of the spots' centres?",
    )


class _MeanWeight:
    """Mean sum of weights, from as many nearest neighbours as it takes."""

    def __init__(self, places: Array) -> None:
        from scipy.spatial import cKDTree

        self.tree = cKDTree(places)
        self.sampled = places[:: max(1, -(-len(places) // SAMPLED))]
        self.k = 0
        self.distances = np.empty((len(self.sampled), 0))

    def __call__(self, length: float, p: float) -> float:
        """At ``length``: exact to 1e-7 where it is near p or below it, otherwise some value above p."""
        while True:
            squares = np.square(self.distances / length)
            mean = float(np.exp(-0.5 * squares).sum(axis=1).mean())
            complete = self.k == self.tree.n - 1
            reaches = self.k > 0 and self.distances[:, -1].min() >= REACH * length
            if mean > p + TOLERANCE or complete or reaches:
                return mean
            self._widen()

    def _widen(self) -> None:
        self.k = min(max(16, 2 * self.k), self.tree.n - 1)
        self.distances = self.tree.query(self.sampled, k=np.arange(2, self.k + 2))[0]


def aggregate(places: Array, length: float, X: Array) -> Array:
    """H = A X with A_ij = exp(-d_ij²/(2 l²)), the spot itself included: (N, C) float64.

    Parameters
    ----------
    places
        (N, D).
    length
        l, in the unit of ``places``.
    X
        (N, C).
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(places)
    blocks = (slice(start, start + BLOCK) for start in range(0, len(places), BLOCK))
    return np.concatenate([_weights(tree, places[block], length) @ X for block in blocks])


def _weights(tree: cKDTree, places: Array, length: float) -> csr_matrix:
    """Rows of A for ``places``."""
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    pairs = cKDTree(places).sparse_distance_matrix(tree, REACH * length, output_type="ndarray")
    weights = np.exp(-0.5 * np.square(pairs["v"] / length))
    return csr_matrix((weights, (pairs["i"], pairs["j"])), shape=(len(places), tree.n))
