"""Plain tables: counts with coordinates (`read`), and annotations of spots (`read_annotation`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spatialrun.errors import DataError, Where
from spatialrun.readers.headers import TOTALS, Headers, Size

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from spatialrun.readers.sample import Sample, Warn

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
PLACE_IN_NAME = re.compile(r"(-?\d+(?:\.\d+)?)\s*[x_,]\s*(-?\d+(?:\.\d+)?)\Z")
"""Coordinates as the name of a spot: ``16.92x9.015``."""


def locate(counts: str | Path, coordinates: str | Path | None = None) -> dict[str, Path]:
    """Check that the files are there and of a known kind, without opening them.

    Returns
    -------
    Role (``counts``, ``coordinates``) to file.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.table`` for an unknown kind of file.
    """
    files = {"counts": Path(counts)} | ({"coordinates": Path(coordinates)} if coordinates else {})
    for path in files.values():
        if not path.is_file():
            raise DataError("data.missing-file", f"there is no file {path}", where=Where(file=str(path)))
        _kind(path)
    return files


def headers(
    counts: str | Path,
    coordinates: str | Path | None = None,
    *,
    genes: Literal["columns", "rows"] = "columns",
    x: str = "x",
    y: str = "y",
) -> Headers:
    """What `read` will bring. The number of rows of a text file is counted, its cells are not parsed.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.table``.
    """
    path = Path(counts)
    n_rows, n_columns = _extent(path)
    n_spots, n_genes = (n_rows, n_columns) if genes == "columns" else (n_columns, n_rows)
    columns: list[str] = []
    if coordinates is not None:
        table = _table(Path(coordinates), rows=0)
        columns = [name for name in map(str, table.columns) if name not in (x, y, *TOTALS)]
    return Headers(size=Size(n_spots, n_genes, None), obs=(*columns, *TOTALS), var=())


def read(
    counts: str | Path,
    coordinates: str | Path | None = None,
    *,
    genes: Literal["columns", "rows"] = "columns",
    x: str = "x",
    y: str = "y",
    warn: Warn = lambda _: None,
) -> Sample:
    """Read a table of counts with the coordinates of its spots.

    Parameters
    ----------
    counts
        csv, tsv, txt (tabs) or parquet, text also gzipped. The first column holds the names of the rows.
    coordinates
        A table whose first column holds the names of the spots; its other columns become obs. Without it, the
        spots' names are coordinates: ``16.92x9.015``.
    genes
        Whether genes are the columns of the counts (spots x genes) or their rows.
    x, y
        Columns of ``coordinates``.
    warn
        Called with a line on each thing that was mended.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.table``, ``data.barcodes`` for spots without coordinates,
        ``data.counts``, ``data.coordinates``, ``data.empty``.
    """
    import numpy as np
    import pandas as pd

    from spatialrun.readers.counts import canonical_counts
    from spatialrun.readers.positions import check_coordinates, place
    from spatialrun.readers.sample import Sample, make_unique, some, with_totals

    files = locate(counts, coordinates)
    path = files["counts"]
    where = Where(file=str(path))
    table = _table(path)
    table = table if genes == "columns" else table.T
    if table.empty:
        raise DataError(
            "data.empty", f"{path.name} has {table.shape[0]} spots, {table.shape[1]} genes", where=where
        )
    spots = [str(name) for name in table.index]
    try:
        values = table.to_numpy(np.float64)
    except (ValueError, TypeError) as error:
        raise DataError("data.table", f"{path.name} holds more than numbers: {error}", where=where) from error
    names = [str(name) for name in table.columns]
    matrix = canonical_counts(values, spots=spots, genes=names, where=where)
    symbols, twice = make_unique(names)
    if twice:
        warn(f"{len(twice)} gene symbols stand several times and got a number: {some(twice)}")

    obs = pd.DataFrame(index=pd.Index(spots, dtype=object))
    if coordinates is None:
        spatial = _places_in_names(spots, where)
    else:
        beside = files["coordinates"]
        where = Where(file=str(beside))
        frame = _table(beside)
        frame.index = frame.index.astype(str)
        if missing := [name for name in (x, y) if name not in frame]:
            raise DataError(
                "data.table",
                f"{beside.name} lacks the columns {some(missing)} (found: {some(frame.columns, 8)})",
                where=where,
                hint="Name them: x: <column>, y: <column>.",
            )
        if frame.index.has_duplicates:
            again = some(frame.index[frame.index.duplicated()])
            raise DataError("data.barcodes", f"spots stand twice in {beside.name}: {again}", where=where)
        _, rows = place(spots, frame, where=where)
        frame = frame.iloc[rows].set_axis(obs.index, axis=0)
        spatial = frame[[x, y]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
        obs = frame.drop(columns=[name for name in (x, y, *TOTALS) if name in frame])
    check_coordinates(spatial, spots, where=where)
    return Sample(
        counts=matrix,
        obs=with_totals(obs, matrix),
        var=pd.DataFrame(index=pd.Index(symbols, dtype=object)),
        spatial=spatial,
    )


def read_annotation(path: str | Path, *, barcode: str | None = None) -> pd.DataFrame:
    """Read a table of labels or values of spots.

    Parameters
    ----------
    path
        csv, tsv, txt (tabs) or parquet, text also gzipped.
    barcode
        Column with the spots' names; by default ``barcode`` if there is one, else the first.

    Returns
    -------
    Indexed by barcode; columns of text are categorical, empty cells missing.

    Raises
    ------
    DataError
        ``data.missing-file``; ``data.table`` without the column, without any other, or with a barcode twice.
    """
    import pandas as pd

    from spatialrun.readers.sample import some

    path = Path(path)
    where = Where(file=str(path))
    columns = _table(path, rows=0, index=False).columns
    key = barcode if barcode is not None else "barcode" if "barcode" in columns else str(columns[0])
    if key not in columns:
        raise DataError(
            "data.table",
            f"{path.name} lacks the column {key!r} (found: {some(columns, 8)})",
            where=where,
        )
    table = _table(path, names=key, index=False).set_index(key)
    table.index = table.index.astype(str)
    if table.index.has_duplicates:
        again = some(table.index[table.index.duplicated()])
        raise DataError("data.table", f"barcodes stand twice in {path.name}: {again}", where=where)
    if table.empty:
        raise DataError("data.table", f"{path.name} has no columns or rows besides {key!r}", where=where)
    text = [name for name in table if not pd.api.types.is_any_real_numeric_dtype(table[name].dtype)]
    return table.astype({name: "category" for name in text if table[name].dtype != bool})


def _kind(path: Path) -> str:
    """``.parquet``, or a text suffix of ``SEPARATORS``."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in (*SEPARATORS, ".parquet"):
        raise DataError(
            "data.table",
            f"{path.name} is of an unknown kind {suffix or '(no suffix)'}",
            where=Where(file=str(path)),
            hint="Tables are .csv, .tsv, .txt (tabs; each also .gz) or .parquet.",
        )
    return suffix


