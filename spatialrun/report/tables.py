"""The tables of a run that a reader searches: spatially variable genes, markers, comparisons."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.store.elements import ObjectRef
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 5000
CELLS = 600_000
"""Most cells of all tables together: some six megabytes."""
DIGITS = 4


@dataclass(frozen=True)
class Table:
    """A table, or its first rows.

    Attributes
    ----------
    title, sample
        What it is, and of which sample.
    columns
        Their names; the first names the rows.
    rows
        Plain values: texts, numbers to four digits, ``None`` where there is none.
    total
        How many rows it has in the store.
    """

    title: str
    sample: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int


def tables_of(store: Store, run: Run) -> tuple[Table, ...]:
    """Return the tables of genes that were tested, and all that steps wrote as tables."""
    found = [*_genes(store, run), *_written(store, run)]
    left = CELLS
    tables = []
    for title, sample, frame in found:
        rows = min(len(frame), MOST_ROWS, left // (1 + frame.shape[1]))
        left -= rows * (1 + frame.shape[1])
        tables.append(_table(title, sample, frame, rows))
    return tuple(tables)


def _genes(store: Store, run: Run) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield for every test of genes its columns in ``var``, the best gene first."""
    import pandas as pd

    for task in run.tasks.values():
        if task.uses.startswith("svg.") and (refs := _columns(task)):
            names = pd.Index(store.element(run.slots(task.sample)["axes/var"]).read())
            frame = pd.DataFrame({name: store.element(ref).read() for name, ref in refs.items()}, index=names)
            rank = next((name for name in refs if name.endswith("rank")), None)
            yield task.step, task.sample, frame if rank is None else _ranked(frame, rank)


def _columns(task: TaskEntry) -> dict[str, ObjectRef]:
    return {name_of(slot): ref for slot, ref in task.outputs.items() if group_of(slot) == "var"}


def _ranked(frame: pd.DataFrame, rank: str) -> pd.DataFrame:
    tested = frame[frame[rank] > 0] if frame[rank].dtype.kind in "iu" else frame.dropna(subset=[rank])
    return tested.sort_values(rank, kind="stable")


def _written(store: Store, run: Run) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for sample in (COHORT, *run.samples):
        for slot, ref in run.slots(sample).items():
            if group_of(slot) == "uns" and ref.kind == "table":
                yield name_of(slot), sample, store.element(ref).read()


def _table(title: str, sample: str, frame: pd.DataFrame, rows: int) -> Table:
    head = frame.head(rows)
    columns = [_plain(list(head.index)), *(_plain(head[name].tolist()) for name in head)]
    names = (str(head.index.name or "name"), *map(str, head.columns))
    return Table(title, sample, names, tuple(zip(*columns, strict=True)), len(frame))


def _plain(values: list[Any]) -> list[Any]:
    return [_value(value) for value in values]


def _value(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return str(value)
