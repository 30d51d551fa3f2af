"""Counts that come spot by spot turned into columns, on disk: a matrix of any size in little memory.

First pass: each part of the file is sorted by gene in memory and left as a file of its own. Second pass: a range
of genes is gathered from all of these files. A part that is there is not made again, so who was killed in the
first pass goes on with it.
"""

from __future__ import annotations

import uuid
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from spatialrun.values import ColumnStream

_MAGIC = b"spatialrun part1"
_HEAD = np.dtype([("magic", "S16"), ("genes", "<i8"), ("entries", "<i8"), ("checksum", "<u8")])
_PIECE = 1 << 22


@dataclass(frozen=True, eq=False)
class _Part:
    """Some counts by gene in an open file, which can still be read when somebody has removed its name."""

    file: IO[bytes]
    indptr: np.ndarray

    def entries(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and spots of the genes ``start`` to ``stop``."""
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        at = _HEAD.itemsize + 8 * len(self.indptr)
        return self._read(at, first, last), self._read(at + 4 * int(self.indptr[-1]), first, last)

    def _read(self, offset: int, first: int, last: int) -> np.ndarray:
        self.file.seek(offset + 4 * first)
        return np.frombuffer(self.file.read(4 * (last - first)), dtype="<i4")


class Transposition:
    """A matrix (N, G) of counts in the making.

    Parameters
    ----------
    folder
        Where parts are kept; those that are there are taken for the same parts of the same matrix.
    shape
        N and G.
    ordered
        Whether every spot is in one part alone, and earlier spots are in earlier parts.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], *, ordered: bool) -> None:
        self._folder, self._shape, self._ordered = folder, shape, ordered
        self._parts: dict[int, _Part] = {}

    def holds(self, number: int) -> bool:
        """Whether a part is there, whole, from a try before."""
        with suppress(OSError):
            part = _opened(self._path(number).open("rb"), self._shape[1])
            if part is not None:
                self._parts[number] = part
        return number in self._parts

    def add(self, number: int, counts: Any) -> None:
        """Take a part: ``scipy.sparse.csc_matrix``, (N, G) int32, sorted indices."""
        indptr = counts.indptr.astype("<i8")
        body = [indptr, counts.data.astype("<i4"), counts.indices.astype("<i4")]
        checksum = 0
        for values in body:
            checksum = zlib.crc32(values.data, checksum)
        head = np.array([(_MAGIC, self._shape[1], counts.nnz, checksum)], dtype=_HEAD)
        temporary = self._path(number).with_suffix(f".{uuid.uuid4().hex}")
        try:
            file: IO[bytes] = temporary.open("w+b")
        except FileNotFoundError:
            # Another run has come to the result and cleared the folder; this one can still finish.
            file = TemporaryFile("w+b")  # noqa: SIM115  (open for as long as the part is needed)
        for values in [head, *body]:
            file.write(values.data)
        file.flush()
        with suppress(OSError):
            temporary.replace(self._path(number))
        self._parts[number] = _Part(file, indptr)

    def stream(self) -> ColumnStream:
        """Return the matrix of all parts; what several parts have of one spot and gene is added up."""
        parts = [self._parts[number] for number in sorted(self._parts)]
        indptr = np.zeros(self._shape[1] + 1, dtype=np.int64)
        for part in parts:
            indptr += part.indptr
        kind = np.dtype(np.int32)
        raw = ColumnStream(self._shape, kind, indptr, lambda start, stop: _gathered(parts, start, stop))
        if self._ordered:
            return raw

        def summed(start: int, stop: int) -> Any:
            matrix = raw.columns(start, stop)
            matrix.sum_duplicates()
            return matrix

        def entries(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
            matrix = summed(start, stop)
            return matrix.data, matrix.indices

        lengths = [np.diff(summed(start, stop).indptr) for start, stop in raw.stretches()]
        ends = np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64)
        return ColumnStream(self._shape, kind, ends, entries)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.part"


def _gathered(parts: list[_Part], start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries of a range of genes, gene by gene, within each in the order of the parts."""
    lengths = np.zeros((stop - start, len(parts)), dtype=np.int64)
    for number, part in enumerate(parts):
        lengths[:, number] = np.diff(part.indptr[start : stop + 1])
    ends = np.cumsum(lengths).reshape(lengths.shape)
    begins = ends - lengths
    total = int(lengths.sum())
    data, spots = np.empty(total, np.int32), np.empty(total, np.int32)
    for number, part in enumerate(parts):
        values, rows = part.entries(start, stop)
        shift = begins[:, number] - (part.indptr[start:stop] - part.indptr[start])
        place = np.repeat(shift, lengths[:, number]) + np.arange(len(values))
        data[place], spots[place] = values, rows
    return data, spots


def _opened(file: IO[bytes], n_genes: int) -> _Part | None:
    """A part that another process has left; ``None`` where it is not whole."""
    content = file.read(_HEAD.itemsize)
    if len(content) < _HEAD.itemsize:
        return None
    head = np.frombuffer(content, dtype=_HEAD)[0]
    checksum, size = 0, 0
    while piece := file.read(_PIECE):
        checksum, size = zlib.crc32(piece, checksum), size + len(piece)
    expected = 8 * (n_genes + 1) + 8 * int(head["entries"])
    if (head["magic"], head["genes"], head["checksum"], size) != (_MAGIC, n_genes, checksum, expected):
        return None
    file.seek(_HEAD.itemsize)
    return _Part(file, np.frombuffer(file.read(8 * (n_genes + 1)), dtype="<i8"))
