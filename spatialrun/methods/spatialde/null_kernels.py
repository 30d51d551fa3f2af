"""Loops of the null fit: one gene's maximum likelihood (m, a) as one root in one variable."""

from __future__ import annotations

import numpy as np

from spatialrun.methods.jit import Array, Ints, inner, kernel

SMALL = 0.02  # a s below which log1p(x) - x/(1+x) is summed as a series: it is a difference of equals
SERIES = 12
CEILING = 1e10
COUNTED = 20_000  # counts up to here are summed one by one, those above by their integral
ITERATIONS = 100
LEGENDRE_NODES, LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(12)


@inner
def entropy_term(x: float) -> tuple[float, float]:
    """ℓ(x) = [log1p(x) - x/(1+x)]/x² and its derivative."""
    if x < SMALL:
        value, slope, power = 0.0, 0.0, 1.0
        for k in range(SERIES):
            sign = 1.0 - 2.0 * (k % 2)
            value += sign * (k + 1.0) / (k + 2.0) * power
            slope -= sign * (k + 1.0) * (k + 2.0) / (k + 3.0) * power
            power *= x
        return value, slope
    value = (np.log1p(x) - x / (1.0 + x)) / (x * x)
    return value, 1.0 / (x * (1.0 + x) * (1.0 + x)) - 2.0 * value / x


@inner
def count_sum(above: Array, y: Array, alpha: float) -> tuple[float, float]:
    """Σ_i Σ_{j < y_i} j/(1 + α j) and its derivative in α; ``above[j]`` is the number of spots with y > j."""
    total, slope = 0.0, 0.0
    for j in range(1, len(above)):
        q = j / (1.0 + alpha * j)
        total += above[j] * q
        slope -= above[j] * q * q
    if len(above) == COUNTED:
        for i in range(len(y)):
            if y[i] > COUNTED:
                value, change = large_count(y[i], alpha)
                total += value
                slope += change
    return total, slope


@inner
def large_count(y: float, alpha: float) -> tuple[float, float]:
    """Σ_{COUNTED <= j < y} j/(1 + α j) and its derivative, by Gauss-Legendre panels that double in width.

    The midpoint rule in reverse: the sum over j is the integral over [COUNTED - 1/2, y - 1/2] to
    O(1/COUNTED²) of its last term.
    """
    total, slope = 0.0, 0.0
    low, end = COUNTED - 0.5, y - 0.5
    while low < end:
        high = min(2.0 * low, end)
        half, middle = (high - low) / 2.0, (high + low) / 2.0
        for k in range(len(LEGENDRE_NODES)):
            j = middle + half * LEGENDRE_NODES[k]
            q = j / (1.0 + alpha * j)
            total += half * LEGENDRE_WEIGHTS[k] * q
            slope -= half * LEGENDRE_WEIGHTS[k] * q * q
        low = high
    return total, slope


@inner
def score_alpha(
    a: float, y: Array, s: Array, above: Array, nodes: Array, weights: Array
) -> tuple[float, float, float]:
    """H(a), its derivative, and m(a): the derivative of the profile log-likelihood in α over m².

    H = L2 - N2/m + J/m² with L2 = Σ [log1p(as) - as/(1+as)]/a², N2 = Σ y s/(1+as), m = N1/D,
    N1 = Σ y/(1+as), D = Σ s/(1+as), J = Σ_j n_{>j} j/(1 + α j), α = a/m. Sums over all spots go over the Gauss
    nodes of s, sums with y over the spots where the gene was seen.
    """
    D, dD, L2, dL2 = 0.0, 0.0, 0.0, 0.0
    for q in range(len(nodes)):
        sq, w = nodes[q], weights[q]
        h = sq / (1.0 + a * sq)
        value, change = entropy_term(a * sq)
        D += w * h
        dD -= w * h * h
        L2 += w * sq * sq * value
        dL2 += w * sq * sq * sq * change
    N1, dN1, N2, dN2 = 0.0, 0.0, 0.0, 0.0
    for i in range(len(y)):
        g = 1.0 / (1.0 + a * s[i])
        u = y[i] * g
        v = s[i] * g
        N1 += u
        dN1 -= u * v
        N2 += u * s[i]
        dN2 -= u * v * s[i]
    m = N1 / D
    dm = (dN1 - m * dD) / D
    alpha = a / m
    dalpha = (1.0 - alpha * dm) / m
    J, dJ = count_sum(above, y, alpha)
    H = L2 - N2 / m + J / (m * m)
    dH = dL2 - dN2 / m + N2 * dm / (m * m) + dJ * dalpha / (m * m) - 2.0 * J * dm / (m * m * m)
    return H, dH, m


@inner
def fit_gene(y: Array, s: Array, nodes: Array, weights: Array) -> tuple[float, float]:
    """Maximum likelihood (m, a) of one gene, a = 0 where the likelihood falls in α from the start.

    Newton steps on log a, kept inside the bracket of the root; bisection (in log a) where a step leaves it.
    """
    largest = 0.0
    for i in range(len(y)):
        largest = max(largest, y[i])
    above = np.zeros(min(int(largest), COUNTED))
    for i in range(len(y)):
        above[min(int(y[i]), len(above)) - 1] += 1.0
    for j in range(len(above) - 2, -1, -1):
        above[j] += above[j + 1]

    H, dH, m = score_alpha(0.0, y, s, above, nodes, weights)
    if not H > 0.0:
        return m, 0.0
    low, high = 0.0, np.inf
    a = -H / dH if dH < 0.0 else 1.0
    a = min(max(a, 1e-8), 1e3)
    for _ in range(ITERATIONS):
        H, dH, m = score_alpha(a, y, s, above, nodes, weights)
        if H > 0.0:
            low = a
        else:
            high = a
        if low >= CEILING:
            break
        # Far beyond the root H flattens and a Newton step in log a can overshoot: at most a factor of 20.
        step = -H / (a * dH) if dH < 0.0 else (3.0 if H > 0.0 else -3.0)
        following = a * np.exp(min(max(step, -3.0), 3.0))
        if not low < following < high:
            following = 20.0 * a if high == np.inf else np.sqrt(max(low, 1e-3 * high) * high)
        if abs(following - a) <= 4e-16 * a or H == 0.0:
            break
        converged = abs(step) < 1e-9
        a = following
        if converged:
            break
    H, dH, m = score_alpha(a, y, s, above, nodes, weights)
    return m, a


@kernel
def fit_block(
    indptr: Ints, spot: Ints, y: Array, size: Array, nodes: Array, weights: Array, tested: Ints
) -> tuple[Array, Array]:
    """(m, a) of every tested gene of a block, (G,) each, NaN elsewhere."""
    m = np.full(len(indptr) - 1, np.nan)
    a = np.full(len(indptr) - 1, np.nan)
    for g in tested:
        cells = spot[indptr[g] : indptr[g + 1]]
        m[g], a[g] = fit_gene(y[indptr[g] : indptr[g + 1]], size[cells], nodes, weights)
    return m, a
