"""Where the spots lie: ``tissue_positions`` of Space Ranger in its three formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spatialrun.errors import DataError, Where
from spatialrun.readers.sample import some

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")


PIECE = 1 << 16
"""Rows that are read at once."""
_BUFFER = 1 << 20
"""Bytes of a column of a parquet file that are read at once: else all of a row group, which may be the file."""


def read_positions(path: Path) -> pd.DataFrame:
    """Read a positions file, with or without header, csv or parquet.

    Returns
    -------
    One row per spot of the slide, indexed by ``barcode``: ``in_tissue`` (bool), ``array_row`` and
    ``array_col`` (int32), ``pxl_row_in_fullres`` (y) and ``pxl_col_in_fullres`` (x; both float64, pixels).

    Raises
    ------
    DataError
        ``data.missing-file``; ``data.bad-file`` for other columns or values than Space Ranger's;
        ``data.barcodes`` for a barcode that stands there twice.
    """
    import pyarrow as pa

    whole = pa.Table.from_batches(pieces(path), _schema(COLUMNS))
    table: pd.DataFrame = whole.to_pandas().set_index("barcode")
    if twice := list(table.index[table.index.duplicated()]):
        raise DataError(
            "data.barcodes",
            f"barcodes stand twice in {path.name}: {some(twice)}",
            where=Where(file=str(path)),
        )
    return table


def pieces(path: Path, columns: Sequence[str] = COLUMNS) -> Iterator[Any]:
    """Read columns of a positions file a stretch of rows at a time: a slide may have millions.

    Yields
    ------
    ``pyarrow.RecordBatch``: the columns in their order, of the types that `read_positions` tells; without nulls
    but for the barcodes' and the pixels'.

    Raises
    ------
    DataError
        As `read_positions`, save that barcodes may stand there twice.
    """
    where = Where(file=str(path))
    try:
        for batch in _batches(path, columns):
            yield _typed(batch, columns, path)
    except FileNotFoundError as error:
        raise DataError("data.missing-file", f"there is no file {path.name}", where=where) from error
    except _UNREADABLE as error:
        raise DataError("data.bad-file", f"{path.name} cannot be read: {error}", where=where) from error


_UNREADABLE = (OSError, ValueError, TypeError, NotImplementedError)
"""What pandas and pyarrow raise about files and values: all errors of theirs are kinds of these."""


def _batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Columns of a positions file as they stand there, in whatever order."""
    import pandas as pd
    import pyarrow as pa

    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path, buffer_size=_BUFFER) as file:
            _check_columns(file.schema_arrow.names, path)
            yield from file.iter_batches(PIECE, use_threads=False, columns=list(columns))
        return
    # Told by content, not by name: files with a header are around under the headerless name.
    with path.open(encoding="utf-8-sig") as text:
        headed = text.readline().startswith(COLUMNS[0])
    with pd.read_csv(
        path,
        header=0 if headed else None,
        names=None if headed else list(COLUMNS),
        index_col=False,
        dtype={"barcode": str},
        float_precision="round_trip",
        encoding="utf-8-sig",
        chunksize=PIECE,
    ) as chunks:
        for chunk in chunks:
            _check_columns(chunk.columns, path)
            yield pa.RecordBatch.from_pandas(chunk[list(columns)], preserve_index=False)


def _check_columns(found: Iterable[str], path: Path) -> None:
    there = list(found)
    if missing := [name for name in COLUMNS if name not in there]:
        raise DataError(
            "data.bad-file",
            f"{path.name} lacks the columns {some(missing, 6)} (found: {some(there, 8)})",
            where=Where(file=str(path)),
        )


def _schema(columns: Sequence[str]) -> Any:
    import pyarrow as pa

    whole, pixels = pa.int32(), pa.float64()
    kinds = dict(zip(COLUMNS, (pa.string(), pa.bool_(), whole, whole, pixels, pixels), strict=True))
    return pa.schema([(name, kinds[name]) for name in columns])


def _typed(batch: Any, columns: Sequence[str], path: Path) -> Any:
    import pyarrow as pa

    schema, arrays = _schema(columns), []
    for name, kind in zip(columns, schema.types, strict=True):
        try:
            values = batch.column(name)
            if pa.types.is_boolean(kind):
                values = values.cast(pa.int8())
            arrays.append(values.cast(kind))
            if name in COLUMNS[1:4] and values.null_count:
                raise ValueError("some are empty")
        except _UNREADABLE as error:
            numbers = "whole numbers" if name in COLUMNS[1:4] else "numbers"
            raise DataError(
                "data.bad-file",
                f"{path.name}: {name} holds values that are no {numbers}: {error}",
                where=Where(file=str(path)),
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def place(
    barcodes: Sequence[str],
    positions: pd.DataFrame,
    *,
    where: Where,
    unplaced: Literal["error", "drop"] = "error",
) -> tuple[np.ndarray, np.ndarray]:
    """Find each barcode's row of the positions.

    Barcodes are compared as they are; where not one is found, without the ``-1`` that Space Ranger appends
    (some pipelines strip it from one of the two files).

    Returns
    -------
    kept, rows
        Indices of the barcodes that have a position, and their rows of ``positions`` (both int64).

    Raises
    ------
    DataError
        ``data.barcodes`` when barcodes have no position (with ``unplaced="drop"``: when none has);
        the same when barcodes stand twice in the matrix.
    """
    import pandas as pd

    names = pd.Index(barcodes)
    if twice := list(names[names.duplicated()]):
        raise DataError("data.barcodes", f"barcodes stand twice in the matrix: {some(twice)}", where=where)
    rows = positions.index.get_indexer(names)
    if not (rows >= 0).any():
        bare_names, bare_index = _bare(names), _bare(positions.index)
        if bare_names.is_unique and bare_index.is_unique:
            rows = bare_index.get_indexer(bare_names)
    kept = np.flatnonzero(rows >= 0)
    lost = len(names) - len(kept)
    if lost and (unplaced == "error" or not len(kept)):
        without = names[rows < 0]
        raise DataError(
            "data.barcodes",
            f"{len(kept)} of {len(names)} barcodes of the matrix have a position; "
            f"without one: {some(without)}; "
            f"barcodes of the positions: {some(positions.index[:3])}",
            where=where,
            hint="The matrix and the positions are of different samples, or one was cut."
            + (" To go on without these spots: unplaced: drop." if len(kept) else ""),
        )
    return kept, rows[kept]


def check_coordinates(spatial: np.ndarray, spots: Sequence[str], *, where: Where) -> None:
    """Refuse coordinates (N, 2) that are NaN or infinite, or the same for all of several spots.

    Raises
    ------
    DataError
        ``data.coordinates``, naming spots.
    """
    finite = np.isfinite(spatial).all(axis=1)
    if not finite.all():
        bad = [spots[i] for i in np.flatnonzero(~finite).tolist()]
        raise DataError(
            "data.coordinates",
            f"{len(bad)} of {len(spatial)} spots have no finite coordinates: {some(bad)}",
            where=where,
        )
    if len(spatial) > 1 and (spatial == spatial[0]).all():
        x, y = spatial[0]
        raise DataError(
            "data.coordinates",
            f"all {len(spatial)} spots lie at the same place, x = {x:g}, y = {y:g}",
            where=where,
        )


def _bare(names: pd.Index[str]) -> pd.Index[str]:
    """Barcodes without the number of their library (``-1``)."""
    import pandas as pd

    return pd.Index([re.sub(r"-\d+\Z", "", name) for name in names])
