"""The results of parameter sweeps: a row for every combination and sample, told from the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spatialrun.slots import COHORT
from spatialrun.store.runs import Run

if TYPE_CHECKING:
    import pandas as pd

TABLE = "sweep"
"""The table's name, among those of the cohort."""

Cells = dict[tuple[str, str], Any]
"""Values by step, as the recipe writes its id, and name."""


@dataclass
class _Row:
    """What is known of one combination on one sample."""

    sample: str
    parameters: Cells
    measured: Cells = field(default_factory=dict)

    def belongs_to(self, other: _Row) -> bool:
        """Whether the other says all that this one does: it stands for the same combination and more."""
        if not self.parameters.items() <= other.parameters.items():
            return False
        if self.sample == other.sample:
            return self.parameters != other.parameters
        return self.sample == COHORT and not self.measured


def has_sweep(run: Run) -> bool:
    """Whether a run has a table of a sweep."""
    return any("combination" in task.facts for task in run.tasks.values())


def has_measured(run: Run) -> bool:
    """Whether there is anything to compare in it: of many figures, say, there is not."""
    return any({"combination", "measured"} <= task.facts.keys() for task in run.tasks.values())


def sweep(run: Run) -> pd.DataFrame | None:
    """Return what the steps of a run measured, by combination; ``None`` where no step has a matrix.

    Columns: the parameters that matrices vary, the sample, and what the steps measured (ARI, modularity ...; see
    :meth:`spatialrun.steps.contract.Context.measure`), of the step with the matrix and of those that read its
    results. A name that several steps have comes with the step's: ``svg.n_svg``.
    """
    import pandas as pd

    rows: dict[tuple[str, frozenset[tuple[Any, str]]], _Row] = {}
    for task in run.tasks.values():
        made = task.facts.get("combination")
        if made is None:
            continue
        parameters: Cells = {
            (step, name): value for step, values in made["values"].items() for name, value in values.items()
        }
        key = frozenset((place, repr(value)) for place, value in parameters.items())
        row = rows.setdefault((task.sample, key), _Row(task.sample, parameters))
        row.measured |= {
            (made["step"], name): value for name, value in task.facts.get("measured", {}).items()
        }
    if not rows:
        return None
    kept = []
    for row in rows.values():
        heirs = [other for other in rows.values() if other is not row and row.belongs_to(other)]
        for heir in heirs:
            heir.measured = row.measured | heir.measured
        if not heirs:
            kept.append(row)
    varied = _titles(place for row in kept for place in row.parameters)
    measured = _titles((place for row in kept for place in row.measured), [*varied.values(), "sample"])
    rowwise = [
        {title: _cell(row.parameters.get(place)) for place, title in varied.items()}
        | {"sample": row.sample}
        | {title: row.measured.get(place) for place, title in measured.items()}
        for row in kept
    ]
    return pd.DataFrame(rowwise).astype(dict.fromkeys(measured.values(), float))


def _titles(places: Iterable[tuple[str, str]], taken: Iterable[str] = ()) -> Mapping[tuple[str, str], str]:
    """Return the columns' names: with the step's where several have the same."""
    unique = list(dict.fromkeys(places))
    count = Counter([*(name for _, name in unique), *taken])
    return {(step, name): name if count[name] == 1 else f"{step}.{name}" for step, name in unique}


def _cell(value: Any) -> Any:
    """Return a parameter's value as a cell; what is no single value as text."""
    return str(value) if isinstance(value, list | tuple | Mapping) else value
