"""The chi-squared tail in logarithms: scipy's ``chi2.logsf`` underflows to -inf where genes are most variable."""

from __future__ import annotations

import math

import numpy as np

from spatialrun.methods.jit import Array, inner, kernel

ITERATIONS = 100_000
PRECISION = 1e-15
TINY = 1e-300


@inner
def log_upper_gamma(a: float, x: float) -> float:
    """Natural log of Q(a, x), the regularised upper incomplete gamma function, for a > 0 and x >= 0.

    The series of 1 - Q below x = a + 1, Lentz's continued fraction above: finite for any finite x.
    """
    if x <= 0.0:
        return 0.0
    log_prefactor = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1.0:
        term = 1.0 / a
        total = term
        for k in range(1, ITERATIONS):
            term *= x / (a + k)
            total += term
            if term < PRECISION * total:
                break
        return math.log1p(-min(math.exp(log_prefactor) * total, 1.0 - 1e-16))
    b = x + 1.0 - a
    c = 1.0 / TINY
    d = 1.0 / b
    fraction = d
    for k in range(1, ITERATIONS):
        an = -k * (k - a)
        b += 2.0
        d = an * d + b
        d = 1.0 / (d if abs(d) > TINY else TINY)
        c = b + an / c
        c = c if abs(c) > TINY else TINY
        fraction *= c * d
        if abs(c * d - 1.0) < PRECISION:
            break
    return log_prefactor + math.log(fraction)


@kernel
def scaled_chi2_log_tails(Q: Array, e: Array, information: Array) -> Array:
    """Natural log P(κ χ²(ν) >= Q) with κ = I/(2e) and ν = 2e²/I, elementwise over (G, K) arrays, NaN kept.

    The tail of the published SpatialDE2 code.
    """
    out = np.full(Q.shape, np.nan)
    for g in range(Q.shape[0]):
        for k in range(Q.shape[1]):
            if information[g, k] > 0.0:
                out[g, k] = log_upper_gamma(
                    e[g, k] * e[g, k] / information[g, k], Q[g, k] * e[g, k] / information[g, k]
                )
    return out
