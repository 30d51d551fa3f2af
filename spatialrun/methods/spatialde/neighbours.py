"""Kernels so short that each spot has few neighbours: their matrix is sparse."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from spatialrun.methods.spatialde.columns import Columns

Array = NDArray[np.float64]

REACH = 6.8  # lengthscales; beyond them the kernel is below 1e-10


@dataclass(frozen=True)
class NeighbourKernel:
    """The squared exponential kernel, or a power of it, over pairs of near spots.

    Attributes
    ----------
    upper
        (N, N) CSR, K_ij for i < j.
    """

    upper: csr_matrix

    @classmethod
    def of(cls, coordinates: Array, lengthscale: float) -> NeighbourKernel:
        """Of spots at ``coordinates`` (N, 2)."""
        pairs = cKDTree(coordinates).query_pairs(REACH * lengthscale, output_type="ndarray")
        pairs.sort(axis=1)
        difference = coordinates[pairs[:, 0]] - coordinates[pairs[:, 1]]
        value = np.exp(-np.square(difference).sum(axis=1) / (2.0 * lengthscale**2))
        upper = csr_matrix((value, (pairs[:, 0], pairs[:, 1])), shape=(len(coordinates),) * 2)
        upper.sort_indices()
        return cls(upper)

    def power(self, exponent: int) -> NeighbourKernel:
        """Every element to that power."""
        upper = self.upper
        return NeighbourKernel(csr_matrix((upper.data**exponent, upper.indices, upper.indptr), upper.shape))

    def of_lanes(self, H: Array) -> Array:
        """K H of an array (N, C)."""
        found: Array = H + self.upper @ H + self.upper.T @ H
        return found

    def times(self, H: Columns, pool: Executor) -> Array:
        """K H, (N, C)."""
        return H.applied(self.of_lanes, pool)

    def gram(self, H: Columns, pool: Executor) -> Array:
        """H'K H, (C, C)."""
        found, applied = np.zeros((H.shape[1],) * 2), self.times(H, pool)
        for part in H.parts():
            found += H.rows(part).T @ applied[part]
        return found


def mean_neighbours(coordinates: Array, lengthscale: float) -> float:
    """How many other spots a spot reaches, on average of 2,000 of them."""
    tree = cKDTree(coordinates)
    some = coordinates[np.linspace(0, len(coordinates) - 1, min(len(coordinates), 2000)).astype(int)]
    return float(tree.query_ball_point(some, REACH * lengthscale, return_length=True).mean()) - 1.0
