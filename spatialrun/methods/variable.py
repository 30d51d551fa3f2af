"""Highly variable genes by the variance-stabilising transformation (vst) of raw counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spatialrun.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

FEWEST_IN_A_FIT = 4
"""A local parabola through fewer genes is not determined; through none, the loess library crashes."""


@dataclass(frozen=True, eq=False)
class Vst:
    """Per gene, (G,) float64 each."""

    means: np.ndarray
    """Mean count over spots."""
    variances: np.ndarray
    """Variance of the counts over spots."""
    variances_norm: np.ndarray
    """Variance of the standardised, clipped counts: 1 for a gene as variable as others of its mean."""


def vst(counts: csc_matrix, span: float = 0.3) -> Vst:
    """Compare every gene's variance with what a smooth trend expects at its mean.

    Parameters
    ----------
    counts
        (N, G) raw counts.
    span
        Share of the genes that each local fit of log variance on log mean uses, 0 to 1.

    Raises
    ------
    DataError
        ``data.values`` when the trend cannot be fitted: too few genes vary, or have too few distinct means.

    Notes
    -----
    scanpy's ``seurat_v3`` (Stuart et al. 2019, 10.1016/j.cell.2019.05.031).
    """
    import anndata
    import scanpy

    varying = _n_varying(counts)
    if int(span * varying) < FEWEST_IN_A_FIT:
        raise DataError(
            "data.values",
            f"the trend of variance on mean needs more genes: {varying} vary, and each fit uses {span:g} of them",
            hint="Raise `span`, or test more genes.",
        )
    sample = anndata.AnnData(X=counts)
    try:
        table = scanpy.pp.highly_variable_genes(
            sample, flavor="seurat_v3", n_top_genes=counts.shape[1], span=span, inplace=False
        )
    except ValueError as error:
        # The loess library reports near singular fits this way, naming no gene.
        raise DataError(
            "data.values",
            f"the trend of variance on mean cannot be fitted: {error}",
            hint="Raise `span`, or leave out genes that hardly occur (`min_spots` of the reader).",
        ) from error
    columns = (table[name].to_numpy(np.float64) for name in ("means", "variances", "variances_norm"))
    return Vst(*columns)


def _n_varying(counts: csc_matrix) -> int:
    """How many genes differ between spots."""
    n_spots = counts.shape[0]
    total = np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
    squares = np.asarray(counts.multiply(counts.astype(np.float64)).sum(axis=0)).ravel()
    return int((squares * n_spots > total**2).sum())


def rank(variability: np.ndarray) -> np.ndarray:
    """Rank of every gene, 1 for the largest value: (G,) int32; equal values in the order of the genes."""
    order = np.argsort(-variability, kind="stable")
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks
