"""A kernel seen from the nodes of its grid: F'PF, which has the eigenvalues of P^½ K P^½ and is smaller.

The product of the Gaussians of two nodes is one around their middle, so that F'WF needs of the weights W only
their sums around the middles of nodes, half a step apart: (F'WF)_ab = G(a - b) S((a + b)/2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.columns import Columns
from spatialrun.methods.spatialde.grid import COARSE, FINE, Grid, Precision, Spots, Taps, gaussian_taps
from spatialrun.methods.spatialde.grid_kernels import couple
from spatialrun.methods.spatialde.vectors import LANES, REACHED

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Nodes that the Gaussian around the middle of two nodes reaches, in half steps.
MIDDLE = {FINE: 24, COARSE: 16}
MARGIN = REACHED // 2
LEFT_OUT = {FINE: 1e-9, COARSE: 2e-4}  # of the kernel, by what its nodes are reduced to
PLACES = 2000  # of an axis, at which that is looked at
# Nodes of a grid whose eigenvalues are computed one by one; more where there is little else to be done.
MOST_NODES = {FINE: 1600, COARSE: 1500}
FEW_SPOTS, MOST_OF_FEW = 5000, 3000


def precision_of(spots: Spots, lengthscale: float) -> Precision | None:
    """The finest grid whose eigenvalues can be computed one by one; None where none can."""
    for precision, most in MOST_NODES.items():
        nodes_x, nodes_y = (precision.nodes(extent, lengthscale) for extent in spots.extents)
        few = precision == COARSE and len(spots) <= FEW_SPOTS
        if nodes_x * nodes_y <= (MOST_OF_FEW if few else most):
            return precision
    return None


@dataclass(frozen=True)
class NodeGram:
    """F'PF of a grid for ``LANES`` weights W.

    Attributes
    ----------
    grid
        Of ``precision``.
    between
        (2 rows - 1, 2 columns - 1, LANES) S: weights around the middles of nodes.
    sums
        (rows, columns, LANES) F'W.
    total
        (LANES,) sums of W; 1 where a lane is not used.
    """

    grid: Grid
    precision: Precision
    between: Array
    sums: Array
    total: Array

    @classmethod
    def of(cls, spots: Spots, lengthscale: float, precision: Precision, W: Array) -> NodeGram:
        """For the columns of ``W`` (N, at most LANES); lanes beyond them are zero."""
        grid = Grid.of(spots, lengthscale, precision)
        rows, columns = grid.shape
        weights = Columns(W).lanes(0)
        half, width = lengthscale / (2.0 * precision.density), MIDDLE[precision]
        scale = lengthscale / np.sqrt(2.0)
        taps = [gaussian_taps(axis, scale, half, width, normalised=False) for axis in (spots.x, spots.y)]
        found = Grid(spots, *taps).spread(weights)
        # Nodes a and b of the grid meet in the middle at a + b, counted from where both begin.
        first = width // 2 - 1 - (precision.width - 2)
        between = np.zeros((2 * rows - 1, 2 * columns - 1, LANES))
        y, x = (np.arange(2 * n - 1) + first for n in (rows, columns))
        inside_y, inside_x = (y >= 0) & (y < len(found)), (x >= 0) & (x < found.shape[1])
        between[np.ix_(inside_y, inside_x)] = found[np.ix_(y[inside_y], x[inside_x])]
        total = np.ones(LANES)
        total[: W.shape[1]] = W.sum(axis=0)
        return cls(grid, precision, between, grid.spread(weights), total)

    def __len__(self) -> int:
        rows, columns = self.grid.shape
        return rows * columns

    def coupling(self, distance: Array) -> Array:
        """G of an axis at so many nodes' distance."""
        density = self.precision.density
        found: Array = np.exp(-np.square(distance / density) / 2.0) / (density * np.sqrt(np.pi / 2.0))
        return found

    @cached_property
    def directions(self) -> tuple[Array, Array, list[int]]:
        """Directions along y and x, (nodes, r), and with how many of x each of y makes pairs that matter."""
        (y, in_y), (x, in_x) = (_axis_directions(taps) for taps in (self.grid.y, self.grid.x))
        counts = _pairs(in_y, in_x, LEFT_OUT[self.precision])
        return y[:, : len(counts)], x[:, : counts[0]], counts

    def eigenvalues(self, lane: int) -> Array:
        """All that matter, descending.

        Nodes overlap and some lie beyond the spots: fewer directions, pairs of one along each axis, hold as much
        as the grid is exact to, and of the matrix over them the eigenvalues are computed.
        """
        y, x, counts = self.directions
        across = self._reduced(self.between[:, :, lane].T, x)
        both = self._reduced(np.moveaxis(across, 2, 0), y)
        f = y.T @ self.sums[:, :, lane] @ x
        f = np.concatenate([part[:count] for part, count in zip(f, counts, strict=True)])
        rows = [
            np.concatenate([part[:count, :many] for part, many in zip(both[p], counts, strict=True)], axis=1)
            for p, count in enumerate(counts)
        ]
        M = np.concatenate(rows) - np.outer(f, f) / self.total[lane]
        found: Array = np.maximum(np.linalg.eigvalsh(M)[::-1], 0.0)
        return found

    def _reduced(self, between: Array, directions: Array) -> Array:
        """Σ_rs v_p(r) G(r - s) v_u(s) S(r + s) of an axis, (p, u, others), for S (2 n - 1, others)."""
        n, many = directions.shape
        flat = between.reshape(len(between), -1)
        coupling = self.coupling(np.subtract.outer(*[np.arange(float(n))] * 2))
        half = np.array([(directions * coupling[r][:, None]).T @ flat[r : r + n] for r in range(n)])
        found: Array = (directions.T @ half.reshape(n, -1)).reshape(many, many, *between.shape[1:])
        return found


