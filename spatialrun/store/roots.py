"""Roots: what a store must keep, because a run holds it or a running ``apply`` relies on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from spatialrun.store.actions import ActionRecord
from spatialrun.store.attempts import attempt_of
from spatialrun.store.intents import owner_of
from spatialrun.store.runs import Run
from spatialrun.store.store import Store


@dataclass(frozen=True)
class Roots:
    """What must be kept.

    Attributes
    ----------
    runs
        Every run, oldest first, with the attempts that it holds.
    newest
        The runs that are never deleted: the last, and the one that ``latest`` names.
    pinned
        Those that somebody has pinned.
    unsaved
        The runs that are going on.
    relied_runs, relied_attempts
        What those rely on: the runs before them, and single attempts.
    """

    runs: Mapping[str, frozenset[str]]
    newest: frozenset[str]
    pinned: frozenset[str]
    unsaved: frozenset[str]
    relied_runs: frozenset[str]
    relied_attempts: frozenset[str]

    @classmethod
    def read(cls, store: Store, record: Callable[[str], ActionRecord | None]) -> Roots:
        """Read intents and runs, in this order: an intent goes when its run is saved, not before.

        Parameters
        ----------
        store
            The store.
        record
            Looks up action records by key.

        Raises
        ------
        StoreError
            ``store.corrupt`` where a manifest cannot be read: what it holds is not known, so nothing may go.
        """
        living = [intent for intent in store.intents if intent.is_alive()]
        relied = {attempt for intent in living for attempt in store.intents.relied_on(intent.run)}
        latest = store.runs.latest()
        names = list(store.runs.names())
        runs = {name: held_by(store.runs.get(name), record) for name in names}
        return cls(
            runs=runs,
            newest=frozenset([*names[-1:], *([latest.id] if latest else [])]),
            pinned=frozenset(store.runs.pinned()),
            unsaved=frozenset(intent.run for intent in living),
            relied_runs=frozenset(intent.last for intent in living if intent.last),
            relied_attempts=frozenset(relied),
        )

    @property
    def kept(self) -> frozenset[str]:
        """The runs that must not be deleted, whatever their age."""
        return self.newest | self.pinned | self.relied_runs

    def held(self, attempts: Iterable[str], dropped: Iterable[str]) -> set[str]:
        """Return which of some attempts must be kept when some runs are dropped."""
        left = set(self.runs) - (set(dropped) - self.kept)
        held = self.relied_attempts.union(*(self.runs[name] for name in left))
        return {name for name in attempts if name in held or owner_of(name) in self.unsaved}


def held_by(run: Run, record: Callable[[str], ActionRecord | None]) -> frozenset[str]:
    """Return the attempts that a run holds: of its objects, and of the stages that they were made from."""
    held = {attempt_of(ref.path) for task in run.tasks.values() for ref in task.outputs.values() if ref.path}
    for key in {task.key for task in run.tasks.values() if task.key}:
        final = record(key)
        if final is not None:
            stages = map(record, final.provenance.get("stages", {}).values())
            held |= {final.attempt, *(stage.attempt for stage in stages if stage is not None)}
    return frozenset(held)
