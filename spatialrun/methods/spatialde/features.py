"""Kernel matrices over the spots, and features F with F F' = K that make Q a sum over a gene's counts."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.spatial.distance import cdist

from spatialrun.methods.spatialde.kernels import Kernel
from spatialrun.methods.spatialde.score_kernels import third_moments

Array = NDArray[np.float64]

# Largest diagonal element of K - F F' (K has unit diagonal). What is left of a long kernel lies along few smooth
# directions, which a gene may follow: its error of Q is up to N times that, relative to e. What is left of a
# local one is spread over as many directions as spots. What has been published is met to 1e-8.
RESIDUAL = 1e-10
RESIDUAL_LOCAL = 1e-9
RESIDUAL_REFERENCE = 1e-13
LOCAL = 25.0  # a kernel is local while Σ_j K_ij² is on average below this: it correlates so many neighbours


class Gram(Protocol):
    """What the score test asks of a kernel matrix K over N spots.

    ``features`` comes last: it may use up the matrix.
    """

    @property
    def diagonal(self) -> Array:
        """K_ii, (N,)."""

    def times(self, H: Array) -> Array:
        """K H, the shape of H."""

    def squared_times(self, H: Array) -> Array:
        """(K o K) H with the elementwise square."""

    def third_moments(self, W: Array, g: Array) -> Array:
        """Σ_{i<j} R_ij³ g_i g_j of K centred by W, for each column of ``W`` and ``g``."""

    def features(self, residual: float = RESIDUAL) -> Array:
        """F (N, R) with F F' = K but for ``residual`` on the diagonal, the columns that hold most of K first."""


def gram(kernel: Kernel, coordinates: Array, *, centred: bool = True) -> Gram:
    """The kernel matrix over ``coordinates`` (N, 2), in the form that suits its rank.

    ``centred`` moves the origin of ``linear`` to the spots' mean: a shift adds to x·x' only what the null model's
    mean takes out again, save in the Frobenius form of the information.
    """
    if kernel.kind == "SE":
        return DenseGram(squared_exponential(coordinates, kernel.lengthscale))
    if kernel.kind == "PER":
        phase = coordinates.sum(axis=1) * (2.0 * np.pi / kernel.lengthscale)
        return LowRankGram(np.column_stack([np.cos(phase), np.sin(phase)]))
    return LowRankGram(coordinates - coordinates.mean(axis=0) if centred else coordinates)


def squared_exponential(coordinates: Array, lengthscale: float) -> Array:
    """exp(-d²/(2 l²)) for all pairs of spots, (N, N)."""
    scaled = coordinates / (np.sqrt(2.0) * lengthscale)
    K: Array = cdist(scaled, scaled, "sqeuclidean")
    np.negative(K, out=K)
    np.exp(K, out=K)
    return K


class DenseGram:
    """A kernel matrix of unit diagonal held whole: SE, whose rank grows as the lengthscale shrinks."""

    def __init__(self, K: Array) -> None:
        self.K = K
        self.diagonal = np.ones(len(K))

    def times(self, H: Array) -> Array:
        """K H."""
        return self.K @ H

    def squared_times(self, H: Array) -> Array:
        """(K o K) H, a band of rows at a time."""
        out = np.empty_like(H)
        for start in range(0, len(H), 512):
            rows = slice(start, start + 512)
            out[rows] = np.square(self.K[rows]) @ H
        return out

    def third_moments(self, W: Array, g: Array) -> Array:
        """See the kernel of that name."""
        return third_moments(self.K, W, g)

    @cached_property
    def effective_rank(self) -> float:
        """(tr K)²/tr K²."""
        return float(len(self.K) ** 2 / np.vdot(self.K, self.K))

    def features(self, residual: float = RESIDUAL) -> Array:
        """Pivoted Cholesky down to a small residual diagonal; K itself is overwritten."""
        local = len(self.K) / self.effective_rank < LOCAL
        tolerance = max(residual, RESIDUAL_LOCAL) if local else residual
        factor, pivots, rank, _ = lapack.dpstrf(self.K.T, lower=1, tol=tolerance, overwrite_a=1)
        F = np.empty((len(factor), rank))
        F[pivots - 1] = np.tril(factor[:, :rank])
        return F


class LowRankGram:
    """A kernel matrix given by exact features: PER (two of them) and linear."""

    def __init__(self, F: Array) -> None:
        self.F = F
        self.diagonal = (F * F).sum(axis=1)
        first, second = np.triu_indices(F.shape[1])
        self.pairs = F[:, first] * F[:, second] * np.where(first == second, 1.0, np.sqrt(2.0))

    def times(self, H: Array) -> Array:
        """K H."""
        return self.F @ (self.F.T @ H)

    def squared_times(self, H: Array) -> Array:
        """(K o K) H: the products of features are the features of the elementwise square."""
        return self.pairs @ (self.pairs.T @ H)

    def third_moments(self, W: Array, g: Array) -> Array:  # noqa: ARG002
        """Zero: a kernel that reaches over all spots never lets a few pairs of counts decide."""
        return np.zeros(W.shape[1])

    def features(self, residual: float = RESIDUAL) -> Array:  # noqa: ARG002
        """F as given."""
        return self.F
