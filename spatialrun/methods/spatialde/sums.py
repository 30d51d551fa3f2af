"""Sums over all spots that a kernel's moments are made of, for kernels that are never held whole.

The weights depend on a spot's size alone, and samples of many spots have few different sizes: functions of the
weights are kept by size class.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.columns import Columns
from spatialrun.methods.spatialde.family import Axis, Family, weighted_family, weights_shape
from spatialrun.methods.spatialde.grid import SpotKernel
from spatialrun.methods.spatialde.tables import Moments

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
        (N, B) K ψ_b; empty where it is not needed.
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


def kernel_sums(
    powers: tuple[SpotKernel, SpotKernel, SpotKernel],
    classes: SizeClasses,
    n_shapes: int,
    pool: Executor,
    *,
    keep: bool = True,
    reference: bool = False,
) -> KernelSums:
    """All sums of a kernel of unit diagonal, given with its elementwise square and cube.

    ``keep`` says whether K ψ_b will be needed. ``reference`` takes for I what the published code computes; see
    ``tables.moments``.
    """
    K, square, cube = powers
    table, index = classes.table, classes.index
    psi = Columns(table.psi, index)
    on_basis = K.times(psi, pool)

    h, count = table.h, classes.count[:, None]
    S1, S2, S3 = ((h**power * count).sum(axis=0) for power in (1, 2, 3))
    k_by_class = classes.total(on_basis) @ table.phi.T
    Wk, WWk = (h * k_by_class).sum(axis=0), (h * h * k_by_class).sum(axis=0)
    Wkk, kk = np.zeros(h.shape[1]), np.zeros(h.shape[1])
    for start in range(0, len(index), ROWS):
        k = np.square(on_basis[start : start + ROWS] @ table.phi.T)
        Wkk += (h[index[start : start + ROWS]] * k).sum(axis=0)
        kk += k.sum(axis=0)
    WKKW = ((table.phi @ square.gram(psi, pool)) * table.phi).sum(axis=1)

    # The kernel centred by W at the shape nodes is R_ij = K_ij + o_i + o_j.
    h6, g6 = classes.shape(n_shapes)
    k6 = on_basis @ (table.psi.T @ (h6 * count))
    W, g = h6[index], g6[index]
    S6, Wk6 = W.sum(axis=0), (W * k6).sum(axis=0)
    o = Wk6 / (2.0 * S6 * S6) - k6 / S6
    go = g * o
    goo = go * o
    once = _forms(K, [g, go, goo, W * k6], pool)
    twice = _forms(square, [g, go], pool)
    thrice = _forms(cube, [g], pool)
    G = [values.sum(axis=0) for values in (g, go, goo, goo * o)]
    pairs = (
        thrice[0, 0]
        + 6.0 * twice[0, 1]
        + 6.0 * (once[0, 2] + once[1, 1])
        + 2.0 * G[0] * G[3]
        + 6.0 * G[1] * G[2]
    )
    third = 0.5 * (pairs - (g * g * (1.0 + 2.0 * o) ** 3).sum(axis=0)) / g.sum(axis=0) ** 2
    Wkk6 = (W * k6 * k6).sum(axis=0)
    centring = 3.0 * once[3, 3] / S6 - 3.0 * Wkk6 * Wk6 / S6**2 + (Wk6 / S6) ** 3

    E = (S1 - Wk / S1) / 2.0
    I_th = (S2 - 2.0 * WWk / S1 + S2 * Wk / S1**2) / 2.0
    I_hh = (S2 - 2.0 * S3 / S1 + S2**2 / S1**2) / 2.0
    c = I_th / I_hh
    I_tt = (WKKW - 2.0 / S1 * Wkk + (Wk / S1) ** 2) / 2.0
    information = I_tt
    if reference:
        WWKk = (h * h * (classes.total(K.times(Columns(on_basis), pool)) @ table.phi.T)).sum(axis=0)
        rows = (h * h * classes.total(square.times(Columns(np.ones((len(index), 1))), pool))).sum(axis=0)
        information = (rows - 2.0 / S1 * WWKk + S2 * kk / S1**2) / 2.0
    kept = on_basis if keep else on_basis[:0].copy()
    return KernelSums(Moments(E, information - c * I_th, c), I_tt, kept, Wk, third, centring)


def _forms(kernel: SpotKernel, columns: Sequence[Array], pool: Executor) -> Array:
    """a_j' K b_j for each column j of any two of some arrays (N, C): (arrays, arrays, C)."""
    count = columns[0].shape[1]
    gram = kernel.gram(Columns(np.column_stack(columns)), pool)
    found: Array = np.einsum("ajbj->abj", gram.reshape(len(columns), count, len(columns), count))
    return found


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