def _axis_directions(taps: Taps) -> tuple[Array, Array]:
    """Orthonormal directions over an axis's nodes, columns, and what each holds of the kernel, descending."""
    some = np.unique(np.linspace(0, len(taps.base) - 1, PLACES).astype(np.int64))
    F = taps.rows(some)
    values, vectors = np.linalg.eigh(F.T @ F)
    return vectors[:, ::-1], np.maximum(values[::-1], 0.0)


def _pairs(y: Array, x: Array, left_out: float) -> list[int]:
    """With how many of ``x`` each of ``y``, descending both, makes the products that hold all but a share."""
    held = np.multiply.outer(y, x)
    ascending = np.sort(held, axis=None)
    least = ascending[np.searchsorted(np.cumsum(ascending), left_out * held.sum())]
    return [int(count) for count in (held >= least).sum(axis=1) if count]


class NodeOperator:
    """F'PF applied to vectors, each lane of which may have another of a gram's weights."""

    def __init__(self, gram: NodeGram, lanes: Ints) -> None:
        rows, columns, _ = gram.sums.shape
        self.shape = rows, columns
        self.between = np.zeros((2 * rows - 1 + 2 * MARGIN, 2 * columns - 1 + 2 * MARGIN, LANES))
        self.between[MARGIN:-MARGIN, MARGIN:-MARGIN] = gram.between[:, :, lanes]
        self.sums = gram.sums[:, :, lanes].reshape(-1, LANES)
        self.total = gram.total[lanes]
        along = gram.coupling(np.arange(float(REACHED)) - MARGIN)
        self.taps = np.multiply.outer(along, along)
        self.padded = np.zeros((rows + 2 * MARGIN, columns + 2 * MARGIN, LANES))

    def __len__(self) -> int:
        return len(self.sums)

    def times(self, x: Array) -> Array:
        """F'PF x for x (nodes, LANES)."""
        self.padded[MARGIN:-MARGIN, MARGIN:-MARGIN] = x.reshape(*self.shape, LANES)
        out = np.zeros((*self.shape, LANES))
        couple(self.between, self.taps, self.padded, out)
        found = out.reshape(-1, LANES)
        found -= self.sums * (np.einsum("nc,nc->c", self.sums, x) / self.total)
        return found
