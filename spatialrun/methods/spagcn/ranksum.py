"""Wilcoxon's rank-sum test of every gene, one group of spots against another, on sparse columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.jit import kernel

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

LEFT_OUT, OUTSIDE, INSIDE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Comparison:
    """One group (in) against another (out): (G,) float64 each."""

    pct_in: Array
    """Share of spots with the gene."""
    pct_out: Array
    mean_in: Array
    """Mean of the layer."""
    mean_out: Array
    z: Array
    """Positive where the gene ranks higher inside; 0 where all ranks are tied."""
    log_p: Array
    """Natural logarithm of the two-sided p; p itself underflows on sections of some size."""


def compare(
    layer: csc_matrix, inside: NDArray[np.bool_], outside: NDArray[np.bool_], *, tie_correct: bool = False
) -> Comparison:
    """Test every gene.

    Parameters
    ----------
    layer
        (N, G) CSC.
    inside, outside
        (N,) disjoint groups, neither empty; other spots are left out.
    tie_correct
        Divide by the variance that ties leave. Without, tests of sparse genes are conservative.

    Notes
    -----
    Normal approximation, as ``scanpy.tl.rank_genes_groups(method='wilcoxon')``. Time and memory are those of the
    nonzeros: absent values are one tie.
    """
    from scipy.stats import norm

    side = np.full(layer.shape[0], LEFT_OUT, dtype=np.int8)
    side[outside], side[inside] = OUTSIDE, INSIDE
    n_in, n_out = int(inside.sum()), int(outside.sum())
    n = n_in + n_out
    sums = _columns(layer.indptr, layer.indices, layer.data, side, n_in, n)
    present_in, present_out, total_in, total_out, rank_sum, ties = sums.T
    variance = n_in * n_out * (n + 1) / 12.0
    left = np.maximum(1.0 - ties / (float(n) ** 3 - n), 0.0) if n > 1 else np.zeros_like(ties)
    scale = np.sqrt(variance * left) if tie_correct else np.where(left > 0, np.sqrt(variance), 0.0)
    deviation = rank_sum - n_in * (n + 1) / 2.0
    z = np.divide(deviation, scale, out=np.zeros_like(deviation), where=scale > 0)
    log_p = np.minimum(np.log(2.0) + norm.logsf(np.abs(z)), 0.0)
    return Comparison(present_in / n_in, present_out / n_out, total_in / n_in, total_out / n_out, z, log_p)


@kernel
def _columns(indptr: Ints, indices: Ints, data: Array, side: NDArray[np.int8], n_in: int, n: int) -> Array:
    """Per gene: spots present inside and outside, sums inside and outside, rank sum inside, Σ t³ - t of ties."""
    n_genes = len(indptr) - 1
    found = np.zeros((n_genes, 6))
    for gene in range(n_genes):
        start, end = indptr[gene], indptr[gene + 1]
        value = np.empty(end - start)
        of_inside = np.empty(end - start, dtype=np.bool_)
        m = 0
        n_inside_stored = 0
        for entry in range(start, end):
            where = side[indices[entry]]
            if where == LEFT_OUT or data[entry] == 0.0:
                continue
            value[m] = data[entry]
            of_inside[m] = where == INSIDE
            n_inside_stored += of_inside[m]
            found[gene, 0 if of_inside[m] else 1] += 1.0
            found[gene, 2 if of_inside[m] else 3] += data[entry]
            m += 1
        order = np.argsort(value[:m])
        n_zero = n - m
        before = 0  # spots of lower value than the current tie
        zeros_to_come = n_zero > 0
        at = 0
        while at < m or zeros_to_come:
            if zeros_to_come and (at == m or value[order[at]] > 0.0):
                size = n_zero
                n_inside = n_in - n_inside_stored
                zeros_to_come = False
            else:
                first = at
                n_inside = 0
                while at < m and value[order[at]] == value[order[first]]:
                    n_inside += of_inside[order[at]]
                    at += 1
                size = at - first
            found[gene, 4] += n_inside * (before + 0.5 * (size + 1))
            found[gene, 5] += float(size) ** 3 - size
            before += size
    return found


def adjusted(log_p: Array) -> Array:
    """Logarithm of q, Benjamini and Hochberg's: (G,) from (G,)."""
    order = np.argsort(log_p)[::-1]
    G = len(log_p)
    log_q = np.empty(G)
    log_q[order] = np.minimum.accumulate(log_p[order] + np.log(G) - np.log(np.arange(G, 0, -1)))
    return np.minimum(log_q, 0.0)
