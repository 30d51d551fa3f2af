"""Moran's I: whether a gene's neighbours in space are alike, with its analytic p.

``neighbor_weights`` prepares a sample's spots, ``moments`` looks at a block of genes (several at once, in threads
or processes), ``significance`` turns all of them into p values. A gene costs its non-zero values times the
neighbours of a spot: nothing of spots by spots, nor of spots by genes, is ever made.

Source: Cliff and Ord 1981, Spatial Processes: Models and Applications, for both null distributions; Moran 1950,
doi 10.1093/biomet/37.1-2.17.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, triu
from scipy.special import log_ndtr

from spatialrun.errors import DataError
from spatialrun.methods.jit import Array, Ints, kernel
from spatialrun.methods.neighbors import nearest, ring
from spatialrun.methods.spatialde.ranking import benjamini_hochberg

Neighbors = Literal["auto", "lattice", "nearest"]
Assumption = Literal["randomization", "normality"]
Alternative = Literal["greater", "two-sided"]
Weights = Mapping[str, NDArray[Any]]


def neighbor_weights(
    coordinates: ArrayLike,
    neighbors: Neighbors = "auto",
    *,
    n_neighbors: int = 6,
    row_normalized: bool = True,
) -> dict[str, NDArray[Any]]:
    """The weights of pairs of neighbouring spots.

    Parameters
    ----------
    coordinates
        (N, 2), any unit.
    neighbors
        ``lattice``: the next spots of a lattice in every direction (6 of Visium's, 4 of Visium HD's), fewer at
        the edge; ``nearest``: the ``n_neighbors`` nearest ones; ``auto``: the lattice where there is one.
    n_neighbors
        How many, where there is no lattice.
    row_normalized
        Whether the weights of each spot's neighbours sum to 1; else each is 1.

    Returns
    -------
    dict of arrays
        Of the symmetric part of the weights, W + W' over 2, on which alone Moran's I and its moments depend:
        ``near`` (N + 1,), ``neighbor`` and ``weight`` (pairs,), its rows above the diagonal (CSR); ``reach`` (N,)
        sums of its rows; ``sums`` (3,) S0 = Σ w, S1 = Σ (w_ij + w_ji)²/2, S2 = Σ_i (w_i. + w_.i)²; ``kind`` (1,)
        what was chosen.

    Raises
    ------
    DataError
        ``data.coordinates`` when they are not finite, or no spot has a neighbour.
    """
    lattice = None if neighbors == "nearest" else ring(coordinates, regular=neighbors == "auto")
    if lattice is None:
        found = nearest(coordinates, n_neighbors)
        n_spots, k = found.shape
        ones, ends = np.ones(found.size), np.arange(0, found.size + 1, max(k, 1))[: n_spots + 1]
        W = csr_matrix((ones, found.ravel(), ends if k else np.zeros(n_spots + 1, int)), (n_spots, n_spots))
    else:
        W = lattice
    if W.nnz == 0:
        raise DataError(
            "data.coordinates", "no spot has a neighbour", hint="Moran's I needs two spots or more."
        )
    if row_normalized:
        count = np.diff(W.indptr)
        W = csr_matrix((np.repeat(1.0 / np.maximum(count, 1), count), W.indices, W.indptr), W.shape)
    upper = triu((0.5 * (W + W.T)).tocsr(), 1, format="csr")
    upper.sort_indices()
    reach = np.asarray(upper.sum(axis=1)).ravel() + np.asarray(upper.sum(axis=0)).ravel()
    sums = [reach.sum(), 4.0 * np.square(upper.data).sum(), 4.0 * np.square(reach).sum()]
    return {
        "near": upper.indptr.astype(np.int64),
        "neighbor": upper.indices.astype(np.int32),
        "weight": upper.data,
        "reach": reach,
        "sums": np.array(sums),
        "kind": np.array(["nearest" if lattice is None else "lattice"]),
    }


def moments(weights: Weights, indptr: ArrayLike, indices: ArrayLike, data: ArrayLike) -> dict[str, Array]:
    """Moran's I of a block of genes; a gene's result does not depend on the block it is in, nor on threads.

    Parameters
    ----------
    weights
        From ``neighbor_weights`` (or read back from where they were stored).
    indptr, indices, data
        CSC columns of spots x genes: (G + 1,), (nnz,), (nnz,).

    Returns
    -------
    dict of (G,) arrays
        ``I`` = N/S0 z'Wz/z'z with z the values less their mean, NaN where all spots have the same; ``kurtosis``
        N Σz⁴/(Σz²)², likewise; ``n_spots`` where the gene was seen.

    Raises
    ------
    DataError
        ``data.values`` for values that are not finite.
    """
    x = np.asarray(data, np.float64)
    if not np.isfinite(x).all():
        raise DataError("data.values", "values that are NaN or infinite")
    ends, spot = np.asarray(indptr, np.int64), np.asarray(indices, np.int64)
    near, neighbor, weight, reach = (weights[name] for name in ("near", "neighbor", "weight", "reach"))
    S0 = float(weights["sums"][0])
    product, square, fourth, seen = _moments(ends, spot, x, near, neighbor, weight, reach, S0).T
    n = len(reach)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "I": n / S0 * product / square,
            "kurtosis": n * fourth / (square * square),
            "n_spots": seen,
        }


def significance(
    I: Array,  # noqa: E741  (as the statistic is called)
    kurtosis: Array,
    weights_sums: Array,
    n_spots: int,
    tested: NDArray[np.bool_],
    *,
    assumption: Assumption = "randomization",
    alternative: Alternative = "greater",
) -> dict[str, Array]:
    """Z and p of each gene's Moran's I, by its mean and variance where space does not matter.

    Parameters
    ----------
    I, kurtosis
        (G,) from ``moments``.
    weights_sums
        S0, S1 and S2 of ``neighbor_weights``.
    n_spots
        N.
    tested
        (G,) bool: the others get NaN, and do not count for ``padj``.
    assumption
        ``randomization``: the values as they are, in any order over the spots; ``normality``: values drawn from
        a normal distribution, which genes seen in few spots are far from.
    alternative
        ``greater``: neighbours are alike; ``two-sided``: or unlike.

    Returns
    -------
    dict of (G,) arrays
        ``z``; ``pval``; ``padj`` (Benjamini-Hochberg); ``rank``, 1 for the smallest p, by its logarithm, so that
        no two genes tie whose z differ.
    """
    z = (I - expected(n_spots)) / np.sqrt(variance(kurtosis, weights_sums, n_spots, assumption))
    chosen = np.flatnonzero(tested & np.isfinite(z))
    logp = log_ndtr(-z[chosen]) if alternative == "greater" else np.log(2.0) + log_ndtr(-np.abs(z[chosen]))
    order = np.argsort(logp, kind="stable")
    found = {name: np.full(len(z), np.nan) for name in ("z", "pval", "padj", "rank")}
    found["z"][chosen] = z[chosen]
    found["pval"][chosen] = np.exp(logp)
    found["padj"][chosen[order]] = np.exp(benjamini_hochberg(logp[order]))
    found["rank"][chosen[order]] = np.arange(1, len(order) + 1)
    return found


def expected(n_spots: int) -> float:
    """Mean of Moran's I where space does not matter."""
    return -1.0 / (n_spots - 1)


