"""The resolver: is a task done already, and if not, why not. ``plan`` and ``apply`` both ask here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from spatialrun.interpreters import Interpreters
from spatialrun.plan.choice import Choice
from spatialrun.plan.identity import FINAL, action_key, identity, stages
from spatialrun.plan.reasons import Reason, compare
from spatialrun.plan.task import Task, TaskId
from spatialrun.store.elements import ObjectRef
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.store.sources import parts_of
from spatialrun.store.store import Store

Status = Literal["cached", "run", "pending", "unselected"]


@dataclass(frozen=True)
class Decision:
    """What is to become of a task.

    Attributes
    ----------
    status
        ``cached``, ``run``, ``pending`` (an input will be known when another task is done), or ``unselected``
        (it is not chosen, or needs what is neither chosen nor cached).
    key, identity
        Known unless pending.
    outputs
        Slot to object, where cached.
    reasons
        Why it runs.
    waits_for
        The tasks whose results it waits for, where pending; those that are in its way, where unselected.
    done_stages
        Stages of a staged step that are cached though the task runs.
    stage_keys
        Key of each stage before the last.
    """

    status: Status
    key: str | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, ObjectRef] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    waits_for: tuple[TaskId, ...] = ()
    done_stages: tuple[str, ...] = ()
    stage_keys: Mapping[str, str] = field(default_factory=dict)


class Resolver:
    """Decides task by task, from the store's records and the last run's manifest.

    Parameters
    ----------
    store
        ``None`` where there is none yet: everything runs.
    last
        The newest run, to compare with and to save reading single records.
    hash_sources
        Whether external files that changed may be read and hashed (``apply``) or not (``plan``).
    choice
        What is chosen; files that nothing chosen needs are never read.
    run
        The run that is being made: what is forced does not take up stages of an earlier one.
    """

    def __init__(
        self, store: Store | None, last: Run | None, choice: Choice, *, hash_sources: bool, run: str = ""
    ) -> None:
        self._store = store
        self._last = last
        self._choice = choice
        self._run = run
        self._hash_sources = hash_sources
        self.interpreters = Interpreters()
        self._exists = store.backend.presence() if store else None
        self._lost: set[TaskId] = set()
        if store and last:
            store.sources.learn(last.sources)

    def decide(self, task: Task, known: Mapping[TaskId, Mapping[str, ObjectRef]]) -> Decision:
        """Decide on a task, given the outputs (slot to object) of every task that is done or cached.

        Raises
        ------
        DataError, OSError
            Where external files cannot be read.
        UsageError
            Where a step names an interpreter that cannot compute it.
        """
        waits = tuple(id for id in task.upstream if id not in known)
        if waits:
            return Decision("pending", waits_for=waits)
        source = self._source(task)
        if source is None and task.externals:
            roles = ", ".join(task.externals)
            return Decision("run", reasons=(*self._if_new(task), Reason("unread", roles)))
        inputs = {
            i.port: known[i.producer][i.output].digest for i in task.inputs if i.output in known[i.producer]
        }
        task = _without_absent(task, inputs)
        now = identity(task, inputs, source, FINAL, self.interpreters)
        before = self._entry(task)
        key = action_key(now, before)
        outputs, gone = self._outputs(task, key, before)
        forced = task.id in self._choice.forced
        reasons: tuple[Reason, ...]
        if outputs is not None:
            altered = self._altered(task, outputs)
            if altered is None and not forced:
                return Decision("cached", key, now, outputs)
            reasons = (altered or Reason("forced"),)
        else:
            reasons = _reasons(before, now, gone=gone)
        early = [stage for stage in stages(task.step) if stage != FINAL]
        identities = {stage: identity(task, inputs, source, stage, self.interpreters) for stage in early}
        if forced:
            identities = {stage: {**found, "again": self._run} for stage, found in identities.items()}
        keys = {stage: action_key(found) for stage, found in identities.items()}
        return Decision("run", key, now, reasons=reasons, done_stages=self._done(keys), stage_keys=keys)

    def decide_anew(self, task: Task, known: Mapping[TaskId, Mapping[str, ObjectRef]]) -> Decision:
        """Decide again on a task whose cached results have turned out to be gone."""
        self._lost.add(task.id)
        return self.decide(task, known)

    def _source(self, task: Task) -> str | None:
        if not task.externals or self._store is None:
            return None
        if self._hash_sources and task.id in self._choice.needed:
            return self._store.sources.digest(task.externals)
        return self._store.sources.recall(task.externals)

    def _outputs(
        self, task: Task, key: str, entry: TaskEntry | None
    ) -> tuple[dict[str, ObjectRef] | None, bool]:
        """Return a key's outputs by slot, or ``None``; and whether they were made once but are gone."""
        if self._store is None or self._exists is None:
            return None, False
        if task.id in self._lost:
            return None, True
        made = entry is not None and entry.key == key and bool(entry.outputs)
        # The manifest knows slots, not ports: where slots were renamed (two may have changed names with each
        # other), only the record says which is which.
        if made and entry is not None and list(entry.outputs) == [w.slot for w in task.writes]:
            present = all(ref.kind == "export" or self._exists(ref.path) for ref in entry.outputs.values())
            if present:
                return dict(entry.outputs), False
        record = self._store.actions.get(key, self._exists)
        if record is None:
            return None, made
        return {w.slot: record.outputs[w.port] for w in task.writes if w.port in record.outputs}, False

    def _altered(self, task: Task, outputs: Mapping[str, ObjectRef]) -> Reason | None:
        """Say whether an exported file or folder is no longer what was written."""
        if task.destination is None or self._store is None:
            return None
        name = str(task.destination)
        if not task.destination.exists():
            return Reason("destination", name, "written", "missing")
        files = parts_of(task.destination)
        found = self._store.sources.recall(files)
        if found is None and self._hash_sources:
            found = self._store.sources.digest(files)
        wanted = {ref.digest for ref in outputs.values()}
        return None if found in wanted else Reason("destination", name, "written", "altered")

    def _if_new(self, task: Task) -> tuple[Reason, ...]:
        entry = self._entry(task)
        return (Reason("new"),) if entry is None or entry.key is None else ()

    def _done(self, keys: Mapping[str, str]) -> tuple[str, ...]:
        if self._store is None:
            return ()
        return tuple(stage for stage, key in keys.items() if self._store.actions.get(key, self._exists))

    def _entry(self, task: Task) -> TaskEntry | None:
        return self._last.tasks.get((task.id.step, task.id.sample)) if self._last else None


def _reasons(before: TaskEntry | None, now: Mapping[str, Any], *, gone: bool) -> tuple[Reason, ...]:
    if before is None or not before.identity:
        return (Reason("new"),)
    if gone:
        return (Reason("output"),)
    error = before.facts.get("error")
    failed = [Reason("failed", error["code"])] if error else []
    return (*compare(before.identity, now), *failed) or (Reason("new"),)


def _without_absent(task: Task, inputs: Mapping[str, str]) -> Task:
    """Drop inputs that their writer declared but did not produce."""
    present = tuple(i for i in task.inputs if i.port in inputs)
    return task if len(present) == len(task.inputs) else replace(task, inputs=present)
