"""What samples are composed of: the shares of their domains, in the domains' own colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spatialrun.plots.palettes import MISSING, MISSING_LABEL, categorical
from spatialrun.slots import group_of, name_of
from spatialrun.store.elements import ObjectRef
from spatialrun.store.runs import Run
from spatialrun.store.store import Store

MOST_CATEGORIES = 60
"""Columns of more than so many categories are names, not domains."""
MOST_SAMPLES = 200


@dataclass(frozen=True)
class Share:
    """One category in one sample: how many spots, and which part of all from 0 to 1."""

    category: str
    spots: int
    part: float


@dataclass(frozen=True)
class Composition:
    """One column of spots over all samples.

    Attributes
    ----------
    column
        Its name.
    colors
        Category to colour, in natural order; last, as in figures, spots without one.
    samples
        Sample to its shares, in the same order.
    """

    column: str
    colors: Mapping[str, str]
    samples: Mapping[str, tuple[Share, ...]]


def compositions_of(store: Store, run: Run) -> tuple[Composition, ...]:
    """Return the composition by every categorical column of spots, of up to 200 samples."""
    columns: dict[str, dict[str, ObjectRef]] = {}
    for sample in list(run.samples)[:MOST_SAMPLES]:
        for slot, ref in run.slots(sample).items():
            few = ref.kind == "categorical" and ref.meta.get("categories", 0) <= MOST_CATEGORIES
            if group_of(slot) == "obs" and few:
                columns.setdefault(name_of(slot), {})[sample] = ref
    return tuple(_composition(store, column, refs) for column, refs in columns.items())


def _composition(store: Store, column: str, refs: Mapping[str, ObjectRef]) -> Composition:
    import pandas as pd

    counts: dict[str, dict[str, int]] = {}
    for sample, ref in refs.items():
        values = pd.Series(store.element(ref).read()).astype(object)
        found = values.where(values != "").value_counts()  # empty names are missing, as in figures
        counts[sample] = {str(name): int(spots) for name, spots in found.items()}
        if missing := len(values) - int(found.sum()):
            counts[sample][MISSING_LABEL] = missing
    names = {name for found in counts.values() for name in found}
    colors = categorical(names - {MISSING_LABEL})
    if MISSING_LABEL in names:
        colors[MISSING_LABEL] = MISSING
    shares = {
        sample: tuple(
            Share(name, found[name], found[name] / sum(found.values())) for name in colors if name in found
        )
        for sample, found in counts.items()
    }
    return Composition(column, colors, shares)
