"""Columns of values over the spots, of which a part at a time is written out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.vectors import LANES

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

ROWS = 8192


@dataclass(frozen=True)
class Columns:
    """H (N, C).

    Attributes
    ----------
    table
        (U, C) a row for each class of spots, or for each spot.
    index
        (N,) each spot's class; None where rows are the spots.
    """

    table: Array
    index: Ints | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(N, C)."""
        return len(self.table if self.index is None else self.index), self.table.shape[1]

    def rows(self, part: slice) -> Array:
        """All columns for some of the spots."""
        return self.table[part] if self.index is None else self.table[self.index[part]]

    def lanes(self, start: int) -> Array:
        """``LANES`` columns from ``start`` on, (N, LANES), padded with zeros."""
        part = self.table[:, start : start + LANES]
        padded = np.zeros((len(part), LANES))
        padded[:, : part.shape[1]] = part
        return padded if self.index is None else padded[self.index]

    def each(self, apply: Callable[[Array], Array], pool: Executor) -> list[Array]:
        """What ``apply`` makes of the ``lanes``, one stretch after the other."""
        return list(pool.map(lambda start: apply(self.lanes(start)), range(0, self.shape[1], LANES)))

    def applied(self, apply: Callable[[Array], Array], pool: Executor) -> Array:
        """(N, C) what ``apply`` makes (N, LANES) of the ``lanes``."""
        out = np.empty(self.shape)

        def fill(start: int) -> None:
            part = out[:, start : start + LANES]
            part[:] = apply(self.lanes(start))[:, : part.shape[1]]

        list(pool.map(fill, range(0, self.shape[1], LANES)))
        return out

    def parts(self) -> Iterator[slice]:
        """Some thousand spots at a time."""
        return (slice(start, start + ROWS) for start in range(0, self.shape[0], ROWS))
