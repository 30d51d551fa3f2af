"""The manifest of a run while it is being made: what became of every task, and the run that is saved of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from spatialrun.errors import SpatialrunError
from spatialrun.execute.faults import store_faults
from spatialrun.execute.spec import error_to_json
from spatialrun.plan.graph import Graph
from spatialrun.plan.resolver import Decision
from spatialrun.plan.task import Task, TaskId
from spatialrun.slots import group_of
from spatialrun.store.elements import ObjectRef
from spatialrun.store.runs import Run, TaskEntry
from spatialrun.store.store import Store
from spatialrun.store.view import write_view
from spatialrun.version import __version__

STATUSES = ("done", "cached", "failed", "skipped")


class Manifest:
    """What became of the tasks so far.

    Parameters
    ----------
    graph, store
        The recipe's tasks, and where the run is kept.
    last
        The run before.
    """

    def __init__(self, graph: Graph, store: Store, last: Run | None) -> None:
        self._graph = graph
        self._store = store
        self._last = last
        self._entries: dict[TaskId, TaskEntry] = {}

    def __contains__(self, id: object) -> bool:
        return id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks came to each status."""
        counts = Counter(entry.status for entry in self._entries.values())
        return {status: counts[status] for status in STATUSES}

    def done(
        self, task: Task, decision: Decision, outputs: Mapping[str, ObjectRef], facts: Mapping[str, Any]
    ) -> None:
        """Note a task that was run."""
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
        self._note(task, "skipped", None, self._last_identity(task.id), {}, {"because": because})

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
        now = {(e.step, e.sample, e.key): e.outputs for e in self._entries.values()}
        then = {(e.step, e.sample, e.key): e.outputs for e in self._last.tasks.values()}
        return now == then and self._samples() == {k: dict(v) for k, v in self._last.samples.items()}

    def save(self, id: str, created: datetime, status: str) -> Run:
        """Save the run, with its view and its figures.

        Raises
        ------
        StoreError
            Where the store cannot be written.
        """
        run = Run(
            id=id,
            created=created.isoformat(timespec="seconds"),
            status=status,
            samples=self._samples(),
            tasks={
                (id.step, id.sample): self._entries[id] for id in self._graph.tasks if id in self._entries
            },
            versions={"spatialrun": __version__},
            sources=self._store.sources.used,
        )
        with store_faults(self._store.url):
            if not self._store.backend.remote:
                write_view(self._store, run)
            for entry in run.tasks.values():
                for sample, slot, ref in entry.places():
                    if group_of(slot) == "figures":
                        name = slot.replace("/", f"/{sample}/", 1) + ref.meta["suffix"]
                        self._store.backend.link(ref.path, f"runs/{run.id}/{name}")
            self._store.runs.save(run, self._graph.recipe.text)
        return run

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
        self._entries[id] = TaskEntry(id.step, id.sample, uses, status, key, identity, outputs, facts)

    def _before(self, id: TaskId) -> TaskEntry | None:
        return self._last.tasks.get(id) if self._last else None

    def _last_identity(self, id: TaskId) -> Mapping[str, Any]:
        before = self._before(id)
        return before.identity if before else {}

    def _facts(self, task: Task, decision: Decision) -> Mapping[str, Any]:
        before = self._before(task.id)
        if before is not None and before.key == decision.key and before.outputs:
            return before.facts
        record = self._store.actions.get(decision.key) if decision.key else None
        found = record.provenance.items() if record else ()
        return {name: fact for name, fact in found if name not in ("versions", "stages")}

    def _samples(self) -> dict[str, dict[str, Any]]:
        return {name: dict(sample.metadata) for name, sample in self._graph.recipe.samples.items()}
