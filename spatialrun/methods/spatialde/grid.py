"""The gridded square root of the Gaussian: features of a squared exponential kernel at any number of spots.

exp(-d²/(2 l²)) = c Σ_u g(x - u) g(x' - u) with g(r) = exp(-r²/l²) and u on a grid: the trapezoid rule, whose
error is 2 exp(-π² ρ²/2) at ρ nodes to a lengthscale. It holds for spots anywhere; g is cut off after ``width``
nodes of an axis and is a product over the axes, so that spots that share a column or a row of a lattice share its
taps.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.columns import Columns
from spatialrun.methods.spatialde.grid_kernels import gather, spread
from spatialrun.methods.spatialde.vectors import LANES, WINDOW

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Places = NDArray[np.int32]


@dataclass(frozen=True)
class Precision:
    """Nodes to a lengthscale, and nodes of an axis on which a spot is spread (a multiple of ``LANES``)."""

    density: float
    width: int

    def nodes(self, extent: float, lengthscale: float) -> int:
        """How many nodes an axis of that length has."""
        return int(extent * self.density / lengthscale) + 1 + self.width


# Of the kernel's value: 4e-8, and 2e-4.
FINE = Precision(1.9, WINDOW)
COARSE = Precision(1.3, LANES)


@dataclass(frozen=True)
class Spots:
    """N places in the plane in the order of their rows, by the distinct values of each coordinate.

    Attributes
    ----------
    x, y
        Distinct coordinates, ascending: on a lattice a few, elsewhere as many as spots.
    ix, iy
        (N,) int32 which of them each spot has.
    """

    x: Array
    y: Array
    ix: Places
    iy: Places

    @classmethod
    def of(cls, coordinates: Array) -> Spots:
        """From (N, 2) coordinates."""
        x, ix = np.unique(coordinates[:, 0], return_inverse=True)
        y, iy = np.unique(coordinates[:, 1], return_inverse=True)
        return cls(x, y, ix.astype(np.int32), iy.astype(np.int32))

    def __len__(self) -> int:
        return len(self.ix)

    @property
    def coordinates(self) -> Array:
        """(N, 2)."""
        return np.column_stack([self.x[self.ix], self.y[self.iy]])

    @property
    def extents(self) -> tuple[float, float]:
        """Length and height of the box around all spots."""
        return float(self.x[-1] - self.x[0]), float(self.y[-1] - self.y[0])


@dataclass(frozen=True)
class Taps:
    """Weights of one axis: value j of the axis reaches ``width`` of ``count`` nodes, from node ``base[j]`` on."""

    base: Ints
    weights: Array
    count: int

    def rows(self, values: Ints | Places) -> Array:
        """(values, count) weights of some values on all nodes, with the zeros."""
        full = np.zeros((len(values), self.count))
        at = self.base[values][:, None] + np.arange(self.weights.shape[1])
        np.put_along_axis(full, at, self.weights[values], axis=1)
        return full

    def overlap(self, i: Ints | Places, j: Ints | Places) -> Array:
        """Σ_u of the products of the weights of values ``i`` and ``j``, elementwise."""
        width = self.weights.shape[1]
        shift = self.base[i] - self.base[j]
        total = np.zeros(len(i))
        for q in range(width):
            at = q + shift
            inside = (at >= 0) & (at < width)
            total += np.where(inside, self.weights[i, q] * self.weights[j, np.where(inside, at, 0)], 0.0)
        return total


def gaussian_taps(values: Array, scale: float, step: float, width: int, *, normalised: bool = True) -> Taps:
    """exp(-(x - u)²/``scale``²) at the ``width`` nodes next to each value of an axis, nodes ``step`` apart.

    ``normalised`` multiplies by the root of the c that makes Σ_u g² one.
    """
    position = (values - values[0]) / step
    base = np.floor(position).astype(np.int64)
    # In place: where every spot has coordinates of its own, these are the set-up's largest arrays.
    weights = position[:, None] - (base[:, None] + np.arange(width) - (width // 2 - 1))
    weights *= step / scale
    np.negative(np.square(weights, out=weights), out=weights)
    np.exp(weights, out=weights)
    if normalised:
        weights *= np.sqrt(step / (scale * np.sqrt(np.pi / 2.0)))
    return Taps(base, weights, int(base[-1]) + width)


class SpotKernel(Protocol):
    """A kernel matrix K over N spots that is never written out."""

    def times(self, H: Columns, pool: Executor) -> Array:
        """K H, (N, C)."""

    def gram(self, H: Columns, pool: Executor) -> Array:
        """H'K H, (C, C)."""


@dataclass(frozen=True)
class Grid:
    """A Gaussian of the spots' distance to the nodes of a grid."""

    spots: Spots
    x: Taps
    y: Taps

    @classmethod
    def of(cls, spots: Spots, lengthscale: float, precision: Precision = FINE) -> Grid:
        """The square root of the squared exponential kernel of that lengthscale."""
        step, width = lengthscale / precision.density, precision.width
        return cls(
            spots,
            gaussian_taps(spots.x, lengthscale, step, width),
            gaussian_taps(spots.y, lengthscale, step, width),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of nodes."""
        return self.y.count, self.x.count

    def spread(self, H: Array) -> Array:
        """F'H of H (N, LANES): values at the nodes, (rows, columns, LANES)."""
        nodes = np.zeros((*self.shape, LANES))
        spots, x, y = self.spots, self.x, self.y
        spread(spots.ix, spots.iy, x.base, y.base, x.weights, y.weights, np.ascontiguousarray(H), nodes)
        return nodes

    def gather(self, nodes: Array) -> Array:
        """F G of values G at the nodes, (rows, columns, LANES): (N, LANES)."""
        spots, x, y = self.spots, self.x, self.y
        out = np.zeros((len(spots), LANES))
        gather(spots.ix, spots.iy, x.base, y.base, x.weights, y.weights, nodes, out)
        return out

    def times(self, H: Columns, pool: Executor) -> Array:
        """K H, (N, C)."""
        return H.applied(lambda lanes: self.gather(self.spread(lanes)), pool)

    def nodes(self, H: Columns, pool: Executor) -> Array:
        """F'H, (rows, columns, C)."""
        return np.concatenate(H.each(self.spread, pool), axis=2)[:, :, : H.shape[1]]

    def gram(self, H: Columns, pool: Executor) -> Array:
        """H'K H, (C, C)."""
        values = self.nodes(H, pool).reshape(-1, H.shape[1])
        found: Array = values.T @ values
        return found
