"""The density of the eigenvalues of P^½ K P^½, for kernels that have too many to compute one by one.

Lanczos' Gauss quadrature from random signs, corrected to the exact second and third cumulants (the third is a
plain sum: a cycle of three Gaussians is one around its centre).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.csgraph import connected_components

from spatialrun.methods.spatialde.columns import Columns
from spatialrun.methods.spatialde.grid import Grid, Spots, gaussian_taps
from spatialrun.methods.spatialde.neighbours import NeighbourKernel
from spatialrun.methods.spatialde.spectrum import RESIDUAL, group_edges
from spatialrun.methods.spatialde.vectors import LANES

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST_COMPONENT = 300  # spots that are connected by neighbours
STEPS = 24
PROBES = 2, 16  # fewest and most random signs
PROBED = 30_000  # rows times signs that make the density exact to some parts in a thousand
SEED = 20211027


def grouped_eigenvalues(values: list[Array], rank: int) -> tuple[list[Array], list[int]]:
    """Means of groups of the first ``rank`` eigenvalues for each weight, and the groups' edges."""
    edges = group_edges(rank)
    return [np.array([v[start:stop].mean() for start, stop in pairwise(edges)]) for v in values], edges


def component_eigenvalues(K: NeighbourKernel, W: Array, c: Array) -> list[Array] | None:
    """All eigenvalues of W^½ (K - cI) W^½, descending, for each column of ``W``; None where too many connect.

    Spots without neighbours and small groups of neighbours are blocks of their own. Such a kernel is little but
    its diagonal, which is why c comes off before and not after. That W stands for P moves a single eigenvalue.
    """
    number, label = connected_components(K.upper, directed=False)
    sizes = np.bincount(label, minlength=number)
    if sizes.max() > LARGEST_COMPONENT:
        return None
    order = np.argsort(label, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    full = (K.upper + K.upper.T).tocsr()
    found: list[list[Array]] = [
        [W[order[starts[sizes == 1]], node] * (1.0 - c[node])] for node in range(W.shape[1])
    ]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - starts[label[order]]
    entries = full.tocoo()
    for size in np.unique(sizes[sizes > 1]):
        components = np.flatnonzero(sizes == size)
        index = np.full(number, -1)
        index[components] = np.arange(len(components))
        mine = index[label[entries.row]] >= 0
        blocks = np.zeros((len(components), size, size))
        rows, columns = entries.row[mine], entries.col[mine]
        blocks[index[label[rows]], place[rows], place[columns]] = entries.data[mine]
        members = order[starts[components][:, None] + np.arange(size)]
        for node in range(W.shape[1]):
            root = np.sqrt(W[members, node])
            blocks[:, np.arange(size), np.arange(size)] = 1.0 - c[node]
            found[node].append(np.linalg.eigvalsh(root[:, :, None] * blocks * root[:, None, :]).ravel())
    return [np.sort(np.concatenate(values))[::-1] for values in found]


def neighbour_cumulants(K: NeighbourKernel, W: Array) -> Array:
    """tr((WK)³) for each column of ``W``, from the elements."""
    full = (K.upper + K.upper.T).tolil()
    full.setdiag(1.0)
    full = full.tocsr()
    return np.array([w @ ((full.multiply(w).tocsr() @ full).multiply(full) @ w) for w in W.T])


def third_cumulants(spots: Spots, lengthscale: float, W: Array) -> Array:
    """tr((WK)³) for each column of ``W`` (N, at most LANES)."""
    scale, step = lengthscale * np.sqrt(2.0 / 3.0), 0.45 * lengthscale
    taps = (gaussian_taps(axis, scale, step, 16, normalised=False) for axis in (spots.x, spots.y))
    sums = Grid(spots, *taps).spread(Columns(W).lanes(0))[:, :, : W.shape[1]]
    found: Array = 3.0 / (np.pi * scale**2) * step**2 * (sums**3).sum(axis=(0, 1))
    return found


class Operator(Protocol):
    """A symmetric matrix in each lane."""

    def __len__(self) -> int: ...

    def times(self, x: Array) -> Array:
        """Apply it to x (n, LANES)."""


@dataclass(frozen=True)
class Weighted:
    """P^½ K P^½ over the spots, for ``root`` = √W (N, LANES) of each lane."""

    kernel: NeighbourKernel
    root: Array

    def __len__(self) -> int:
        return len(self.root)

    def times(self, x: Array) -> Array:
        """Apply it to x (N, LANES)."""
        q = self.root / np.sqrt((self.root * self.root).sum(axis=0))
        y = self.kernel.of_lanes(self.root * (x - q * (q * x).sum(axis=0))) * self.root
        found: Array = y - q * (q * y).sum(axis=0)
        return found


def quadrature(
    operator: Callable[[Ints], Operator], size: int, nodes: int, pool: Executor
) -> list[tuple[Array, Array]]:
    """Eigenvalues that stand for all, and how many each stands for, for each of ``nodes`` weights.

    ``operator`` gives, of matrices of ``size`` rows, those of the weights that it is asked for, a lane each.
    """
    probes = min(max(-(-PROBED // size), PROBES[0]), PROBES[1])
    count = probes * nodes

    def run(start: int) -> list[tuple[Array, Array]]:
        places = np.minimum(np.arange(start, start + LANES), count - 1)
        signs = np.empty((size, LANES))
        for lane, place in enumerate(places):
            rng = np.random.default_rng([SEED, int(place) // nodes])
            signs[:, lane] = rng.integers(0, 2, size) * 2.0 - 1.0
        return lanczos(operator(places % nodes), signs)

    atoms = [atom for part in pool.map(run, range(0, count, LANES)) for atom in part][:count]
    found = []
    for node in range(nodes):
        mine = atoms[node::nodes]
        found.append((np.concatenate([v for v, _ in mine]), np.concatenate([w for _, w in mine]) / probes))
    return found


def lanczos(operator: Operator, start: Array) -> list[tuple[Array, Array]]:
    """Gauss quadrature of an operator's eigenvalues seen from ``start`` (n, LANES)."""
    total = np.einsum("nc,nc->c", start, start)
    x = start / np.sqrt(total)
    before, beta = np.zeros_like(x), np.zeros(LANES)
    diagonal, off_diagonal = [], []
    for _ in range(STEPS):
        y = operator.times(x)
        alpha = np.einsum("nc,nc->c", x, y)
        y -= alpha * x
        y -= beta * before
        beta = np.sqrt(np.einsum("nc,nc->c", y, y))
        diagonal.append(alpha)
        off_diagonal.append(beta)
        before, x = x, y
        x /= np.where(beta > 0.0, beta, 1.0)
    found = []
    for lane in range(LANES):
        d = np.array([a[lane] for a in diagonal])
        e = np.array([b[lane] for b in off_diagonal[:-1]])
        values, vectors = eigh_tridiagonal(d, e)
        found.append((values, total[lane] * vectors[0] ** 2))
    return found


def grouped_density(
    atoms: list[tuple[Array, Array]], second: Array, third: Array, n_spots: int
) -> tuple[list[Array], list[int]]:
    """Means of groups of eigenvalues, for each weight, whose Σ λ² and Σ λ³ are ``second`` and ``third``."""
    curves = [_curve(values, counts) for values, counts in atoms]
    # Cells along the rank of the eigenvalues, of one each at first and then of 2% of their place.
    cells = np.unique(np.append(np.arange(64.0), np.floor(np.geomspace(64.0, n_spots - 1.0, 600))))
    width, middle = np.diff(cells), 0.5 * (cells[1:] + cells[:-1])
    sampled = [np.exp(np.interp(middle, *curve)) for curve in curves]
    held = np.cumsum(width * sampled[0])
    rank = int(cells[1 + int(np.searchsorted(held, (1.0 - RESIDUAL) * held[-1]))])
    edges = group_edges(min(rank, n_spots - 1))
    means = []
    for value, exact2, exact3 in zip(sampled, second, third, strict=True):
        corrected = _corrected(value, width, exact2, exact3)
        summed = np.append(0.0, np.cumsum(width * corrected))
        at = np.interp(edges, cells, summed)
        means.append(np.diff(at) / np.diff(edges))
    return means, edges


def _curve(values: Array, counts: Array) -> tuple[Array, Array]:
    """Rank and log of the eigenvalue there, from quadrature nodes: their middles."""
    order = np.argsort(-values)
    value, count = values[order], counts[order]
    rank = np.cumsum(count) - 0.5 * count
    return rank, np.log(np.maximum(value, 1e-9 * value[0]))


def _corrected(value: Array, width: Array, second: float, third: float) -> Array:
    """Eigenvalues changed by some percent, the largest least, to the exact Σ λ² and Σ λ³."""
    r = value / value[0]
    change = (1.0 - r)[:, None] * np.column_stack([np.ones_like(r), r])
    factors = np.zeros(2)
    found = value
    for _ in range(20):
        missing = np.array([second - (width * found**2).sum(), third - (width * found**3).sum()])
        slope = np.array([2.0 * (width * found * value) @ change, 3.0 * (width * found**2 * value) @ change])
        factors += np.linalg.solve(slope, missing)
        found = value * (1.0 + change @ factors)
    return found if (np.abs(factors) < 0.5).all() else value
