"""From counts to standardised expression that stays sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError
from spatialrun.methods.variable import rank, vst

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix, csr_matrix

DEPTH = 1e4
"""Counts of a spot after normalisation."""
CLIP = 10.0
"""Largest absolute z-score."""
TREND_SPOTS = 50_000
"""Most spots of a sample that the trend of variance on mean is fitted to."""


def variable_genes(counts: Sequence[Any], n_genes: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark the genes that vary most: by mean rank over samples.

    Parameters
    ----------
    counts
        (N_s, G) CSC of each sample, raw, on the same genes.
    n_genes
        How many; all where there are fewer.
    rng
        Chooses spots of samples above 50,000.

    Returns
    -------
    (G,) bool.
    """
    if n_genes >= counts[0].shape[1]:
        return np.ones(counts[0].shape[1], dtype=bool)
    ranks = [rank(vst(_some_spots(sample, rng)).variances_norm) for sample in counts]
    chosen: NDArray[np.bool_] = rank(-np.mean(ranks, axis=0)) <= n_genes
    return chosen


def _some_spots(counts: csc_matrix, rng: np.random.Generator) -> csc_matrix:
    n_spots = counts.shape[0]
    if n_spots <= TREND_SPOTS:
        return counts
    return counts[np.sort(rng.choice(n_spots, TREND_SPOTS, replace=False))]


def lognorm(counts: csc_matrix, columns: NDArray[np.intp]) -> csc_matrix:
    """log1p of some genes at 10,000 counts a spot; depth is counted over all genes: (N, columns) float32."""
    from scipy.sparse import csc_matrix

    # Without any counts bincount forgets that weights are floats.
    depth = np.bincount(counts.indices, counts.data, counts.shape[0]).astype(np.float64)
    factor = np.divide(DEPTH, depth, out=np.zeros_like(depth), where=depth > 0)
    chosen = counts[:, columns]
    data = np.log1p(chosen.data * factor[chosen.indices]).astype(np.float32)
    return csc_matrix((data, chosen.indices, chosen.indptr), shape=chosen.shape)


def standardised(lognorms: Sequence[csc_matrix]) -> csr_matrix:
    """z-scores of all samples' spots, clipped at ±10, up to a constant of each gene: (N, G') float32.

    The z-score of an absent count is one number for a gene, z₀. What is stored is z - z₀: zero for absent counts,
    and centring it gives the centred z-scores, clipped ones too. Genes that do not vary are left out.

    Raises
    ------
    DataError
        ``data.values`` when no gene varies.
    """
    from scipy.sparse import csc_matrix, vstack

    X = lognorms[0] if len(lognorms) == 1 else vstack(lognorms, format="csc")
    n_spots, n_genes = X.shape
    gene = np.repeat(np.arange(n_genes), np.diff(X.indptr))
    mean = np.bincount(gene, X.data, n_genes) / n_spots
    absent = n_spots - np.diff(X.indptr)
    deviations = np.bincount(gene, (X.data - mean[gene]) ** 2, n_genes) + absent * mean**2
    scale = np.sqrt(deviations / max(n_spots - 1, 1))
    varies = scale > 1e-6 * np.maximum(mean, 1e-6)
    if not varies.any():
        raise DataError(
            "data.values",
            f"all {n_genes} genes have the same value in all {n_spots} spots",
            hint="Is the layer one of counts?",
        )
    scale[~varies] = 1.0
    z0 = np.maximum(-mean / scale, -CLIP)
    z = np.clip((X.data - mean[gene]) / scale[gene], -CLIP, CLIP) - z0[gene]
    shifted = csc_matrix((z.astype(np.float32), X.indices, X.indptr), shape=X.shape)
    return (shifted if varies.all() else shifted[:, np.flatnonzero(varies)]).tocsr()
