"""Rows of a table, chosen and printed: numbers to four digits, as many columns as the terminal has room for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from spatialrun.cli.console import GAP, print_columns, print_line
from spatialrun.comparison import Comparison
from spatialrun.errors import UsageError
from spatialrun.plots.palettes import natural_sort
from spatialrun.recipe.problems import choices, unknown

if TYPE_CHECKING:
    import pandas as pd

INDEX_NAMES = {"var": "gene", "obs": "spot"}
"""What the names of rows are called where the table does not say."""


@dataclass(frozen=True)
class Selection:
    """Which rows and columns of a table to print.

    Attributes
    ----------
    where
        Which rows to keep.
    sort
        The column to sort by; with a leading ``-``, the largest first.
    columns
        The columns, in order; all where there are none.
    head
        How many rows; all where there is none.
    """

    where: Comparison | None = None
    sort: str | None = None
    columns: tuple[str, ...] = ()
    head: int | None = None

    def of(self, frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, int]:
        """Return the rows to print, their names as the first column, and how many there are to choose from."""
        frame = _with_names(frame, name)
        if self.where is not None:
            frame = frame[self.where.mask(frame)]
        if self.sort is not None:
            column = _known(self.sort.removeprefix("-"), frame)
            ascending = not self.sort.startswith("-")
            frame = frame.sort_values(column, ascending=ascending, kind="stable")
        total = len(frame)
        if self.head is not None:
            frame = frame.head(self.head)
        return frame[self._order(frame)], total

    def _order(self, frame: pd.DataFrame) -> list[str]:
        """Return the columns to print: those that were asked for, else all.

        The ones that chose rows come first, and after them their kin: ``spatialde.padj`` of ``spatialde.rank``.
        """
        if self.columns:
            return [_known(column, frame) for column in self.columns]
        every = list(map(str, frame.columns))
        chose = [
            *(self.where.names if self.where else ()),
            *([self.sort.removeprefix("-")] if self.sort else []),
        ]
        families = {name.rpartition(".")[0] for name in chose} - {""}
        kin = [name for name in every if name.rpartition(".")[0] in families]
        return list(dict.fromkeys([every[0], *chose, *kin, *every]))


def of_domain(domain: str, markers: pd.DataFrame, found: int) -> str:
    """Say how many of the markers of all domains are one's; where there are none, who has some."""
    if found:
        return f"fetched {found} genes of domain {domain} against its neighbours"
    counts = markers["domain"].astype(str).value_counts()
    others = ", ".join(f"{name} ({counts[name]})" for name in natural_sort(counts.index)) or "none"
    return f"no gene tells domain {domain} from its neighbours; domains with markers: {others}"


def print_table(console: Console, frame: pd.DataFrame, total: int) -> None:
    """Print a table, and say what is left out of it."""
    columns = [_cells(frame[name]) for name in frame.columns]
    right = [_is_number(frame[name]) for name in frame.columns]
    shown = _fitting(console, list(map(str, frame.columns)), columns)
    header = [Text(str(name), "bold") for name in frame.columns[:shown]]
    rows: list[Sequence[str | Text]] = [header, *zip(*columns[:shown], strict=True)]
    print_columns(console, rows, right=[number for number in range(shown) if right[number]])
    if len(frame) < total:
        print_line(console, Text(f"{len(frame):,} of {total:,} rows (--head)", "dim"))
    elif total == 0:
        print_line(console, Text("no rows", "dim"))
    if hidden := list(map(str, frame.columns[shown:])):
        print_line(console, Text(f"more columns (--columns): {', '.join(hidden)}", "dim"))


def _with_names(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Make the names of the rows a column, unless they are but numbers."""
    from pandas.api.types import is_numeric_dtype

    if frame.index.name is None and is_numeric_dtype(frame.index):
        return frame
    label = str(frame.index.name or INDEX_NAMES.get(name, "name"))
    while label in frame.columns:
        label += "_name"
    return frame.rename_axis(index=label).reset_index()


def _known(name: str, frame: pd.DataFrame) -> str:
    columns = list(map(str, frame.columns))
    if name not in columns:
        hint = f"there are: {choices(columns)}"
        raise UsageError("usage", unknown("column", name, columns), hint=hint)
    return name


def _fitting(console: Console, names: list[str], columns: list[list[str]]) -> int:
    """Return how many columns the terminal has room for; away from one, all."""
    if not console.is_terminal:
        return len(columns)
    used = 0
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        used += max(map(len, [name, *column])) + (GAP if number else 0)
        if used > console.width:
            return max(1, number)
    return len(columns)


def _is_number(column: pd.Series) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return bool(is_numeric_dtype(column)) and not is_bool_dtype(column)


def _cells(column: pd.Series) -> list[str]:
    return [cell(value) for value in column.tolist()]


def cell(value: Any) -> str:
    """Return a value in a few characters: four digits of a number, ``-`` for none."""
    match value:
        case None:
            return "-"
        case bool():
            return "true" if value else "false"
        case float() if math.isnan(value):
            return "-"
        case float() if value.is_integer() and abs(value) < 1e6:
            return str(int(value))
        case float():
            return f"{value:.4g}"
    return str(value)
