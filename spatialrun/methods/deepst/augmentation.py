"""Expression with a share of the most alike neighbours' added, and its components: sparse from end to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError
from spatialrun.methods.neighbors import Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = NDArray[np.float64]

BLOCK_SPOTS = 8192
"""Spots whose candidates are compared at once."""


def similarity_weights(
    scores: Array,
    neighbors: Sequence[Ints],
    neighbour_k: int,
    *,
    keep_nearest: bool,
    features: Array | None = None,
) -> csr_matrix:
    """S: row i holds the weights of the neighbours that spot i takes expression from, (N, N), rows of sum 1.

    Parameters
    ----------
    scores
        (N, C) components of expression; spots are alike where their components correlate.
    neighbors
        Candidates of each sample, from ``neighbors.nearest_within``, numbered over all spots.
    neighbour_k
        Ranks by weight that are looked at.
    keep_nearest
        Whether the neighbours of ranks 1 to neighbour_k - 1 are taken, or of ranks 2 to neighbour_k, as the
        reference's slice does.
    features
        (N, F) of the tissue image: the weight is multiplied by their cosine, at least 0.

    Notes
    -----
    Weights below 0 count as 0 (the reference takes expression away from a spot then, down to negative counts). A
    row without any is left empty: that spot stays as it is.
    """
    from scipy.sparse import csr_matrix, vstack

    unit = _unit(scores - scores.mean(axis=1, keepdims=True))
    turned = None if features is None else _unit(features)
    rows = []
    first = 0
    for candidates in neighbors:
        for start in range(0, len(candidates), BLOCK_SPOTS):
            block = candidates[start : start + BLOCK_SPOTS]
            own = slice(first + start, first + start + len(block))
            weights = _products(unit, own, block)
            if turned is not None:
                weights *= np.maximum(_products(turned, own, block), 0.0)
            order = np.argsort(weights, axis=1, kind="stable")
            order = order[:, 1 - neighbour_k :] if keep_nearest else order[:, -neighbour_k:][:, :-1]
            kept = np.maximum(np.take_along_axis(weights, order, axis=1), 0.0)
            total = kept.sum(axis=1, keepdims=True)
            positive = total > 0
            kept = np.where(positive, kept / np.where(positive, total, 1.0), 0.0).astype(np.float32)
            columns = np.take_along_axis(block, order, axis=1)
            indptr = np.arange(0, columns.size + 1, columns.shape[1])
            rows.append(csr_matrix((kept.ravel(), columns.ravel(), indptr), shape=(len(block), len(scores))))
        first += len(candidates)
    S = vstack(rows, format="csr")
    S.eliminate_zeros()
    S.sort_indices()
    return S


def _unit(X: Array) -> Array:
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(length > 0, length, 1.0)


def _products(unit: Array, own: slice, candidates: Ints) -> Array:
    """Scalar products of a block of rows with its candidates, one candidate at a time: (block, k)."""
    products = np.empty(candidates.shape)
    for k, column in enumerate(candidates.T):
        products[:, k] = np.einsum("nc,nc->n", unit[own], unit[column])
    return products


def augmented(X: csr_matrix, S: csr_matrix, weight: float) -> csr_matrix:
    """X + weight S X, (N, G) float32 CSR."""
    result = (X + np.float32(weight) * (S @ X)).tocsr()
    result.sort_indices()
    return result


def scaled(X: csr_matrix, target_sum: float, clip: float | None) -> csr_matrix:
    """Depth, log1p, z-scores, up to a constant of each gene: (N, G') float32 CSR, zero where X is.

    Parameters
    ----------
    X
        (N, G) counts, augmented. It is overwritten.
    target_sum
        Total of a spot before the logarithm.
    clip
        Largest absolute z-score; ``None`` for none.

    Returns
    -------
    z - z₀ with z₀ the gene's z-score of an absent count: centred, it is the centred z-scores. Genes that do not
    vary are left out.

    Raises
    ------
    DataError
        ``data.values`` when no gene varies.
    """
    n_spots, n_genes = X.shape
    spot = np.repeat(np.arange(n_spots), np.diff(X.indptr))
    depth = np.bincount(spot, X.data, n_spots)
    factor = np.divide(target_sum, depth, out=np.zeros_like(depth), where=depth > 0)
    X.data = np.log1p(X.data * factor[spot]).astype(np.float32)
    del spot
    mean = np.bincount(X.indices, X.data, n_genes) / n_spots
    present = np.bincount(X.indices, minlength=n_genes)
    away = X.data - mean[X.indices]
    deviations = np.bincount(X.indices, away**2, n_genes) + (n_spots - present) * mean**2
    scale = np.sqrt(deviations / max(n_spots - 1, 1))
    varies = scale > 1e-6 * np.maximum(mean, 1e-12)
    if not varies.any():
        raise DataError(
            "data.values",
            f"all {n_genes} genes have the same value in all {n_spots} spots",
            hint="Is the layer one of counts?",
        )
    scale[~varies] = 1.0
    away /= scale[X.indices]
    z0 = -mean / scale
    if clip is not None:
        np.clip(away, -clip, clip, out=away)
        z0 = np.maximum(z0, -clip)
    X.data = (away - z0[X.indices]).astype(np.float32)
    return X if varies.all() else X[:, np.flatnonzero(varies)]


def as_rows(counts: Sequence[Any]) -> csr_matrix:
    """Counts of all samples as one float32 CSR."""
    from scipy.sparse import vstack

    stacked = counts[0] if len(counts) == 1 else vstack(counts, format="csc")
    return stacked.tocsr().astype(np.float32)
