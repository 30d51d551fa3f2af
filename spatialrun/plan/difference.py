"""The difference of two runs: recipe, parameters, versions, and the slots whose content changed, and how far.

Values are read only where digests differ, one slot at a time, when its change is asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spatialrun.errors import SpatialrunError, StoreError, Where
from spatialrun.plan.reasons import Reason, compare
from spatialrun.store.elements import ObjectRef
from spatialrun.store.runs import Run
from spatialrun.store.store import Store
from spatialrun.values import STRETCH, ColumnStream

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class TaskChange:
    """What decided a task's outputs differently.

    Attributes
    ----------
    step, samples
        Which tasks: those of a step that changed alike stand together.
    reasons
        Parameters, versions and inputs, from what to what; ``new`` where the older run lacks the step.
    """

    step: str
    samples: tuple[str, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Moved:
    """How far a slot's content moved.

    Attributes
    ----------
    absolute, relative
        Largest difference of two numbers, and of two numbers in proportion to the larger.
    changed
        Fraction of entries that are not the same.
    ari
        Agreement of two labellings (1: the same groups, whatever their names).
    what
        In words, where there are no numbers: another shape, another type.
    """

    absolute: float | None = None
    relative: float | None = None
    changed: float | None = None
    ari: float | None = None
    what: str = ""


@dataclass(frozen=True)
class SlotChange:
    """A slot whose content differs.

    Attributes
    ----------
    sample, slot
        Which.
    kind
        ``added``, ``removed`` or ``changed``.
    moved
        How far, by column for tables (the empty name stands for all else).
    """

    sample: str
    slot: str
    kind: str
    moved: Mapping[str, Moved] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """How a run differs from an older one.

    Attributes
    ----------
    recipe
        Lines of a unified diff of the recipes.
    versions
        Distribution to its version in either run.
    tasks
        What decided differently.
    slots
        What came out differently.
    """

    recipe: tuple[str, ...]
    versions: Mapping[str, tuple[str | None, str | None]]
    tasks: tuple[TaskChange, ...]
    slots: tuple[SlotChange, ...]

    @property
    def nothing(self) -> bool:
        """Whether the runs are the same."""
        return not (self.recipe or self.versions or self.tasks or self.slots)


def newest_two(store: Store) -> tuple[str, str]:
    """Return the ids of the newest run and of the one before it, the older one first.

    Raises
    ------
    StoreError
        ``store.no-run`` where there are not two.
    """
    names = list(store.runs.names())
    if len(names) < 2:
        raise StoreError(
            "store.no-run",
            f"there is no run before {names[0]}" if names else "there is no run",
            where=Where(file=store.backend.url),
            hint="two runs are compared: apply again after a change",
        )
    return names[-2], names[-1]


def difference(store: Store, old: str, new: str) -> Difference:
    """Compare two runs of a store.

    Raises
    ------
    StoreError
        ``store.no-run``; ``store.corrupt`` where a manifest cannot be read.
    """
    before, after = store.runs.get(old), store.runs.get(new)
    one, other = (store.runs.recipe(run.id).splitlines() for run in (before, after))
    return Difference(
        recipe=tuple(difflib.unified_diff(one, other, old, new, lineterm="")),
        versions=_changed(_versions(store, before), _versions(store, after)),
        tasks=tuple(_task_changes(before, after)),
        slots=tuple(_slot_changes(store, before, after)),
    )


def _versions(store: Store, run: Run) -> dict[str, str]:
    """Return the versions that a run's results were made with."""
    found = dict(run.versions)
    for key in {task.key for task in run.tasks.values() if task.key}:
        record = store.actions.read(key)
        found |= record.provenance.get("versions", {}) if record else {}
    return found


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    names = sorted({*old, *new})
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def _task_changes(before: Run, after: Run) -> Iterator[TaskChange]:
    alike: dict[tuple[str, tuple[Reason, ...]], list[str]] = {}
    for id in dict.fromkeys([*after.tasks, *before.tasks]):
        old, new = before.tasks.get(id), after.tasks.get(id)
        if old is None or not old.identity:
            reasons: tuple[Reason, ...] = (Reason("new"),)
        elif new is None or not new.identity:
            reasons = (Reason("output"),)
        else:
            reasons = tuple(r for r in compare(old.identity, new.identity) if r.kind != "input")
        if reasons:
            alike.setdefault((id[0], reasons), []).append(id[1])
    return (TaskChange(step, tuple(samples), reasons) for (step, reasons), samples in alike.items())


def _slot_changes(store: Store, before: Run, after: Run) -> Iterator[SlotChange]:
    names = (task.sample for run in (after, before) for task in run.tasks.values())
    for sample in dict.fromkeys(names):
        old, new = before.slots(sample), after.slots(sample)
        for slot in dict.fromkeys([*new, *old]):
            if slot not in old:
                yield SlotChange(sample, slot, "added")
            elif slot not in new:
                yield SlotChange(sample, slot, "removed")
            elif old[slot].digest != new[slot].digest:
                yield SlotChange(sample, slot, "changed", _moved(store, old[slot], new[slot]))


