"""Eigenvalues of P^½ K P^½ for kernels over many spots: all of them from a grid, or their density.

A kernel that reaches far has few that matter: those of the grid's F'PF, in which a product of two Gaussians is
one around the middle of their nodes. A local kernel has about as many as spots, and only their density is asked
for: Lanczos' Gauss quadrature from random signs, corrected to the exact second and third cumulants (the third is
a plain sum: a cycle of three Gaussians is one around its centre).
"""

from __future__ import annotations

from concurrent.futures import Executor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.csgraph import connected_components

from spatialrun.methods.spatialde.grid import (
    COARSE,
    FINE,
    Grid,
    Precision,
    SpotKernel,
    Spots,
    Taps,
    gaussian_taps,
)
from spatialrun.methods.spatialde.neighbours import NeighbourKernel
from spatialrun.methods.spatialde.spectrum import RESIDUAL, group_edges
from spatialrun.methods.spatialde.vectors import LANES

Array = NDArray[np.float64]

MOST_NODES = 1500  # of a grid whose eigenvalues are computed one by one
LARGEST_COMPONENT = 300  # spots that are connected by neighbours
STEPS = 40
PROBES = 1, 16  # fewest and most random signs
PROBED = 100_000  # spots times signs that make the density exact to some parts in a thousand
SEED = 20211027
MIDDLE = {
    FINE: 24,
    COARSE: 16,
}  # nodes that the Gaussian around the middle of two nodes reaches, in half steps
LEFT_OUT = {FINE: 1e-11, COARSE: 1e-4}  # of the kernel along an axis, by what its nodes are reduced to
PLACES = 2000  # of an axis, at which that is looked at


def precision_of(spots: Spots, lengthscale: float) -> Precision | None:
    """The finest grid whose eigenvalues can be computed one by one; None where none can."""
    for precision in (FINE, COARSE):
        nodes_x, nodes_y = (precision.nodes(extent, lengthscale) for extent in spots.extents)
        if nodes_x * nodes_y <= MOST_NODES:
            return precision
    return None


def grid_eigenvalues(spots: Spots, lengthscale: float, precision: Precision, W: Array) -> list[Array]:
    """All eigenvalues of F'PF that matter, descending, for each column of ``W`` (N, at most LANES).

    Nodes overlap and some lie beyond the spots: along an axis fewer directions hold as much as the grid is exact
    to, and of the matrix over their pairs the eigenvalues are computed.
    """
    grid = Grid.of(spots, lengthscale, precision)
    rows, columns = grid.shape
    weights = np.zeros((len(spots), LANES))
    weights[:, : W.shape[1]] = W
    sums = grid.spread(weights)
    half = lengthscale / (2.0 * precision.density)
    width = MIDDLE[precision]
    middle = Grid(
        spots,
        *(
            gaussian_taps(axis, lengthscale / np.sqrt(2.0), half, width, normalised=False)
            for axis in (spots.x, spots.y)
        ),
    )
    between = middle.spread(weights)
    # Nodes a and b of the grid meet in the middle at a + b, counted from where both begin.
    first = width // 2 - 1 - (precision.width - 2)
    padded = np.zeros((LANES, 2 * rows - 1, 2 * columns - 1))
    inside_y = np.arange(2 * rows - 1) + first
    inside_x = np.arange(2 * columns - 1) + first
    ok_y = (inside_y >= 0) & (inside_y < between.shape[0])
    ok_x = (inside_x >= 0) & (inside_x < between.shape[1])
    padded[:, *np.ix_(ok_y, ok_x)] = np.moveaxis(between, 2, 0)[:, *np.ix_(inside_y[ok_y], inside_x[ok_x])]
    norm = 2.0 * half / (lengthscale * np.sqrt(np.pi / 2.0))
    gaussian_y, gaussian_x = (
        norm * np.exp(-np.square(np.subtract.outer(np.arange(n), np.arange(n)) / precision.density) / 2.0)
        for n in (rows, columns)
    )
    a, b = (
        np.add.outer(np.arange(rows), np.arange(rows)),
        np.add.outer(np.arange(columns), np.arange(columns)),
    )
    y, x = (_axis_directions(taps, LEFT_OUT[precision]) for taps in (grid.y, grid.x))
    found = []
    for node in range(W.shape[1]):
        across = x.T @ (padded[node][:, b] * gaussian_x) @ x
        M = np.einsum("rsqv,rp,su->pquv", across[a] * gaussian_y[:, :, None, None], y, y, optimize=True)
        f = (y.T @ sums[:, :, node] @ x).ravel()
        M = M.reshape(len(f), len(f)) - np.outer(f, f) / W[:, node].sum()
        found.append(np.linalg.eigvalsh(M)[::-1])
    return found


def _axis_directions(taps: Taps, left_out: float) -> Array:
    """Orthonormal directions over an axis's nodes, (nodes, r), that hold all but a share of the kernel there."""
    some = np.unique(np.linspace(0, len(taps.base) - 1, PLACES).astype(np.int64))
    F = taps.rows(some)
    values, vectors = np.linalg.eigh(F.T @ F)
    held = np.cumsum(np.maximum(values, 0.0))
    found: Array = vectors[:, held > left_out * held[-1]]
    return found


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
    weights = np.zeros((len(spots), LANES))
    weights[:, : W.shape[1]] = W
    sums = Grid(spots, *taps).spread(weights)[:, :, : W.shape[1]]
    found: Array = 3.0 / (np.pi * scale**2) * step**2 * (sums**3).sum(axis=(0, 1))
    return found


def quadrature(kernel: SpotKernel, W: Array, pool: Executor) -> list[tuple[Array, Array]]:
    """Eigenvalues of P^½ K P^½ that stand for all, and how many each stands for, for each column of ``W``."""
    n, nodes = W.shape
    probes = min(max(-(-PROBED // n), PROBES[0]), PROBES[1])
    count = probes * nodes

    def run(start: int) -> list[tuple[Array, Array]]:
        lanes = np.minimum(np.arange(start, start + LANES), count - 1)
        signs = np.empty((n, LANES))
        for lane, place in enumerate(lanes):
            rng = np.random.default_rng([SEED, int(place) // nodes])
            signs[:, lane] = rng.integers(0, 2, n) * 2.0 - 1.0
        return lanczos(kernel, np.sqrt(W[:, lanes % nodes]), signs)

    atoms = [atom for part in pool.map(run, range(0, count, LANES)) for atom in part][:count]
    found = []
    for node in range(nodes):
        mine = atoms[node::nodes]
        found.append((np.concatenate([v for v, _ in mine]), np.concatenate([w for _, w in mine]) / probes))
    return found


def lanczos(kernel: SpotKernel, root: Array, start: Array) -> list[tuple[Array, Array]]:
    """Gauss quadrature of the eigenvalues of P^½ K P^½ seen from ``start``, a lane of ``root`` = √W each."""
    q = root / np.sqrt((root * root).sum(axis=0))
    x = start - q * (q * start).sum(axis=0)
    total = (x * x).sum(axis=0)
    x /= np.sqrt(total)
    before, beta = np.zeros_like(x), np.zeros(LANES)
    diagonal, off_diagonal = [], []
    for _ in range(STEPS):
        y = kernel.times(root * x)
        y *= root
        y -= q * (q * y).sum(axis=0)
        alpha = (x * y).sum(axis=0)
        y -= alpha * x
        y -= beta * before
        beta = np.sqrt((y * y).sum(axis=0))
        diagonal.append(alpha)
        off_diagonal.append(beta)
        before, x = x, y / np.where(beta > 0.0, beta, 1.0)
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
