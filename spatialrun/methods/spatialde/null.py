"""The null model of each gene: what its counts would be without any pattern in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError
from spatialrun.methods.spatialde.null_kernels import fit_block

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class NullFit:
    """Null models of a block of genes; every array is (G,), NaN where a gene is not tested.

    Both families are written with sizes s of mean 1 (all 1 for ``normal``) as W = ``scale`` h_t(s) and
    v = W r = ``factor`` y/(1 + a s) - ``shift`` h_t(s).

    Attributes
    ----------
    m, alpha
        Mean at s = 1 and dispersion; for ``normal`` mean and variance.
    a
        α m, 0 for ``normal``.
    scale, factor, shift
        As above: (m/(1 + a), 1, m/(1 + a)), or (1/σ², 1/σ², mean/σ²) for ``normal``.
    """

    m: Array
    alpha: Array
    a: Array
    scale: Array
    factor: Array
    shift: Array


def negative_binomial(m: Array, alpha: Array) -> NullFit:
    """NB with mean m s and variance μ + α μ²."""
    a = alpha * m
    scale = m / (1.0 + a)
    return NullFit(m, alpha, a, scale, np.ones_like(m), scale)


def normal(mean: Array, variance: Array) -> NullFit:
    """Normal with the same mean and variance at every spot."""
    return NullFit(mean, variance, np.zeros_like(mean), 1.0 / variance, 1.0 / variance, mean / variance)


def fit_negative_binomial(
    indptr: Ints, spot: Ints, y: Array, size: Array, gauss: tuple[Array, Array], tested: Ints
) -> NullFit:
    """Maximum likelihood (m, α) of the tested genes of a block of CSC columns without stored zeros.

    The likelihood's two equations are reduced to one, m(a) = Σ y/(1+as) / Σ s/(1+as) and H(a) = 0; H(0) <= 0
    means that the counts vary no more than Poisson counts, and α = 0 exactly.
    """
    m, a = fit_block(indptr, spot, y, size, *gauss, tested)
    return negative_binomial(m, a / m)


def fit_normal(indptr: Ints, y: Array, n_spots: int) -> NullFit:
    """Mean and maximum-likelihood variance of every column; spots without an entry hold 0."""
    column = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    stored = np.diff(indptr)
    mean = np.bincount(column, y, len(stored)) / n_spots
    squares = np.bincount(column, (y - mean[column]) ** 2, len(stored)) + (n_spots - stored) * mean**2
    # A constant layer leaves rounding, not variance.
    variance = np.where(squares > 1e-24 * n_spots * mean**2, squares / n_spots, np.nan)
    return normal(np.where(np.isnan(variance), np.nan, mean), variance)


def check_counts(y: Array) -> None:
    """Raise ``data.counts`` unless all values are whole numbers >= 0."""
    if not np.isfinite(y).all():
        raise DataError("data.counts", "counts that are NaN or infinite", hint=_COUNTS_HINT)
    if y.size and y.min() < 0:
        raise DataError("data.counts", f"negative counts (the smallest is {y.min():g})", hint=_COUNTS_HINT)
    if (y != np.floor(y)).any():
        example = y[y != np.floor(y)][0]
        raise DataError(
            "data.counts", f"counts that are not whole numbers, such as {example:g}", hint=_COUNTS_HINT
        )


def check_values(y: Array) -> None:
    """Raise ``data.values`` unless all values are finite."""
    if not np.isfinite(y).all():
        raise DataError("data.values", "values that are NaN or infinite")


_COUNTS_HINT = "The negative binomial needs raw counts; use obs_dist 'normal' for a continuous layer."
