"""What slots hold in memory.

numpy arrays (numbers, booleans, strings), pandas categoricals and data frames, scipy sparse matrices, xarray
images (dimensions c, y, x; channel names on c; ``scalef`` among the attributes: image pixels per full-resolution
pixel), nested mappings of these with plain scalars, and :class:`FileBytes`. What is too large for memory
is written from a :class:`ColumnStream`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csc_matrix

Value = Any

STRETCH = 1 << 22
"""Entries of a matrix that are taken at once."""
SMALL = 1 << 23
"""Entries of a matrix that stays in memory where large parts of it are read one by one."""


def is_small(nnz: int) -> bool:
    """Whether a sparse matrix of so many entries is read once, for all the parts of it that are asked for."""
    return nnz <= SMALL


@dataclass(frozen=True)
class FileBytes:
    """A small file as a value, such as a figure; ``suffix`` with its dot (``.png``). Notebooks show pictures."""

    content: bytes = field(repr=False)
    suffix: str

    def _repr_png_(self) -> bytes | None:
        return self.content if self.suffix == ".png" else None

    def _repr_svg_(self) -> str | None:
        return self.content.decode() if self.suffix == ".svg" else None


@dataclass(frozen=True, eq=False)
class ColumnStream:
    """A sparse matrix (N, G) by columns, of which only some columns are ever in memory.

    Stored, it is the same object as the whole matrix as CSC.

    Attributes
    ----------
    shape
        N and G.
    dtype
        Of the values.
    indptr
        (G + 1,) int64: where each column's entries begin.
    entries
        Takes ``start`` and ``stop``; returns values and rows of the columns between, rows ascending in each.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    indptr: np.ndarray
    entries: Callable[[int, int], tuple[np.ndarray, np.ndarray]]
    format = "csc"

    @classmethod
    def of(cls, matrix: csc_matrix) -> ColumnStream:
        """Return a matrix that is in memory as a stream; its rows ascend in each column."""
        import numpy as np

        matrix = matrix if matrix.has_sorted_indices else matrix.sorted_indices()

        def entries(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
            span = slice(matrix.indptr[start], matrix.indptr[stop])
            return matrix.data[span], matrix.indices[span]

        return cls(matrix.shape, matrix.dtype, matrix.indptr.astype(np.int64), entries)

    @property
    def nnz(self) -> int:
        """Number of entries."""
        return int(self.indptr[-1])

    @property
    def index_dtype(self) -> type[np.integer[Any]]:
        """The type that holds every index: int32, except for matrices of more than 2147483647 entries or rows."""
        import numpy as np

        return np.int32 if max(self.nnz, self.shape[0]) <= np.iinfo(np.int32).max else np.int64

    def stretches(
        self, size: int = STRETCH, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Yield ranges of the columns ``start`` to ``stop``, of up to so many entries and at least one column."""
        last = self.shape[1] if stop is None else stop
        while start < last:
            end = int(self.indptr.searchsorted(self.indptr[start] + size, side="right")) - 1
            end = min(max(end, start + 1), last)
            yield start, end
            start = end

    def columns(self, start: int, stop: int) -> csc_matrix:
        """Load columns ``start`` to ``stop``."""
        from scipy.sparse import csc_matrix

        data, indices = self.entries(start, stop)
        indptr = (self.indptr[start : stop + 1] - self.indptr[start]).astype(indices.dtype)
        matrix = csc_matrix((self.shape[0], stop - start), dtype=data.dtype)
        matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
        return matrix

    def tocsc(self) -> csc_matrix:
        """Load the whole matrix."""
        return self.columns(0, self.shape[1])