def variance(kurtosis: Array, sums: Array, n_spots: int, assumption: Assumption) -> Array:
    """Variance of Moran's I where space does not matter, (G,)."""
    n = float(n_spots)
    S0, S1, S2 = sums
    if assumption == "normality":
        second = (n * n * S1 - n * S2 + 3.0 * S0**2) / ((n - 1.0) * (n + 1.0) * S0**2)
        return np.full(len(kurtosis), second - expected(n_spots) ** 2)
    free = n * ((n * n - 3.0 * n + 3.0) * S1 - n * S2 + 3.0 * S0**2)
    bound = kurtosis * ((n * n - n) * S1 - 2.0 * n * S2 + 6.0 * S0**2)
    found: Array = (free - bound) / ((n - 1.0) * (n - 2.0) * (n - 3.0) * S0**2) - expected(n_spots) ** 2
    return np.where(found > 0.0, found, np.nan)


@kernel
def _moments(
    indptr: Ints,
    spot: Ints,
    x: Array,
    near: Ints,
    neighbor: NDArray[np.int32],
    weight: Array,
    reach: Array,
    S0: float,
) -> Array:
    """z'Wz, Σz², Σz⁴ and the number of non-zero values of each column, (G, 4); Σz² is NaN for a constant one."""
    n = len(reach)
    out = np.zeros((len(indptr) - 1, 4))
    held = np.zeros(n)
    for g in range(len(indptr) - 1):
        total, reached, seen = 0.0, 0.0, 0
        for k in range(indptr[g], indptr[g + 1]):
            held[spot[k]] = x[k]
            total += x[k]
            reached += x[k] * reach[spot[k]]
            seen += x[k] != 0.0
        pairs = 0.0
        for k in range(indptr[g], indptr[g + 1]):
            i, part = spot[k], 0.0
            for j in range(near[i], near[i + 1]):
                part += weight[j] * held[neighbor[j]]
            pairs += x[k] * part
        mean = total / n
        absent = n - (indptr[g + 1] - indptr[g])
        square, fourth = absent * mean**2, absent * mean**4
        for k in range(indptr[g], indptr[g + 1]):
            deviation = (x[k] - mean) * (x[k] - mean)
            square += deviation
            fourth += deviation * deviation
            held[spot[k]] = 0.0
        if square <= 1e-24 * n * mean * mean:  # a constant gene leaves rounding, not variance
            square = np.nan
        out[g, 0] = 2.0 * pairs - 2.0 * mean * reached + mean * mean * S0
        out[g, 1], out[g, 2], out[g, 3] = square, fourth, seen
    return out
