"""From each kernel's p to one line per gene: combined p, adjusted p, rank, selection, best lengthscale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LN10 = np.log(10.0)
SMALLEST = 1e-300
# Below it 1/tan(πp) is 1/(πp) to rounding, and its logarithm does not overflow.
LOG_SMALL = np.log(1e-8)
TRUNCATION = 0.01


def combine(
    log10p: ArrayLike,
    total: ArrayLike,
    tested: ArrayLike,
    kernel_kind: ArrayLike,
    kernel_lengthscale: ArrayLike,
    *,
    n_svg: int | None = None,
    fdr: float = 0.05,
    truncated: bool = True,
) -> dict[str, NDArray[Any]]:
    """Combine the kernels of each gene and compare the genes.

    Parameters
    ----------
    log10p
        (G, K) log10 p of each kernel, from ``score_block``; a kernel that is NaN is left out of its gene.
    total
        (G,) total counts; of two genes with the same p the one with more counts is ranked first.
    tested
        (G,) bool.
    kernel_kind, kernel_lengthscale
        (K,) as in the setup.
    n_svg
        At most so many genes are selected; None for all with ``padj <= fdr``.
    fdr
        False discovery rate of the selection.
    truncated
        Use the truncated Cauchy combination; False for the plain one (``statistic='reference'``).

    Returns
    -------
    dict of (G,) arrays
        ``log10p`` (<= 0), ``pval`` (0 where a double cannot hold it), ``padj`` (Benjamini-Hochberg over the
        tested genes), ``rank`` (float64; 1 is the most variable gene), ``svg`` (bool), ``lengthscale`` and
        ``kernel`` of the smallest p. NaN, False and "" for genes that are not tested.
    """
    logp = np.asarray(log10p, np.float64) * LN10
    counts = np.asarray(total, np.float64)
    lengthscales = np.asarray(kernel_lengthscale, np.float64)
    kinds = np.asarray(kernel_kind)
    combined = np.full(len(logp), np.nan)
    chosen = np.flatnonzero(np.asarray(tested, bool) & ~np.isnan(logp).all(axis=1))
    combined[chosen] = cauchy(logp[chosen], TRUNCATION if truncated else 0.0)

    order = chosen[np.lexsort((-counts[chosen], combined[chosen]))]
    rank = np.full(len(logp), np.nan)
    rank[order] = np.arange(1, len(order) + 1)
    adjusted = np.full(len(logp), np.nan)
    adjusted[order] = benjamini_hochberg(combined[order])
    padj = np.exp(adjusted)
    best = np.nanargmin(logp[chosen], axis=1)
    lengthscale = np.full(len(logp), np.nan)
    lengthscale[chosen] = lengthscales[best]
    kernel = np.full(len(logp), "", dtype=kinds.dtype)
    kernel[chosen] = kinds[best]
    return {
        "log10p": combined / LN10,
        "pval": np.exp(combined),
        "padj": padj,
        "rank": rank,
        "svg": (padj <= fdr) & (rank <= (n_svg if n_svg is not None else np.inf)),
        "lengthscale": lengthscale,
        "kernel": kernel,
    }


def cauchy(logp: Array, truncation: float = 0.0) -> Array:
    """Natural log of the Cauchy combination (Liu and Xie 2020) of each row of ``logp`` (G, K), NaN ignored.

    The combined p is that of the mean of 1/tan(π p). With ``truncation`` δ, p/(1 + δp) takes the place of p: a
    kernel whose p is all but 1 cannot outweigh those that found a pattern (Fang et al. 2023 cut p at 1 - δ; the
    smooth form keeps different genes apart). Sums are taken relative to the largest term, so log p = -2000 is as
    exact as any other.
    """
    valid = ~np.isnan(logp)
    known = np.where(valid, logp, LOG_SMALL)
    small = valid & (known < LOG_SMALL)
    log_large = np.where(small, -known - np.log(np.pi), 0.0)
    unit = log_large.max(axis=1, initial=0.0)[:, None]
    # 1 - p from log p itself: a p that is nearly 1 has lost the digits that tell genes apart.
    p = np.maximum(np.exp(known), SMALLEST)
    q = np.maximum((truncation * p - np.expm1(known)) / (1.0 + truncation * p), SMALLEST)
    large = q < 0.5
    ordinary = np.where(large, -1.0, 1.0) / np.tan(np.pi * np.where(large, q, p / (1.0 + truncation * p)))
    terms = np.where(small, np.exp(log_large - unit), np.where(valid, ordinary, 0.0) * np.exp(-unit))
    mean = terms.sum(axis=1) / valid.sum(axis=1)
    unit = unit[:, 0]
    log_mean = np.log(np.maximum(mean, SMALLEST)) + unit
    far = -log_mean - np.log(np.pi)
    with np.errstate(over="ignore"):
        statistic = mean * np.exp(unit)
    above = np.arctan2(1.0, statistic) / np.pi
    below = np.arctan2(1.0, -statistic) / np.pi
    near = np.where(statistic > 0.0, np.log(np.maximum(above, SMALLEST)), np.log1p(-np.minimum(below, 0.5)))
    combined: Array = np.minimum(np.where(far < LOG_SMALL, far, near), 0.0)
    return combined


def benjamini_hochberg(logp: Array) -> Array:
    """Natural log of the adjusted p of ascending ``logp`` (n,): the reverse cumulative minimum of p n/i."""
    n = len(logp)
    scaled = logp + np.log(n) - np.log(np.arange(1, n + 1)) if n else logp
    adjusted: Array = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 0.0)
    return adjusted
