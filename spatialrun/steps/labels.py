"""Columns of obs that sort spots into groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spatialrun.errors import DataError, Where

if TYPE_CHECKING:
    import pandas as pd


def as_labels(values: Any, column: str) -> pd.Categorical:
    """A column of obs as categories; empty text is no label.

    Raises
    ------
    DataError
        ``data.values`` where it holds numbers with fractions.
    """
    import pandas as pd

    if not isinstance(values, pd.Categorical) and values.dtype.kind == "f":
        raise DataError(
            "data.values",
            f"the column {column} holds numbers with fractions, not labels",
            where=Where(slot=f"obs/{column}"),
        )
    labels = values if isinstance(values, pd.Categorical) else pd.Categorical(values)
    return labels.remove_categories([label for label in labels.categories if str(label) == ""])
