"""Upper tails of a mixture of chi-squared variables, as log p, by the saddlepoint approximation.

Lugannani and Rice (1980): with K the cumulant generating function of the centred statistic, K'(s) = x,
w = sign(s) sqrt(2 (s x - K)), u = s sqrt(K''): p = Φ(-w) + φ(w) (1/u - 1/w). Its relative error stays below 5% at
p = 1e-20 for two or more degrees of freedom, where a chi-squared with matched moments is wrong by powers of ten.
"""

from __future__ import annotations

import math

import numpy as np

from spatialrun.methods.jit import Array, Ints, inner, kernel
from spatialrun.methods.spatialde.gamma import log_upper_gamma

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
CENTRE = 1e-3  # |w| below which 1/u - 1/w is taken at its limit
ITERATIONS = 60
LAST_STEP = 1e-7  # of y, and of its distance from 1, that s is made of: Newton's next would be its square
LARGEST_SPREAD = 3.0


@inner
def mills(w: float) -> float:
    """Φ(-w)/φ(w) for w >= 0."""
    if w < 6.0:
        return SQRT_HALF_PI * math.exp(0.5 * w * w) * math.erfc(w / math.sqrt(2.0))
    fraction = w
    for k in range(30, 0, -1):
        fraction = w + k / fraction
    return 1.0 / fraction


@inner
def slope(y: float, ratio: Array, half: Array) -> tuple[float, float]:
    """K' and dK'/dy at y = 1 - λ₁ s, with ``ratio`` = λ/λ₁ and ``half`` = n λ/2."""
    value, change = 0.0, 0.0
    for k in range(len(ratio)):
        inverse = 1.0 / (1.0 - ratio[k] + ratio[k] * y)
        value += half[k] * (inverse - 1.0)
        change -= half[k] * ratio[k] * inverse * inverse
    return value, change


@inner
def saddlepoint(x: float, ratio: Array, half: Array) -> float:
    """The y = 1 - λ₁ s > 0 with K'(s) = x; NaN where there is none.

    Newton steps on 1/(K' + β), β = Σ of the positive n λ/2, which is linear in y where λ₁ stands alone; inside a
    bracket, bisected where a step leaves it. Working in y keeps its digits near the pole s = 1/λ₁.
    """
    beta, low, high = 0.0, 0.0, np.inf
    for k in range(len(ratio)):
        if ratio[k] > 0.0:
            beta += half[k]
        elif ratio[k] < 0.0:
            high = min(high, 1.0 - 1.0 / ratio[k])
    if high == np.inf and x <= -beta:
        return np.nan
    y = 1.0
    for _ in range(ITERATIONS):
        value, change = slope(y, ratio, half)
        if value < x:
            high = y
        else:
            low = y
        if x + beta > 0.0 and value + beta > 0.0:
            following = y + (value + beta) * (x - value) / ((x + beta) * change)
        else:
            following = y + (x - value) / change
        if not low < following < high:
            following = 2.0 * y if high == np.inf else 0.5 * (low + high)
        if abs(following - y) <= LAST_STEP * min(y, abs(1.0 - following)):
            return following
        y = following
    return y


@inner
def log_gamma_tail(x: float, skewness: float) -> float:
    """Natural log of P(X >= x) for a gamma variable of mean 0, variance 1 and that skewness > 0."""
    return log_upper_gamma(4.0 / skewness**2, 4.0 / skewness**2 + 2.0 * x / skewness)


@inner
def log_tail(x: float, values: Array, counts: Array, spread: float) -> float:
    """Natural log of P(X >= x), X = Σ_k λ_k (χ²(n_k) - n_k)/2 with λ = ``values`` and n = ``counts``.

    ``spread`` κ >= 1 puts the same variance on fewer, larger eigenvalues (λ κ, n/κ²), which multiplies the
    skewness by κ: K_κ(s) = K(κ s)/κ², so that w and u are those of κ x divided by κ. Where that would leave the
    largest eigenvalue a fraction of a degree of freedom, a gamma distribution of the same skewness stands in.
    """
    skewness = spread * (counts * values**3).sum()
    if spread > LARGEST_SPREAD:
        return log_gamma_tail(x, skewness)
    first = 0
    for k in range(len(values)):
        if values[k] > values[first]:
            first = k
    top = values[first]
    ratio = values / top
    half = 0.5 * counts * values
    target = spread * x
    y = saddlepoint(target, ratio, half)
    if not y > 0.0:
        return 0.0
    s = (1.0 - y) / top
    exponent, variance = s * target, 0.0
    for k in range(len(values)):
        d = 1.0 - ratio[k] + ratio[k] * y
        exponent += 0.5 * counts[k] * math.log(d) + half[k] * s
        variance += half[k] * values[k] / (d * d)
    w = math.sqrt(max(2.0 * exponent, 0.0)) / spread
    u = abs(s) * math.sqrt(variance) / spread
    if w < CENTRE:
        return math.log(0.5 - (x + skewness / 6.0) * math.exp(-LOG_SQRT_2PI))
    ratio_to_density = mills(w) + 1.0 / u - 1.0 / w
    log_one_side = -0.5 * w * w - LOG_SQRT_2PI + math.log(ratio_to_density)
    if s > 0.0:
        return min(log_one_side, 0.0)
    # The rest of 1, kept apart from 0 as long as a double can: these p too must not tie.
    return math.log1p(-math.exp(min(log_one_side, -1e-15)))


@kernel
def mixture_log_tails(
    x: Array, at: Array, spectrum: Array, multiplicity: Array, excess: Array, tested: Ints
) -> Array:
    """Natural log p, (G, K), of standardised statistics ``x`` (G, K), NaN where not tested.

    ``at`` (G, S) interpolates each gene's eigenvalues from ``spectrum`` (K, S, M); ``excess`` (G, K) is the third
    cumulant to be added to that of the eigenvalues.
    """
    n_genes, n_kernels = x.shape
    out = np.full((n_genes, n_kernels), np.nan)
    for k in range(n_kernels):
        used = np.flatnonzero(multiplicity[k] > 0.0)
        counts = multiplicity[k][used]
        nodes = spectrum[k][:, used]
        values = np.empty(len(used))
        for g in tested:
            if not np.isfinite(x[g, k]):
                out[g, k] = 0.0  # 0/0: a gene that fits its null model exactly
                continue
            third = 0.0
            for j in range(len(used)):
                values[j] = 0.0
                for node in range(len(nodes)):
                    values[j] += at[g, node] * nodes[node, j]
                third += counts[j] * values[j] ** 3
            if third > 0.0:
                out[g, k] = log_tail(x[g, k], values, counts, 1.0 + excess[g, k] / third)
            else:
                # No eigenvalue stands out, as where a kernel joins a handful of spots: the gene's own skewness.
                out[g, k] = log_gamma_tail(x[g, k], max(third + excess[g, k], CENTRE))
    return out
