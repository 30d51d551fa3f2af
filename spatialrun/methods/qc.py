"""Quality control: how deep each spot was sequenced, how widely each gene is seen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spatialrun.methods.normalize import spot_breadths, spot_totals

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix


@dataclass(frozen=True, eq=False)
class SpotMetrics:
    """Per spot, (N,) each."""

    total_counts: np.ndarray
    """float64: sum over genes."""
    n_genes_by_counts: np.ndarray
    """int32: genes with at least one count."""


@dataclass(frozen=True, eq=False)
class GeneMetrics:
    """Per gene, (G,) each."""

    n_cells_by_counts: np.ndarray
    """int32: spots with at least one count."""
    total_counts: np.ndarray
    """float64: sum over spots."""
    mean_counts: np.ndarray
    """float64: mean over all spots, zeros included."""
    pct_dropout_by_counts: np.ndarray
    """float64, percent: spots without a count."""


def matching(names: Iterable[str], pattern: str) -> np.ndarray:
    """Which names a regular expression matches from their beginning, case ignored: (G,) bool."""
    expression = re.compile(pattern, re.IGNORECASE)
    return np.fromiter((expression.match(name) is not None for name in names), dtype=bool)


def spot_metrics(counts: csc_matrix) -> SpotMetrics:
    """Depth and breadth of every spot.

    Parameters
    ----------
    counts
        (N, G) counts without stored zeros.

    Notes
    -----
    Names and values as ``scanpy.pp.calculate_qc_metrics``, after scater (McCarthy et al. 2017,
    10.1093/bioinformatics/btw777).
    """
    return SpotMetrics(spot_totals(counts), spot_breadths(counts))


def gene_metrics(counts: csc_matrix) -> GeneMetrics:
    """How often and how strongly every gene is seen; ``counts`` as in :func:`spot_metrics`."""
    n_spots = counts.shape[0]
    seen = np.diff(counts.indptr)
    total = np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel()
    return GeneMetrics(
        n_cells_by_counts=seen.astype(np.int32),
        total_counts=total,
        mean_counts=total / n_spots,
        pct_dropout_by_counts=100.0 * (n_spots - seen) / n_spots,
    )


def percent_of_total(counts: csc_matrix, genes: np.ndarray) -> np.ndarray:
    """Share of each spot's counts that falls on some genes.

    Parameters
    ----------
    counts
        (N, G) counts.
    genes
        (G,) bool.

    Returns
    -------
    (N,) float64, percent; 0 where a spot has no counts at all.
    """
    total, part = spot_totals(counts), spot_totals(counts[:, np.flatnonzero(genes)])
    percent: np.ndarray = np.divide(100.0 * part, total, out=np.zeros_like(total), where=total > 0)
    return percent
