"""The slide of a Visium HD sample: the place of every bin, and what coarser bins are made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spatialrun.errors import DataError, Where

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Slide:
    """Every bin of the slide, as ``tissue_positions`` lists them."""

    def __init__(self, path: Path) -> None:
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        from spatialrun.readers.positions import COLUMNS, read_positions

        self._where = Where(file=str(path))
        if path.suffix != ".parquet":
            table = read_positions(path)
            self._names = pa.array(table.index, type=pa.string())
            columns = {name: table[name].to_numpy() for name in COLUMNS[1:]}
        else:
            # As arrow has them: as Python's strings, the names alone would take the memory that a bin may.
            try:
                arrow = pq.read_table(path)
                missing = [name for name in COLUMNS if name not in arrow.column_names]
                if missing:
                    raise ValueError(f"it lacks the columns {', '.join(missing)}")
                self._names = arrow["barcode"].combine_chunks()
                columns = {name: arrow[name].to_numpy() for name in COLUMNS[1:]}
            except (ValueError, OSError) as error:  # pyarrow's errors are ValueErrors
                raise DataError(
                    "data.bad-file", f"{path.name} cannot be read: {error}", where=self._where
                ) from error
        try:
            self._in_tissue = columns["in_tissue"].astype(np.int8).astype(bool)
            self._row, self._col = (columns[name].astype(np.int32) for name in ("array_row", "array_col"))
            self._x = columns["pxl_col_in_fullres"].astype(np.float64)
            self._y = columns["pxl_row_in_fullres"].astype(np.float64)
        except ValueError as error:
            raise DataError(
                "data.bad-file", f"{path.name} holds values that are no numbers: {error}", where=self._where
            ) from error

    def rows_of(self, barcodes: np.ndarray, unplaced: Literal["error", "drop"]) -> np.ndarray:
        """(M,): each barcode's row; -1 where there is none."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from spatialrun.readers.sample import some

        names = pa.array(barcodes).cast(pa.string())
        for what, found in (("the matrix", names), ("the positions", self._names)):
            if len(pc.unique(found)) < len(found):
                counted = pc.value_counts(found)
                again = [entry["values"].as_py() for entry in counted.filter(pc.greater(counted.field(1), 1))]
                raise DataError(
                    "data.barcodes", f"barcodes stand twice in {what}: {some(again)}", where=self._where
                )
        rows: np.ndarray = pc.fill_null(pc.index_in(names, value_set=self._names), -1).to_numpy()
        placed = int((rows >= 0).sum())
        if placed < len(rows) and (unplaced == "error" or not placed):
            without = [barcodes[i].decode() for i in np.flatnonzero(rows < 0)[:4].tolist()]
            raise DataError(
                "data.barcodes",
                f"{placed} of {len(rows)} barcodes of the matrix have a position; without one: {some(without)}; "
                f"barcodes of the positions: {some(self._names[:3].to_pylist())}",
                where=self._where,
                hint="The matrix and the positions are of different samples, or one was cut."
                + (" To go on without these bins: unplaced: drop." if placed else ""),
            )
        return rows

    def bins(self, rows: np.ndarray) -> pd.DataFrame:
        """in_tissue, array_row, array_col, x and y of some rows."""
        import pandas as pd

        columns = {"in_tissue": self._in_tissue, "array_row": self._row, "array_col": self._col}
        columns |= {"x": self._x, "y": self._y}
        return pd.DataFrame({name: values[rows] for name, values in columns.items()})

    def coarser(self, rows: np.ndarray, factor: int) -> tuple[pd.DataFrame, np.ndarray]:
        """As `bins`, of the coarser bins that hold these rows, and in which of them each row (or none, -1) is."""
        import numpy as np
        import pandas as pd

        width = int(self._col.max()) // factor + 1
        of_slide = self._row.astype(np.int64) // factor * width + self._col // factor
        placed = rows >= 0
        keys, inverse = np.unique(of_slide[rows[placed]], return_inverse=True)
        row_of = np.full(len(rows), -1)
        row_of[placed] = inverse
        nearest = np.minimum(np.searchsorted(keys, of_slide), len(keys) - 1)
        within = np.flatnonzero(keys[nearest] == of_slide)
        parent = nearest[within]
        number = np.bincount(parent, minlength=len(keys))
        columns = {
            "in_tissue": np.bincount(inverse, self._in_tissue[rows[placed]], len(keys)) > 0,
            "array_row": (keys // width).astype(np.int32),
            "array_col": (keys % width).astype(np.int32),
            "x": np.bincount(parent, self._x[within], len(keys)) / number,
            "y": np.bincount(parent, self._y[within], len(keys)) / number,
        }
        return pd.DataFrame(columns), row_of
