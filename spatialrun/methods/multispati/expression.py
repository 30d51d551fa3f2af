"""From counts to standardised expression that stays sparse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError
from spatialrun.methods.normalize import depth_factors, spot_totals
from spatialrun.methods.variable import rank, vst

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

Columns = NDArray[np.intp]

DEPTH = 1e4
"""Counts of a spot after normalisation."""
CLIP = 10.0
"""Largest absolute z-score."""
NONZEROS = 4_000_000
"""Counts that are standardised together."""
TREND_SPOTS = 50_000
"""Most spots of a sample that the trend of variance on mean is fitted to."""


def variable_genes(
    counts: Sequence[Any], columns: Sequence[Columns], n_genes: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Mark the genes that vary most: by mean rank over samples.

    Parameters
    ----------
    counts
        (N_s, G_s) CSC of each sample, raw.
    columns
        (G,) columns of the same G genes in each sample.
    n_genes
        How many; all where there are fewer.
    rng
        Chooses spots of samples above 50,000.

    Returns
    -------
    (G,) bool.
    """
    if n_genes >= len(columns[0]):
        return np.ones(len(columns[0]), dtype=bool)
    ranks = [
        rank(vst(_some_spots(own, rng)[:, on]).variances_norm)
        for own, on in zip(counts, columns, strict=True)
    ]
    chosen: NDArray[np.bool_] = rank(-np.mean(ranks, axis=0)) <= n_genes
    return chosen


def _some_spots(counts: csc_matrix, rng: np.random.Generator) -> csc_matrix:
    n_spots = counts.shape[0]
    if n_spots <= TREND_SPOTS:
        return counts
    return counts[np.sort(rng.choice(n_spots, TREND_SPOTS, replace=False))]


def lognorm(counts: csc_matrix, factor: NDArray[np.float64], columns: Columns) -> csc_matrix:
    """log1p of some genes at the depth that ``factor`` (N,) gives: (N, columns) float32."""
    from scipy.sparse import csc_matrix

    chosen = counts[:, columns]
    data = np.log1p(chosen.data * factor[chosen.indices]).astype(np.float32)
    return csc_matrix((data, chosen.indices, chosen.indptr), shape=chosen.shape)


def standardised(counts: Sequence[Any], columns: Sequence[Columns]) -> csc_matrix:
    """`z_scores` of the normalised counts of all samples' spots: (N, G') float32.

    Parameters
    ----------
    counts
        (N_s, G_s) CSC of each sample, raw.
    columns
        (G,) columns of the same G genes in each sample.

    Returns
    -------
    Genes that do not vary are left out. Besides the result there are never more than a few genes in memory.

    Raises
    ------
    DataError
        ``data.values`` when no gene varies.
    """
    from scipy.sparse import csc_matrix

    factor = [depth_factors(spot_totals(own), DEPTH) for own in counts]
    stored = sum(np.diff(own.indptr)[on] for own, on in zip(counts, columns, strict=True))
    ends = np.cumsum(stored)
    data, indices = np.empty(ends[-1], np.float32), np.empty(ends[-1], np.int32)
    lengths = []
    filled = 0
    for genes in _blocks(ends):
        samples = zip(counts, factor, columns, strict=True)
        z = z_scores([lognorm(own, scale, on[genes]) for own, scale, on in samples])
        place = slice(filled, filled := filled + z.nnz)
        data[place], indices[place] = z.data, z.indices
        lengths.append(np.diff(z.indptr))
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    n_spots = sum(own.shape[0] for own in counts)
    if len(indptr) == 1:
        raise DataError(
            "data.values",
            f"all {len(ends)} genes have the same value in all {n_spots} spots",
            hint="Is the layer one of counts?",
        )
    return csc_matrix((data[:filled], indices[:filled], indptr), shape=(n_spots, len(indptr) - 1))


def _blocks(ends: NDArray[np.int64]) -> Iterator[slice]:
    """Genes in order, so many together that they have some millions of counts."""
    block = ends // NONZEROS
    for start in np.flatnonzero(np.diff(block, prepend=-1)):
        yield slice(start, int(np.searchsorted(block, block[start], side="right")))


def z_scores(lognorms: Sequence[csc_matrix]) -> csc_matrix:
    """z-scores of all samples' spots, clipped at ±10, up to a constant of each gene: (N, G') float32.

    The z-score of an absent count is one number for a gene, z₀. What is stored is z - z₀: zero for absent counts,
    and centring it gives the centred z-scores, clipped ones too. Genes that do not vary are left out.
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
    scale[~varies] = 1.0
    z0 = np.maximum(-mean / scale, -CLIP)
    z = np.clip((X.data - mean[gene]) / scale[gene], -CLIP, CLIP) - z0[gene]
    shifted = csc_matrix((z.astype(np.float32), X.indices, X.indptr), shape=X.shape)
    return shifted if varies.all() else shifted[:, np.flatnonzero(varies)]
