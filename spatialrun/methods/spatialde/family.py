"""The one-parameter family of weights W that every null fit belongs to, and functions tabulated over it.

With size factors s of mean 1, mean μ = m s, dispersion α and a = α m, t = a/(1 + a):
W = μ/(1 + α μ) = (m/(1 + a)) h_t(s) with h_t(s) = s/((1 - t) + t s). Up to the scale m/(1 + a) everything that
depends on W depends on a in [0, ∞] alone, so it is computed at a few nodes and interpolated for each gene.

Interpolating in t itself fails where a few spots are nearly empty: 1/(1 + a s) has its poles at a = -1/s, and
those of a spot with s = 10⁻⁴ come within 10⁻⁴ of t = 1. The nodes are therefore Chebyshev points in a variable ξ
whose conformal map (Jacobi's sn) opens the cut [-1/min s, -1/max s] as far from [0, ∞] as it can be opened.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ellipj, ellipk, ellipkinc

Array = NDArray[np.float64]

N_GAUSS = 32
TOLERANCE = 1e-14
FEWEST_NODES = 8


@dataclass(frozen=True)
class Axis:
    """The interpolation variable ξ in [-1, 1] of a in [0, ∞].

    x = (a - g)/(a + g) maps the cut to outside of ±1/k, and ξ = sin(π u/(2 K)) with x = sn(u; k) removes it.

    Attributes
    ----------
    centre
        g, the a at ξ = 0.
    modulus
        k of the elliptic functions; 0 where all sizes are equal.
    """

    centre: float
    modulus: float

    @classmethod
    def of(cls, size: Array) -> Axis:
        """The axis for size factors ``size`` > 0 of mean 1."""
        smallest, largest = float(size.min()), float(size.max())
        ratio = np.sqrt(smallest / largest)
        return cls(float(1.0 / np.sqrt(smallest * largest)), float((1.0 - ratio) / (1.0 + ratio)))

    def count(self) -> int:
        """How many nodes reach ``TOLERANCE``: the error of n of them falls as exp(-n π K'/(2 K))."""
        m = self.modulus**2
        rate = np.pi * ellipk(1.0 - m) / (2.0 * ellipk(m)) if m > 0.0 else np.inf
        return max(FEWEST_NODES, int(np.ceil(-np.log(TOLERANCE) / rate)) + 4)

    def locate(self, a: Array) -> Array:
        """The ξ of each a."""
        m = self.modulus**2
        x = (a - self.centre) / (a + self.centre)
        xi: Array = np.sin(np.pi / 2.0 * ellipkinc(np.arcsin(x), m) / ellipk(m))
        return xi

    def nodes(self, count: int) -> Array:
        """The t = a/(1 + a) of ``count`` Chebyshev points in ξ, from 0 to 1."""
        m = self.modulus**2
        x = ellipj(ellipk(m) * np.linspace(-1.0, 1.0, count), m)[0]
        x[0], x[-1] = -1.0, 1.0
        above = self.centre * (1.0 + x)
        t: Array = above / ((1.0 - x) + above)
        return t


def chebyshev(count: int) -> Array:
    """``count`` Chebyshev points of the second kind in [-1, 1], ascending: the ends are points."""
    return -np.cos(np.pi * np.arange(count) / (count - 1))


def interpolation(position: Array, count: int) -> Array:
    """Barycentric weights (G, count) that interpolate at ξ = ``position`` from values at Chebyshev points."""
    nodes = chebyshev(count)
    sign = (-1.0) ** np.arange(count)
    sign[[0, -1]] /= 2.0
    distance = position[:, None] - nodes
    at_node = distance == 0.0
    distance[at_node] = 1.0
    weights = sign / distance
    hit = at_node.any(axis=1)
    weights[hit] = at_node[hit]
    normalised: Array = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def weights_shape(t: Array, size: Array) -> Array:
    """h_t(s), shape (len(size), len(t)): the weights W divided by m/(1 + a)."""
    s = size[:, None]
    return s / ((1.0 - t) + t * s)


@dataclass(frozen=True)
class Family:
    """h_t over the spots at the nodes, and as a short sum h_t(s) = Σ_b φ_b(t) ψ_b(s).

    Attributes
    ----------
    axis
        The variable in which the nodes are Chebyshev points.
    h
        (N, T) weights h_t(s_i).
    psi
        (N, B) orthonormal functions of the spots; B is 15 to 25 where depth varies, 1 where it does not.
    phi
        (T, B) their coefficients at the nodes.
    """

    axis: Axis
    h: Array
    psi: Array
    phi: Array


def family(size: Array) -> Family:
    """Tabulate the weights for size factors ``size`` (N,) of mean 1."""
    axis = Axis.of(size)
    h = weights_shape(axis.nodes(axis.count()), size)
    psi, singular, phi = np.linalg.svd(h, full_matrices=False)
    kept = singular > TOLERANCE * singular[0]
    return Family(axis, h, np.ascontiguousarray(psi[:, kept]), (singular[kept, None] * phi[kept]).T.copy())


def weighted_family(size: Array, count: NDArray[np.int64]) -> Family:
    """The family of many spots by their distinct sizes (U,) of which there are ``count`` each.

    ``h`` and ``psi`` have a row for each size; ψ is orthonormal over the spots.
    """
    axis = Axis.of(size)
    h = weights_shape(axis.nodes(axis.count()), size)
    root = np.sqrt(count.astype(np.float64))[:, None]
    psi, singular, phi = np.linalg.svd(root * h, full_matrices=False)
    kept = singular > TOLERANCE * singular[0]
    return Family(axis, h, psi[:, kept] / root, (singular[kept, None] * phi[kept]).T.copy())


def gauss_sizes(size: Array) -> tuple[Array, Array]:
    """Gauss quadrature of the distribution of log s: sizes s_q and weights with Σ_i f(s_i) = Σ_q w_q f(s_q).

    The sums that a null fit needs are analytic in log s with poles at a distance of π or more, for which 32 nodes
    are exact to rounding. With 32 or fewer distinct sizes these are the nodes themselves.
    """
    x = np.log(size)
    distinct, counts = np.unique(x, return_counts=True)
    if len(distinct) <= N_GAUSS:
        return np.exp(distinct), counts.astype(np.float64)
    return _gauss(x, np.full(len(x), 1.0 / np.sqrt(len(x))), len(size))


def gauss_classes(size: Array, count: Array) -> tuple[Array, Array]:
    """The same of distinct sizes of which there are ``count`` each."""
    if len(size) <= N_GAUSS:
        return size, count
    return _gauss(np.log(size), np.sqrt(count / count.sum()), int(count.sum()))


def _gauss(x: Array, start: Array, total: int) -> tuple[Array, Array]:
    diagonal, off_diagonal = _lanczos(x, start, N_GAUSS)
    jacobi = np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    return np.exp(nodes), total * vectors[0] ** 2


def _lanczos(x: Array, start: Array, steps: int) -> tuple[Array, Array]:
    """Recurrence coefficients of the polynomials orthogonal over the points ``x`` of weight ``start``².

    Fully reorthogonalised.
    """
    basis = np.zeros((steps, len(x)))
    basis[0] = start
    alpha, beta = np.zeros(steps), np.zeros(steps - 1)
    for k in range(steps):
        following = x * basis[k]
        alpha[k] = basis[k] @ following
        for _ in range(2):
            following -= basis[: k + 1].T @ (basis[: k + 1] @ following)
        if k + 1 < steps:
            beta[k] = np.linalg.norm(following)
            basis[k + 1] = following / beta[k]
    return alpha, beta
