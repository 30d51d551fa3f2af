"""The slide of a Visium HD sample: the place of every bin of the matrix, and what coarser bins are made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spatialrun.errors import DataError, Where
from spatialrun.readers.positions import COLUMNS, pieces
from spatialrun.readers.sample import some

if TYPE_CHECKING:
    import pandas as pd

_KINDS = dict(zip(COLUMNS[1:], (np.bool_, np.int32, np.int32, np.float64, np.float64), strict=True))


class Slide:
    """The bins of a matrix, as ``tissue_positions`` lists them.

    All bins of the slide stand there, 11 million of 2 µm: the list is read in pieces, and of these is kept what
    the matrix has.

    Parameters
    ----------
    path
        The positions.
    barcodes
        (M,) bytes: those of the matrix. They are compared as they are; where not one is found, without the ``-1``
        that Space Ranger appends.
    unplaced
        What to do about barcodes that the positions lack: stop, or go on where some have one.

    Attributes
    ----------
    placed
        (M,) bool: which barcodes have a position.

    Raises
    ------
    DataError
        ``data.barcodes``: some have none, or several; ``data.bad-file``, as `positions.pieces`.
    """

    def __init__(self, path: Path, barcodes: np.ndarray, unplaced: Literal["error", "drop"]) -> None:
        import pyarrow as pa

        self._path, self._where, self._barcodes = path, Where(file=str(path)), barcodes
        self._columns: dict[str, np.ndarray] = {
            name: np.zeros(len(barcodes), kind) for name, kind in _KINDS.items()
        }
        self.placed = np.zeros(len(barcodes), dtype=bool)
        first: list[str] = []
        for bare in (False, True):
            names = _names(pa.array(barcodes), bare=bare)
            order = np.argsort(names, kind="stable")
            names = names[order]
            if (again := names[1:] == names[:-1]).any():
                if bare:
                    break
                raise self._twice("the matrix", names[1:][again])
            first = self._find(names, order, bare=bare)
            if self.placed.any():
                break
        placed = int(self.placed.sum())
        if placed < len(barcodes) and (unplaced == "error" or not placed):
            without = [barcodes[i].decode() for i in np.flatnonzero(~self.placed)[:4].tolist()]
            raise DataError(
                "data.barcodes",
                f"{placed} of {len(barcodes)} barcodes of the matrix have a position; without one: "
                f"{some(without)}; barcodes of the positions: {some(first)}",
                where=self._where,
                hint="The matrix and the positions are of different samples, or one was cut."
                + (" To go on without these bins: unplaced: drop." if placed else ""),
            )

    def bins(self) -> pd.DataFrame:
        """in_tissue, array_row, array_col, x and y of the bins that have a position, in the matrix's order."""
        import pandas as pd

        in_tissue, row, col, y, x = (values[self.placed] for values in self._columns.values())
        columns = {"in_tissue": in_tissue, "array_row": row, "array_col": col, "x": x, "y": y}
        return pd.DataFrame(columns)

    def coarser(self, factor: int) -> tuple[pd.DataFrame, np.ndarray]:
        """As `bins`, of the coarser bins that hold these, and in which of them each is; of all M, -1 for none.

        A coarser bin's place is the mean of the places of all bins of the slide within it that have one.
        """
        import pandas as pd

        row, col = (self._columns[name][self.placed] for name in COLUMNS[2:4])
        of_placed = _key(row, col, factor)
        keys, inverse = np.unique(of_placed, return_inverse=True)
        row_of = np.full(len(self.placed), -1)
        row_of[self.placed] = inverse
        number, x, y = np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys)), np.zeros(len(keys))
        for piece in pieces(self._path, COLUMNS[2:]):
            row, col, down, right = (_array(column) for column in piece.columns)
            of_slide = _key(row, col, factor)
            parent = np.minimum(np.searchsorted(keys, of_slide), len(keys) - 1)
            within = np.flatnonzero((keys[parent] == of_slide) & np.isfinite(down) & np.isfinite(right))
            parent = parent[within]
            np.add.at(number, parent, 1)
            np.add.at(x, parent, right[within])
            np.add.at(y, parent, down[within])
        columns = {
            "in_tissue": np.bincount(inverse, self._columns["in_tissue"][self.placed], len(keys)) > 0,
            "array_row": (keys >> 32).astype(np.int32),
            "array_col": (keys & 0xFFFFFFFF).astype(np.int32),
            "x": x / number,
            "y": y / number,
        }
        return pd.DataFrame(columns), row_of

    def _find(self, names: np.ndarray, order: np.ndarray, *, bare: bool) -> list[str]:
        """Take the positions of sorted names over, which are ``order`` in the matrix; return the first listed."""
        first: list[str] = []
        for piece in pieces(self._path):
            listed = _names(piece.column("barcode"), bare=bare)
            first = first or piece.column("barcode")[:3].to_pylist()
            names = names.astype(np.promote_types(names.dtype, listed.dtype), copy=False)
            nearest = np.minimum(np.searchsorted(names, listed), len(names) - 1)
            hits = np.flatnonzero(names[nearest] == listed)
            rows = order[nearest[hits]]
            ordered = np.sort(rows)
            again = np.concatenate([rows[self.placed[rows]], ordered[1:][ordered[1:] == ordered[:-1]]])
            if len(again):
                raise self._twice("the positions", self._barcodes[again])
            self.placed[rows] = True
            for name, values in self._columns.items():
                values[rows] = _array(piece.column(name))[hits]
        return first

    def _twice(self, what: str, names: np.ndarray) -> DataError:
        again = [name.decode() for name in names.tolist()]
        return DataError("data.barcodes", f"barcodes stand twice in {what}: {some(again)}", where=self._where)


def _names(barcodes: Any, *, bare: bool) -> np.ndarray:
    """Barcodes of an arrow array as bytes of one length; ``bare``: without the number of their library."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if bare:
        barcodes = pc.replace_substring_regex(barcodes.cast(pa.string()), r"-\d+\z", "")
    texts = pc.fill_null(barcodes.cast(pa.binary()), b"")
    return np.array(texts.to_numpy(zero_copy_only=False), dtype=bytes)


def _array(column: Any) -> np.ndarray:
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values


def _key(row: np.ndarray, col: np.ndarray, factor: int) -> np.ndarray:
    """One number for each coarser bin, row by row."""
    coarse: np.ndarray = (row.astype(np.int64) // factor << 32) + col // factor
    return coarse
