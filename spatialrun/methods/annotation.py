"""Columns of a table joined to spots or genes by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from spatialrun.errors import DataError


def join(names: Sequence[str], table: pd.DataFrame) -> tuple[dict[str, np.ndarray | pd.Categorical], int]:
    """Bring a table's columns into the order of ``names``.

    Parameters
    ----------
    names
        (N,) names of spots or genes.
    table
        Any number of rows in any order, indexed by name.

    Returns
    -------
    Column name to (N,) values, and how many names the table has. Numbers become float64 with NaN where a name
    is absent (or keep their type when none is), everything else a categorical, in natural order (``2`` before
    ``10``) unless the column came with an order; empty text is missing.

    Raises
    ------
    DataError
        ``data.table`` when the table names something twice, or has none of ``names``.
    """
    index = table.index.astype(str)
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise DataError(
            "data.table", f"the table has several rows for {twice}", hint="Keep one row for each name."
        )
    rows = index.get_indexer(pd.Index(names))
    matched = int((rows >= 0).sum())
    if not matched:
        raise DataError(
            "data.table",
            f"none of {len(names)} names is in the table: it has {index[0] if len(index) else 'no rows'}, "
            f"the sample {names[0]}",
            hint="Are the names in another column (`index`), or with another suffix (-1)?",
        )
    ordered = table.set_axis(index, axis=0).reindex(list(names))
    return {str(name): _values(column) for name, column in ordered.items()}, matched


def _values(column: pd.Series[Any]) -> np.ndarray | pd.Categorical[Any]:
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy()
    if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        return pd.Categorical(column)
    missing = column.isna()
    text = ["" if absent else str(label).strip() for label, absent in zip(column, missing, strict=True)]
    return pd.Categorical(text, categories=sorted(set(text) - {""}, key=_natural))


def _natural(label: str) -> list[tuple[int, int, str]]:
    """Sort key that takes runs of digits as numbers."""
    parts = re.split(r"(\d+)", label)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]
