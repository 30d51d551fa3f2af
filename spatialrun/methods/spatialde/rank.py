"""Kernels that reach across the sample: few features, a product over the two axes."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.columns import Columns
from spatialrun.methods.spatialde.grid import Spots

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

RESIDUAL = 1e-14


def axis_features(values: Array, lengthscale: float, most: int) -> Array | None:
    """A (values, r) with A A' = exp(-(x - x')²/(2 l²)) to 1e-14, by pivoted Cholesky; None where r > ``most``."""
    scaled = values / (np.sqrt(2.0) * lengthscale)
    left = np.ones(len(values))
    columns: list[Array] = []
    while left.max() > RESIDUAL:
        if len(columns) == most:
            return None
        pivot = int(left.argmax())
        column = np.exp(-np.square(scaled - scaled[pivot]))
        for known in columns:
            column -= known * known[pivot]
        column /= np.sqrt(left[pivot])
        columns.append(column)
        left = np.maximum(left - column * column, 0.0)
        left[pivot] = 0.0
    return np.column_stack(columns)


@dataclass(frozen=True)
class AxisProduct:
    """Features A_p(x) B_q(y) of the spots for those pairs (p, q) that are in ``pairs``.

    Attributes
    ----------
    x, y
        (distinct coordinates, r) features of each axis.
    pairs
        (r of y, r of x) which products there are: the others are too small to matter.
    """

    spots: Spots
    x: Array
    y: Array
    pairs: Bools

    @classmethod
    def of(cls, spots: Spots, lengthscale: float, most: int) -> AxisProduct | None:
        """Of the squared exponential kernel of that lengthscale; None where it has over ``most`` features."""
        # The rank of an axis is about 8 + 2.4 times its length in lengthscales.
        least = np.prod([2.0 + 2.0 * extent / lengthscale for extent in spots.extents])
        if least > most:
            return None
        x = axis_features(spots.x, lengthscale, most)
        y = axis_features(spots.y, lengthscale, most)
        if x is None or y is None:
            return None
        largest_x, largest_y = np.square(x).max(axis=0), np.square(y).max(axis=0)
        pairs = largest_y[:, None] * largest_x > RESIDUAL
        return cls(spots, x, y, pairs) if pairs.sum() <= most else None

    def features(self, rows: slice) -> Array:
        """(spots, R) for some of the spots."""
        q, p = np.nonzero(self.pairs)
        ix, iy = self.spots.ix[rows], self.spots.iy[rows]
        found: Array = self.x[ix][:, p] * self.y[iy][:, q]
        return found

    def total(self, H: Columns, pool: Executor) -> Array:
        """F'H, (R, C)."""
        found = np.zeros((int(self.pairs.sum()), H.shape[1]))
        for part in pool.map(lambda rows: self.features(rows).T @ H.rows(rows), H.parts()):
            found += part
        return found

    def times(self, H: Columns, pool: Executor) -> Array:
        """K H, (N, C)."""
        total = self.total(H, pool)
        return np.concatenate(list(pool.map(lambda rows: self.features(rows) @ total, H.parts())))

    def gram(self, H: Columns, pool: Executor) -> Array:
        """H'K H, (C, C)."""
        total = self.total(H, pool)
        return total.T @ total
