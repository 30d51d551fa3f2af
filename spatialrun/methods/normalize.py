"""Normalisation of counts to a common depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix


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

    # Without any counts bincount forgets that weights are floats.
    total = np.bincount(counts.indices, counts.data, counts.shape[0]).astype(np.float64)
    occupied = total > 0
    if target_sum is None:
        target_sum = float(np.median(total[occupied])) if occupied.any() else 1.0
    factor = np.divide(target_sum, total, out=np.zeros_like(total), where=occupied)
    data = (counts.data * factor[counts.indices]).astype(np.float32)
    return csc_matrix((data, counts.indices, counts.indptr), shape=counts.shape)


def log1p(matrix: csc_matrix) -> csc_matrix:
    """Natural logarithm of 1 + x of every element: (N, G) in the type of ``matrix``, zeros stay unstored."""
    from scipy.sparse import csc_matrix

    return csc_matrix((np.log1p(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
