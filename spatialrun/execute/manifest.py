"""The manifest of a run while it is being made: what became of every task, and the run that is saved of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import PurePath
from typing import Any

from spatialrun.errors import SpatialrunError
from spatialrun.execute.faults import store_faults
from spatialrun.execute.spec import error_to_json
from spatialrun.plan.choice import Choice
from spatialrun.plan.graph import Graph
from spatialrun.plan.reasons import Reason
from spatialrun.plan.resolver import Decision
from spatialrun.plan.sweep import combinations
from spatialrun.plan.task import Task, TaskId
from spatialrun.recipe.emitter import emit, written
from spatialrun.recipe.redaction import redacted, redacted_value
from spatialrun.slots import axes_of, group_of, locate
from spatialrun.store.elements import ObjectRef
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.store.store import Store
from spatialrun.store.view import write_view
from spatialrun.version import __version__

STATUSES = ("done", "cached", "failed", "skipped", "unselected")


class Manifest:
    """What became of the tasks so far.

    Parameters
    ----------
    graph, store
        The recipe's tasks, and where the run is kept.
    last
        The run before.
    choice
        What was chosen; of all else, the results of the run before stay.
    """

    def __init__(self, graph: Graph, store: Store, last: Run | None, choice: Choice) -> None:
        self._graph = graph
        self._choice = choice
        self._combinations = combinations(graph)
        self._store = store
        self._last = last
        self._entries: dict[TaskId, TaskEntry] = {}

    def __contains__(self, id: object) -> bool:
        return id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks came to each status; none is unselected where everything was chosen."""
        counts = Counter(entry.status for entry in self._entries.values())
        return {status: counts[status] for status in STATUSES if counts[status] or status != "unselected"}

    def done(
        self, task: Task, decision: Decision, outputs: Mapping[str, ObjectRef], facts: Mapping[str, Any]
    ) -> None:
        """Note a task that was run, with why it was."""
        facts = {**facts, "reasons": [_told(reason) for reason in decision.reasons]}
        self._note(task, "done", decision.key, decision.identity, outputs, facts)

    def cached(self, task: Task, decision: Decision) -> None:
        """Note a task that was done before, with what is known of that: its time, its log."""
        facts = self._facts(task, decision)
        self._note(task, "cached", decision.key, decision.identity, decision.outputs, facts)

    def failed(
        self, task: Task, decision: Decision | None, error: SpatialrunError, facts: Mapping[str, Any]
    ) -> None:
        """Note a task that failed, with its error."""
        facts = {**facts, "error": error_to_json(error)}
        if decision is None:
            self._note(task, "failed", None, self._last_identity(task.id), {}, facts)
        else:
            self._note(task, "failed", decision.key, decision.identity, {}, facts)

    def skipped(self, task: Task, because: str) -> None:
        """Note a task that was not come to; what it was last made from stays known, for the next plan."""
        if task.id not in self._choice.tasks:
            self.unselected(task)
            return
        self._note(task, "skipped", None, self._last_identity(task.id), {}, {"because": because})

    def unselected(self, task: Task) -> None:
        """Note a task that was not chosen: what the run before has of it stays."""
        before = self._before(task.id)
        if before is None:
            self._note(task, "unselected", None, {}, {}, {})
            return
        # Under other names today, its outputs would be in the way of those that have these names now.
        named = {write.slot for write in task.writes}
        outputs = {slot: ref for slot, ref in before.outputs.items() if slot in named}
        self._entries[task.id] = replace(before, status="unselected", outputs=outputs)

    def skip_the_rest(self, because: str) -> None:
        """Note every task that nothing is known of as skipped."""
        for id, task in self._graph.tasks.items():
            if id not in self._entries:
                self.skipped(task, because)

    @property
    def unchanged(self) -> bool:
        """Whether this is the last run again: nothing computed, the same results of the same samples."""
        if self._last is None or any(entry.status == "done" for entry in self._entries.values()):
            return False
        now = {(e.step, e.sample, e.key): e.outputs for e in self._whole().values()}
        then = {(e.step, e.sample, e.key): e.outputs for e in self._last.tasks.values()}
        return now == then and self._samples() == {k: dict(v) for k, v in self._last.samples.items()}

    def save(self, id: str, created: datetime, status: str) -> Run:
        """Save the run, with its view and its figures.

        Raises
        ------
        StoreError
            Where the store cannot be written.
        """
        entries, recipe = self._whole(), self._graph.recipe
        asked = {"profile": recipe.profiles, "set": recipe.overrides, **self._choice.asked}
        run = Run(
            id=id,
            created=created.isoformat(timespec="seconds"),
            status=status,
            samples=self._samples(),
            tasks={(id.step, id.sample): entries[id] for id in self._graph.tasks if id in entries},
            versions={"spatialrun": __version__},
            sources=self._store.sources.used,
            asked={option: [*map(redacted, values)] for option, values in asked.items() if values},
        )
        with store_faults(self._store.url):
            if not self._store.backend.remote:
                write_view(self._store, run)
            for entry in run.tasks.values():
                for sample, slot, ref in entry.places():
                    if group_of(slot) == "figures":
                        name = slot.replace("/", f"/{sample}/", 1) + ref.meta["suffix"]
                        self._store.backend.link(ref.path, f"runs/{run.id}/{name}")
            self._store.runs.save(run, emit(recipe, run.asked), written(recipe))
        return run

    def _whole(self) -> dict[TaskId, TaskEntry]:
        """Return the entries, those that stayed without what does not fit the others any more.

        Values along spots or genes that are not those of today would belong to other rows; and what is gone
        from the store cannot stay.
        """
        stayed = {id: entry for id, entry in self._entries.items() if entry.status == "unselected"}
        if not any(entry.outputs for entry in stayed.values()):
            return self._entries
        axes = {
            (sample, slot): ref.digest
            for entry in self._entries.values()
            for sample, slot, ref in entry.places()
            if group_of(slot) == "axes"
        }
        exists = self._store.backend.presence()
        fitting = {}
        for id, entry in stayed.items():
            stood = dict(_axes_of(entry))
            fitting[id] = {
                name: ref
                for name, ref in entry.outputs.items()
                if (ref.kind == "export" or exists(ref.path)) and _fits(name, entry.sample, stood, axes)
            }
        return self._entries | {id: replace(stayed[id], outputs=outputs) for id, outputs in fitting.items()}

    def _note(
        self,
        task: Task,
        status: str,
        key: str | None,
        identity: Mapping[str, Any],
        outputs: Mapping[str, ObjectRef],
        facts: Mapping[str, Any],
    ) -> None:
        id, uses = task.id, task.entry.uses
        if (values := self._combinations.get(id)) is not None:
            facts = {**facts, "combination": {"step": task.entry.base_id, "values": values}}
        self._entries[id] = TaskEntry(id.step, id.sample, uses, status, key, identity, outputs, facts)

    def _before(self, id: TaskId) -> TaskEntry | None:
        return self._last.tasks.get(id) if self._last else None

    def _last_identity(self, id: TaskId) -> Mapping[str, Any]:
        before = self._before(id)
        return before.identity if before else {}

    def _facts(self, task: Task, decision: Decision) -> Mapping[str, Any]:
        before = self._before(task.id)
        if before is not None and before.key == decision.key and before.outputs:
            return {name: fact for name, fact in before.facts.items() if name != "combination"}
        record = self._store.actions.get(decision.key) if decision.key else None
        found = record.provenance.items() if record else ()
        return {name: fact for name, fact in found if name not in ("versions", "stages")}

    def _samples(self) -> dict[str, dict[str, Any]]:
        return {
            name: {key: redacted_value(key, value) for key, value in sample.metadata.items()}
            for name, sample in self._graph.recipe.samples.items()
        }


def _axes_of(entry: TaskEntry) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield sample and slot of the axes that a task read, and the digests that they had."""
    for _, name, digest in entry.identity.get("inputs", ()):
        sample, slot = locate(name, seen_from=entry.sample)
        if group_of(slot) == "axes":
            yield (sample, slot), digest


def _fits(
    name: str, seen_from: str, stood: Mapping[tuple[str, str], str], axes: Mapping[tuple[str, str], str]
) -> bool:
    """Whether an output lies along the axes of today; who reads none makes them, and fits itself."""
    sample, slot = locate(name, seen_from=seen_from)
    return all(stood.get((sample, axis)) in (None, axes.get((sample, axis))) for axis in axes_of(slot))


def _told(reason: Reason) -> dict[str, Any]:
    """Return a reason as a run keeps it: no path of this machine lies in a store."""
    name = PurePath(reason.name).name if reason.kind == "destination" else reason.name
    return asdict(replace(reason, name=name))
