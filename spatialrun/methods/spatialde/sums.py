"""Sums over all spots that a kernel's moments are made of, for kernels that are never held whole.

The weights depend on a spot's size alone, and samples of many spots have few different sizes: functions of the
weights are kept by size class, and applied to a kernel ``LANES`` columns at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.family import Axis, Family, weighted_family, weights_shape
from spatialrun.methods.spatialde.grid import SpotKernel
from spatialrun.methods.spatialde.tables import Moments
from spatialrun.methods.spatialde.vectors import LANES

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

ROWS = 16_384


@dataclass(frozen=True)
class SizeClasses:
    """The spots by their size.

    Attributes
    ----------
    index
        (N,) each spot's class.
    size, count
        (U,) the classes' sizes and numbers of spots.
    table
        The family of weights with a row for each class.
    """

    index: Ints
    size: Array
    count: Array
    table: Family

    @classmethod
    def of(cls, size: Array) -> SizeClasses:
        """Of (N,) sizes of mean 1."""
        distinct, index, count = np.unique(size, return_inverse=True, return_counts=True)
        return cls(index, distinct, count.astype(np.float64), weighted_family(distinct, count))

    def total(self, values: Array) -> Array:
        """Sum of ``values`` (N, C) over the spots of each class, (U, C)."""
        columns = [np.bincount(self.index, column, len(self.size)) for column in values.T]
        return np.column_stack(columns)

    def shape(self, count: int) -> tuple[Array, Array]:
        """h_t and the third moments of v at ``count`` nodes of t, (U, count) each.

        The third moment of v is W (1 + 2 α μ)/(1 + α μ), and 1/(1 + α μ) = (1 - t)/((1 - t) + t s).
        """
        t = self.table.axis.nodes(count)
        h = weights_shape(t, self.size)
        return h, h * (2.0 - (1.0 - t) / ((1.0 - t) + t * self.size[:, None]))

    @property
    def axis(self) -> Axis:
        """The variable of the family."""
        return self.table.axis


@dataclass(frozen=True)
class KernelSums:
    """What one kernel's description needs.

    Attributes
    ----------
    moments
        e, I and c over the nodes of t; I_tt beside them.
    I_tt
        tr(PKPK)/2, (T,).
    on_basis
        (N, B) K ψ_b.
    quadratic
        (T,) h_t' K h_t.
    third
        (S,) Σ_{i<j} R_ij³ g_i g_j over (Σ g)², R the kernel centred by W.
    centring
        (S,) tr((WK)³) - tr((PK)³).
    """

    moments: Moments
    I_tt: Array
    on_basis: Array
    quadratic: Array
    third: Array
    centring: Array


def apply(
    kernel: SpotKernel, columns: Callable[[int], Array], n_spots: int, count: int, pool: Executor
) -> Array:
    """K H, (n_spots, count), for the columns of H that ``columns`` gives ``LANES`` at a time, padded."""
    out = np.empty((n_spots, count))

    def fill(start: int) -> None:
        part = out[:, start : start + LANES]
        part[:] = kernel.times(columns(start))[:, : part.shape[1]]

    list(pool.map(fill, range(0, count, LANES)))
    return out


def lanes(values: Array) -> Callable[[int], Array]:
    """Give the columns of ``values`` (N, C), ``LANES`` at a time, padded with zeros."""

    def columns(start: int) -> Array:
        part = values[:, start : start + LANES]
        padded = np.zeros((len(part), LANES))
        padded[:, : part.shape[1]] = part
        return padded

    return columns


def by_class(table: Array, index: Ints) -> Callable[[int], Array]:
    """The same for columns given by class, (U, C)."""
    columns = lanes(table)
    return lambda start: columns(start)[index]


def kernel_sums(
    powers: tuple[SpotKernel, SpotKernel, SpotKernel],
    classes: SizeClasses,
    n_shapes: int,
    pool: Executor,
    *,
    reference: bool = False,
) -> KernelSums:
    """All sums of a kernel of unit diagonal, given with its elementwise square and cube.

    ``reference`` takes for I what the published code computes; see ``tables.moments``.
    """
    K, square, cube = powers
    table, index = classes.table, classes.index
    n, n_basis = len(index), table.psi.shape[1]
    h6, g6 = classes.shape(n_shapes)
    columns = np.column_stack([table.psi, g6])
    applied = apply(K, by_class(columns, index), n, columns.shape[1], pool)
    on_basis, on_g = np.ascontiguousarray(applied[:, :n_basis]), applied[:, n_basis:]
    del applied

    h, count = table.h, classes.count[:, None]
    S1, S2, S3 = ((h**power * count).sum(axis=0) for power in (1, 2, 3))
    sums = classes.total(on_basis)
    k_by_class = sums @ table.phi.T
    Wk, WWk = (h * k_by_class).sum(axis=0), (h * h * k_by_class).sum(axis=0)
    Wkk, kk = np.zeros(h.shape[1]), np.zeros(h.shape[1])
    for start in range(0, len(index), ROWS):
        k = np.square(on_basis[start : start + ROWS] @ table.phi.T)
        Wkk += (h[index[start : start + ROWS]] * k).sum(axis=0)
        kk += k.sum(axis=0)

    # The kernel centred by W at the shape nodes is R_ij = K_ij + o_i + o_j.
    phi6 = table.psi.T @ (h6 * count)
    k6 = on_basis @ phi6
    W6 = h6[index]
    S6 = W6.sum(axis=0)
    Wk6 = (W6 * k6).sum(axis=0)
    o = Wk6 / (2.0 * S6 * S6) - k6 / S6
    g = g6[index]
    go = g * o
    squared = apply(square, by_class(columns, index), n, columns.shape[1], pool)
    WKKW = (h * (classes.total(squared[:, :n_basis]) @ table.phi.T)).sum(axis=0)
    second = (go * squared[:, n_basis:]).sum(axis=0)
    del squared
    pair_terms = np.column_stack([go, W6 * k6])
    pair_sums = (pair_terms * apply(K, lanes(pair_terms), n, pair_terms.shape[1], pool)).sum(axis=0)
    cubed = (g * apply(cube, by_class(g6, index), n, n_shapes, pool)).sum(axis=0)
    G = [(g * o**power).sum(axis=0) for power in range(4)]
    pairs = (
        cubed
        + 6.0 * second
        + 6.0 * ((go * o * on_g).sum(axis=0) + pair_sums[:n_shapes])
        + 2.0 * G[0] * G[3]
        + 6.0 * G[1] * G[2]
    )
    third = 0.5 * (pairs - (g * g * (1.0 + 2.0 * o) ** 3).sum(axis=0)) / g.sum(axis=0) ** 2
    Wkk6 = (W6 * k6 * k6).sum(axis=0)
    centring = 3.0 * pair_sums[n_shapes:] / S6 - 3.0 * Wkk6 * Wk6 / S6**2 + (Wk6 / S6) ** 3

    E = (S1 - Wk / S1) / 2.0
    I_th = (S2 - 2.0 * WWk / S1 + S2 * Wk / S1**2) / 2.0
    I_hh = (S2 - 2.0 * S3 / S1 + S2**2 / S1**2) / 2.0
    c = I_th / I_hh
    I_tt = (WKKW - 2.0 / S1 * Wkk + (Wk / S1) ** 2) / 2.0
    information = I_tt
    if reference:
        ones = apply(square, lambda _: np.ones((n, LANES)), n, 1, pool)
        twice = apply(K, lanes(on_basis), n, n_basis, pool)
        WWKk = (h * h * (classes.total(twice) @ table.phi.T)).sum(axis=0)
        rows = (h * h * classes.total(ones)).sum(axis=0)
        information = (rows - 2.0 / S1 * WWKk + S2 * kk / S1**2) / 2.0
    return KernelSums(Moments(E, information - c * I_th, c), I_tt, on_basis, Wk, third, centring)


def feature_moments(F: Array, classes: SizeClasses, *, reference: bool = False) -> Moments:
    """e, I and c of a kernel F F' with few features: sums of their products by class."""
    h, count = classes.table.h, classes.count[:, None]
    S1, S2, S3 = ((h**power * count).sum(axis=0) for power in (1, 2, 3))
    first, second = np.triu_indices(F.shape[1])
    twice = np.where(first == second, 1.0, 2.0)
    once = classes.total(F)
    products = classes.total(F[:, first] * F[:, second])
    f, ff = once.T @ h, once.T @ (h * h)
    D, DD = products.T @ h, products.T @ (h * h)
    diagonal = first == second
    Wk, WWk = (f * f).sum(axis=0), (f * ff).sum(axis=0)
    Wkk = (twice[:, None] * f[first] * f[second] * D).sum(axis=0)
    E = (D[diagonal].sum(axis=0) - Wk / S1) / 2.0
    I_th = (DD[diagonal].sum(axis=0) - 2.0 * WWk / S1 + S2 * Wk / S1**2) / 2.0
    I_hh = (S2 - 2.0 * S3 / S1 + S2**2 / S1**2) / 2.0
    c = I_th / I_hh
    if reference:
        # Σ_ij W_i² K_ij² and k'k by the same products, K k = F (F'F) f.
        gram = np.zeros((F.shape[1], F.shape[1]))
        gram[first, second] = gram[second, first] = products.sum(axis=0)
        square = (twice[:, None] * DD * products.sum(axis=0)[:, None]).sum(axis=0)
        WWKk, kk = (ff * (gram @ f)).sum(axis=0), (f * (gram @ f)).sum(axis=0)
        information = (square - 2.0 / S1 * WWKk + S2 * kk / S1**2) / 2.0
    else:
        information = ((twice[:, None] * D * D).sum(axis=0) - 2.0 / S1 * Wkk + (Wk / S1) ** 2) / 2.0
    return Moments(E, information - c * I_th, c)
