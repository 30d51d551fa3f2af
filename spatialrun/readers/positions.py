"""Where the spots lie: ``tissue_positions`` of Space Ranger in its three formats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from spatialrun.errors import DataError, Where
from spatialrun.readers.sample import some

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")


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
    import pandas as pd

    where = Where(file=str(path))
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            # Told by content, not by name: files with a header are around under the headerless name.
            with path.open(encoding="utf-8-sig") as file:
                headed = file.readline().startswith(COLUMNS[0])
            table = pd.read_csv(
                path,
                header=0 if headed else None,
                names=None if headed else list(COLUMNS),
                index_col=False,
                dtype={"barcode": str},
                float_precision="round_trip",
                encoding="utf-8-sig",
            )
    except FileNotFoundError as error:
        raise DataError("data.missing-file", f"there is no file {path.name}", where=where) from error
    except (ValueError, OSError) as error:  # pandas' and pyarrow's parser errors are ValueErrors
        raise DataError("data.bad-file", f"{path.name} cannot be read: {error}", where=where) from error
    table = table.reset_index() if "barcode" not in table else table
    if missing := [name for name in COLUMNS if name not in table]:
        raise DataError(
            "data.bad-file",
            f"{path.name} lacks the columns {some(missing, 6)} (found: {some(table.columns, 8)})",
            where=where,
        )
    table = table.set_index("barcode")[list(COLUMNS[1:])]
    if twice := list(table.index[table.index.duplicated()]):
        raise DataError("data.barcodes", f"barcodes stand twice in {path.name}: {some(twice)}", where=where)
    try:
        whole = {name: table[name].astype(np.int32) for name in ("array_row", "array_col")}
        pixels = {name: table[name].astype(np.float64) for name in COLUMNS[4:]}
        in_tissue = table["in_tissue"].astype(np.int8).astype(bool)
    except ValueError as error:
        raise DataError(
            "data.bad-file", f"{path.name} holds values that are no numbers: {error}", where=where
        ) from error
    return table.assign(in_tissue=in_tissue, **whole, **pixels)


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
