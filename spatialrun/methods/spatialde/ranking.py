"""From each kernel's p to one line per gene: combined p, adjusted p, rank, selection, best lengthscale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LN10 = np.log(10.0)
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
        ``log10p`` (<= 0), ``pval`` (0 where a double cannot hold it), ``padj`` (Benjamini-Hochberg over the tested
        genes), ``rank`` (float64; 1 is the most variable gene), ``svg`` (bool), ``lengthscale`` and ``kernel``
        of the smallest p. NaN, False and "" for genes that are not tested.
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
    p = np.exp(np.where(valid, logp, 0.0))
    small = valid & (logp < LOG_SMALL)
    log_term = np.where(small, -logp - np.log(np.pi), -np.inf)
    largest = np.maximum(log_term.max(axis=1, initial=0.0), 0.0)
    # sin of π(1-p) from log p itself: p of a double that is nearly 1 has lost the digits that tell genes apart.
    rest = -np.expm1(np.where(valid, logp, -1.0))
    q = (rest + truncation * p) / (1.0 + truncation * p)
    with np.errstate(divide="ignore"):
        ordinary = np.where(
            q < 0.5, -1.0 / np.tan(np.pi * q), 1.0 / np.tan(np.pi * p / (1.0 + truncation * p))
        )
    ordinary = np.where(valid & ~small, np.maximum(ordinary, -np.finfo(np.float64).max / logp.shape[1]), 0.0)
    terms = np.where(small, np.exp(log_term - largest[:, None]), ordinary * np.exp(-largest)[:, None])
    mean = terms.sum(axis=1) / valid.sum(axis=1)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        far = -np.log(np.maximum(mean, 0.0)) - largest - np.log(np.pi)
        statistic = mean * np.exp(largest)
        upper = np.log(np.arctan2(1.0, statistic) / np.pi)
        lower = np.log1p(-np.arctan2(1.0, -statistic) / np.pi)
    near = np.where(statistic > 0.0, upper, lower)
    return np.minimum(np.where((far < LOG_SMALL) & (mean > 0.0), far, near), 0.0)


def benjamini_hochberg(logp: Array) -> Array:
    """Natural log of the adjusted p of ascending ``logp`` (n,): the reverse cumulative minimum of p n/i."""
    n = len(logp)
    scaled = logp + np.log(n) - np.log(np.arange(1, n + 1)) if n else logp
    return np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 0.0)
