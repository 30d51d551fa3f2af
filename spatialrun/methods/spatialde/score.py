"""The score test of a block of genes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialrun.errors import UsageError
from spatialrun.methods.spatialde import null, quadratic
from spatialrun.methods.spatialde.family import Axis, interpolation
from spatialrun.methods.spatialde.gamma import scaled_chi2_log_tails
from spatialrun.methods.spatialde.grid_kernels import ordered
from spatialrun.methods.spatialde.score_kernels import (
    interpolated,
    residual_columns,
    residual_moments,
    tile_forms,
)
from spatialrun.methods.spatialde.tails import mixture_log_tails

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Setup = Mapping[str, NDArray[Any]]

LN10 = np.log(10.0)


def score_block(
    setup: Setup,
    indptr: ArrayLike,
    indices: ArrayLike,
    data: ArrayLike,
    *,
    min_counts: int = 10,
    null_model: tuple[ArrayLike, ArrayLike] | None = None,
) -> dict[str, NDArray[Any]]:
    """Test a block of genes; a gene's result does not depend on the block it is in, nor on threads.

    Parameters
    ----------
    setup
        From ``setup`` (or read back from where it was stored).
    indptr, indices, data
        CSC columns of spots x genes: (G + 1,), (nnz,), (nnz,). Spots that the setup left out may occur.
    min_counts
        Genes with fewer counts are not tested (``negative_binomial``; for ``normal`` constant ones are not).
    null_model
        (m, α), (G,) each, in place of the fit; (mean, variance) for ``normal``. ``statistic='reference'`` only.

    Returns
    -------
    dict of arrays
        ``total`` (G,) sum of the values, ``n_nonzero`` (G,) int64, ``m`` and ``alpha`` (G,) null fit, with mean
        m s at size factor s as given; for ``normal`` mean and variance. ``Q``, ``e``, ``I`` and ``log10p``
        (G, K): statistic, its mean and information, log10 p of each kernel. ``tested`` (G,) bool; float arrays
        are NaN where it is False, and ``log10p`` for kernels that cannot tell these spots apart.

    Raises
    ------
    DataError
        ``data.counts`` for counts that are negative, not whole, or NaN; ``data.values`` for values (``normal``)
        that are not finite.

    Notes
    -----
    ``Q``, ``e`` and ``I`` are the same to 1e-7 however a kernel is handled (whole, on a grid, by features).
    ``log10p`` needs all eigenvalues besides: where they are computed one by one, as on lattices of up to 5,000
    spots, it is the same to 1e-6, for the shortest kernels to 3e-5 of its value. Else, of a kernel that reaches
    few spots only their density is known, with the exact second and third cumulants: ``log10p`` is typically the
    same to 1e-4, and where it is below -10 to 1e-3 of its value. A kernel that joins one spot in ten to another,
    as the shortest ones do where spots are scattered, has no such limit: simulated without a pattern, its p below
    0.1 are 1.8 times as frequent as they should be, those below 0.001 0.7 times.
    """
    reference = setup["statistic"][0] == "reference"
    if null_model is not None and not reference:
        raise UsageError("usage", "a null model can be given to the reference statistic alone")
    columns = _kept_entries(setup, indptr, indices, data)
    total, tested, fit = _null(setup, columns, min_counts, null_model)
    scale = np.full((len(total), 1), np.nan)
    scale[tested, 0] = fit.scale[tested]

    axis = Axis(*setup["axis"])
    position = np.zeros(len(total))
    position[tested] = axis.locate(fit.a[tested])
    at = interpolation(position, setup["basis"].shape[0])
    basis = interpolated(at, np.ascontiguousarray(setup["basis"].T))
    Q = np.zeros((len(total), len(setup["usable"])))
    on_basis = None
    if "features" in setup:
        residuals = residual_columns(*columns, setup["size"], fit.a, fit.factor, fit.shift, basis, tested)
        Q, on_basis = tile_forms(*residuals, setup["features"], setup["tile_kernel"], Q.shape[1], tested)
    if "direct" in setup:
        Q += quadratic.quadratic_forms(setup, columns, fit, at, basis, on_basis, tested)
    Q[np.isnan(scale[:, 0])] = np.nan
    e = scale * interpolated(at, setup["mean"])
    information = scale**2 * interpolated(at, setup["information"])
    if reference:
        logp = scaled_chi2_log_tails(Q, e, information)
    else:
        shares = interpolated(at, setup["diagonal_share"])
        shape_at = interpolation(position, setup["spectrum"].shape[1])
        third = interpolated(shape_at, setup["third"])
        gauss = setup["gauss_size"], setup["gauss_weight"]
        moments = residual_moments(
            *columns, setup["size"], fit.a, fit.scale, fit.factor, fit.shift, *gauss, tested
        )
        x, excess = standardised(Q - e, information, shares, third, moments)
        logp = mixture_log_tails(x, shape_at, setup["spectrum"], setup["multiplicity"], excess, tested)
    logp[:, ~setup["usable"]] = np.nan
    return {
        "total": total,
        "n_nonzero": np.diff(columns[0]),
        "m": fit.m / setup["size_mean"] if setup["obs_dist"][0] == "negative_binomial" else fit.m,
        "alpha": fit.alpha,
        "Q": Q,
        "e": e,
        "I": information,
        "log10p": logp / LN10,
        "tested": ~np.isnan(scale[:, 0]),
    }


def _null(
    setup: Setup,
    columns: tuple[Ints, Ints, Array],
    min_counts: int,
    null_model: tuple[ArrayLike, ArrayLike] | None,
) -> tuple[Array, Ints, null.NullFit]:
    """Totals (G,), indices of the tested genes, and the null models."""
    indptr, spot, y = columns
    gene = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    total: Array = np.bincount(gene, y, len(indptr) - 1).astype(np.float64)
    if setup["obs_dist"][0] == "normal":
        null.check_values(y)
        if null_model is None:
            fit = null.fit_normal(indptr, y, len(setup["size"]))
        else:
            fit = null.normal(*(np.asarray(part, np.float64) for part in null_model))
        return total, np.flatnonzero(np.isfinite(fit.scale)).astype(np.int64), fit
    null.check_counts(y)
    tested = np.flatnonzero(total >= max(min_counts, 1)).astype(np.int64)
    if null_model is not None:
        m, alpha = (np.asarray(part, np.float64) for part in null_model)
        return total, tested, null.negative_binomial(m * setup["size_mean"], alpha)
    gauss = setup["gauss_size"], setup["gauss_weight"]
    return total, tested, null.fit_negative_binomial(indptr, spot, y, setup["size"], gauss, tested)


def standardised(
    deviation: Array, information: Array, shares: Array, third: Array, moments: Array
) -> tuple[Array, Array]:
    """Scale Q - e for the tails: x (G, K), and its third cumulant beyond that of the eigenvalues (G, K).

    Three departures from the plain score, each measured on permuted spots:

    - Q - c (v'v - tr P)/2 is tested, c = I_th/I_hh. The diagonal part of the quadratic form says how variable the
      gene is, not where; its variance depends on fourth moments that no null fit gets right.
    - What is left is a sum over pairs of spots, Σ_{i<j} K_ij v_i v_j. Its variance is proportional to
      (v'v)² - Σ v⁴, and takes that from the gene itself: I holds the model's value, S1² - S2.
    - The pairs add Σ_{i<j} K_ij³ E v_i³ E v_j³ to the third cumulant of a Gaussian v: few counts meeting in a few
      pairs of neighbours. Its scale is the gene's own (Σ v³)² - Σ v⁶.
    """
    S1, S2, v2, v3, v4, v6 = moments.T[:, :, None]
    variance = information * np.maximum(v2 * v2 - v4, 0.0) / (S1 * S1 - S2)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = (deviation - 0.5 * shares * (v2 - (S1 - S2 / S1))) / np.sqrt(variance)
        excess = np.maximum(third, 0.0) * np.maximum(v3 * v3 - v6, 0.0) / (variance * np.sqrt(variance))
    return x, excess


def _kept_entries(
    setup: Setup, indptr: ArrayLike, indices: ArrayLike, data: ArrayLike
) -> tuple[Ints, Ints, Array]:
    """Columns over the kept spots, without stored zeros."""
    ends = np.asarray(indptr, np.int64)
    spot = np.asarray(indices, np.int64)
    y = np.asarray(data, np.float64)
    stored = y != 0.0
    if not setup["keep"].all():
        stored &= setup["keep"][spot]
    spot = setup["position"][spot]
    if not stored.all():
        ends = np.concatenate([[0], np.cumsum(stored)])[ends]
        spot, y = spot[stored], y[stored]
    y = np.array(y)
    if quadratic.in_order(setup):
        ordered(ends, spot, y)
    return ends, spot, y
