"""Normalisation of counts to a common depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

TOGETHER = 4_000_000
"""Counts that are looked at together: what they are turned into for that takes several times their memory."""


def spot_totals(counts: csc_matrix) -> NDArray[np.float64]:
    """Sum of each spot's counts (N, G), CSC: (N,) float64, exact."""
    total = np.zeros(counts.shape[0])
    for start in range(0, len(counts.data), TOGETHER):
        part = slice(start, start + TOGETHER)
        total += np.bincount(counts.indices[part], counts.data[part], counts.shape[0])
    return total


def spot_breadths(counts: csc_matrix) -> NDArray[np.int32]:
    """Genes of which each spot has a count (N, G), CSC without stored zeros: (N,) int32."""
    breadth = np.zeros(counts.shape[0], np.int32)
    for start in range(0, len(counts.indices), TOGETHER):
        breadth += np.bincount(counts.indices[start : start + TOGETHER], minlength=len(breadth)).astype(
            np.int32
        )
    return breadth


def depth_factors(total: NDArray[np.float64], target_sum: float) -> NDArray[np.float64]:
    """What brings spots of these totals (N,) to ``target_sum`` counts: (N,); 0 for spots without any."""
    return np.divide(target_sum, total, out=np.zeros_like(total), where=total > 0)


def to_depth(counts: csc_matrix, target_sum: float | None = 1e4) -> csc_matrix:
    """Scale every spot to the same total.

    Parameters
    ----------
    counts
        (N, G) counts, CSC.
    target_sum
        The total of every spot afterwards, in counts; ``None`` for the median of the spots that have any.

    Returns
    -------
    (N, G) float32, CSC with the index arrays of ``counts``; spots without counts stay all zero.

    Notes
    -----
    As ``scanpy.pp.normalize_total``, whose median may count empty spots too. Factors are float64: sums of counts
    are exact, whatever their order.
    """
    from scipy.sparse import csc_matrix

    total = spot_totals(counts)
    if target_sum is None:
        occupied = total > 0
        target_sum = float(np.median(total[occupied])) if occupied.any() else 1.0
    factor = depth_factors(total, target_sum)
    data = np.empty(len(counts.data), np.float32)
    for start in range(0, len(counts.data), TOGETHER):
        part = slice(start, start + TOGETHER)
        data[part] = counts.data[part] * factor[counts.indices[part]]
    return csc_matrix((data, counts.indices, counts.indptr), shape=counts.shape)


def log1p(matrix: csc_matrix) -> csc_matrix:
    """Natural logarithm of 1 + x of every element: (N, G) in the type of ``matrix``, zeros stay unstored."""
    from scipy.sparse import csc_matrix

    return csc_matrix((np.log1p(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