def _table(path: Path, *, rows: int | None = None, names: str | int = 0, index: bool = True) -> pd.DataFrame:
    """The table, with its first column (in parquet: its index, where it has one) as index.

    ``names`` is the column that holds names: such as 1.10 or 007 stay what they are.
    """
    import pandas as pd

    where = Where(file=str(path))
    kind = _kind(path)
    try:
        if kind == ".parquet":
            table = pd.read_parquet(path)
            if isinstance(table.index, pd.RangeIndex):
                return table.set_index(table.columns[0]) if index else table
            return table if index else table.reset_index()
        table = pd.read_csv(
            path,
            sep=SEPARATORS[kind],
            nrows=rows,
            dtype={names: str},
            float_precision="round_trip",
        )
        return table.set_index(table.columns[0]) if index else table
    except FileNotFoundError as error:
        raise DataError("data.missing-file", f"there is no file {path}", where=where) from error
    except (ValueError, OSError, EOFError, IndexError) as error:
        raise DataError("data.table", f"{path.name} cannot be read: {error}", where=where) from error


def _extent(path: Path) -> tuple[int, int]:
    """Rows and columns without the names."""
    import pandas as pd

    if _kind(path) == ".parquet":
        from pyarrow import ArrowInvalid, parquet

        try:
            metadata = parquet.read_metadata(path)
        except (ArrowInvalid, OSError) as error:
            raise DataError(
                "data.table", f"{path.name} cannot be read: {error}", where=Where(file=str(path))
            ) from error
        return metadata.num_rows, metadata.num_columns - 1
    n_columns = _table(path, rows=0).shape[1]
    first = pd.read_csv(path, sep=SEPARATORS[_kind(path)], usecols=[0])
    return len(first), n_columns


def _places_in_names(spots: list[str], where: Where) -> np.ndarray:
    import numpy as np

    places = [PLACE_IN_NAME.match(name) for name in spots]
    if without := [name for name, found in zip(spots, places, strict=True) if found is None]:
        raise DataError(
            "data.coordinates",
            f"{len(without)} of {len(spots)} names are no coordinates, and no table has them: {without[0]}",
            where=where,
            hint="Name a table with coordinates, or name spots like 16.92x9.015.",
        )
    return np.array([[float(part) for part in found.groups()] for found in places if found])