def _moved(store: Store, old: ObjectRef, new: ObjectRef) -> dict[str, Moved]:
    if old.kind != new.kind:
        return {"": Moved(what=f"{old.kind} became {new.kind}")}
    if old.kind in ("file", "folder", "export"):
        return {"": Moved(what="other content")}
    one, other = store.element(old), store.element(new)
    try:
        if old.kind == "sparse":
            return {"": _streams(one.stream(), other.stream())}
        if old.kind == "table":
            return _tables(one.read(), other.read())
        return {"": measure(one.read(), other.read())}
    except SpatialrunError as error:
        return {"": Moved(what=error.what)}


def _tables(old: pd.DataFrame, new: pd.DataFrame) -> dict[str, Moved]:
    if list(old.index) != list(new.index):
        rows = len(old.index.symmetric_difference(new.index))
        return {"": Moved(what=f"{rows} rows added or removed" if rows else "rows in another order")}
    moved = {}
    for name in dict.fromkeys([*new.columns, *old.columns]):
        if name not in old.columns or name not in new.columns:
            moved[str(name)] = Moved(what="added" if name in new.columns else "removed")
        elif not old[name].equals(new[name]):
            moved[str(name)] = measure(old[name].array, new[name].array)
    return moved


def measure(old: Any, new: Any) -> Moved:
    """Say how far one value is from another: arrays, sparse matrices, images, labels.

    Missing numbers that are missing in both are the same; one that is missing in one of them is infinitely far.
    """
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp

    if isinstance(old, pd.Categorical) and isinstance(new, pd.Categorical):
        return _labels(old, new) if len(old) == len(new) else _other_shape((len(old),), (len(new),))
    if sp.issparse(old) and sp.issparse(new):
        return _streams(ColumnStream.of(sp.csc_matrix(old)), ColumnStream.of(sp.csc_matrix(new)))
    one, other = np.asarray(old), np.asarray(new)
    if one.shape != other.shape:
        return _other_shape(one.shape, other.shape)
    if one.dtype.kind in "biuf" and other.dtype.kind in "biuf":
        return _numbers(one.astype(np.float64).ravel(), other.astype(np.float64).ravel())
    if one.size and one.dtype.kind in "OUT" and other.dtype.kind in "OUT":
        return Moved(changed=float(np.mean(one.astype(str) != other.astype(str))))
    return Moved(what="other content")


def _other_shape(old: tuple[int, ...], new: tuple[int, ...]) -> Moved:
    def by(shape: tuple[int, ...]) -> str:
        return " x ".join(map(str, shape))

    return Moved(what=f"{by(old)} became {by(new)}")


def _numbers(old: np.ndarray, new: np.ndarray) -> Moved:
    gap, share, count = _gaps(old, new)
    return Moved(gap, share, count / max(old.size, 1))


def _gaps(old: np.ndarray, new: np.ndarray) -> tuple[float, float, int]:
    """Return the largest difference, the largest in proportion, and how many numbers differ."""
    import numpy as np

    differs = (old != new) & ~(np.isnan(old) & np.isnan(new))
    if not differs.any():
        return 0.0, 0.0, 0
    one, other = old[differs], new[differs]
    with np.errstate(invalid="ignore"):
        gap = np.abs(one - other)
        share = gap / np.maximum(np.abs(one), np.abs(other))
    gap, share = (np.nan_to_num(numbers, nan=np.inf) for numbers in (gap, share))
    return float(gap.max()), float(share.max()), int(differs.sum())


def _streams(old: ColumnStream, new: ColumnStream) -> Moved:
    """Compare two sparse matrices where either has an entry, some columns at a time."""
    if old.shape != new.shape:
        return _other_shape(old.shape, new.shape)
    gap, share, count = 0.0, 0.0, 0
    for first, last in old.stretches(STRETCH):
        for start, stop in new.stretches(STRETCH, first, last):
            one, other = old.columns(start, stop), new.columns(start, stop)
            union = (abs(one) + abs(other)).tocoo()
            entries = (_entries(matrix, union.row, union.col) for matrix in (one, other))
            larger, further, more = _gaps(*entries)
            gap, share, count = max(gap, larger), max(share, further), count + more
    return Moved(gap, share, count / max(old.shape[0] * old.shape[1], 1))


def _entries(matrix: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.asarray(matrix.tocsr()[rows, columns], dtype=np.float64).ravel()


def _labels(old: pd.Categorical, new: pd.Categorical) -> Moved:
    import numpy as np

    from spatialrun.methods.labels import agreement

    one, other = np.asarray(old.astype(str)), np.asarray(new.astype(str))
    changed = float(np.mean(one != other)) if len(one) else 0.0
    both = ~(old.isna() | new.isna())
    if not both.any():
        return Moved(changed=changed)
    return Moved(changed=changed, ari=agreement(new, old).scores["value"].to_dict()["ari"])
