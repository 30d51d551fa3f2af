"""Recomputation: tasks of a run are computed once more, apart from the cache, and their results compared.

A task can be computed from the store alone where all that it read lies there. Readers and exports look outside,
at places that no store knows; they are left out. So are tasks that were computed on a GPU: this process has none.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from spatialrun.errors import SpatialrunError
from spatialrun.execute.events import ignore
from spatialrun.execute.memory import default_budget
from spatialrun.execute.spec import TaskResult, TaskSpec, error_from_json
from spatialrun.execute.worker import run as run_task
from spatialrun.interpreters import CPU
from spatialrun.plan.identity import FINAL, stages
from spatialrun.steps import catalogue
from spatialrun.store.actions import ActionRecord
from spatialrun.store.elements import ObjectRef
from spatialrun.store.entries import TaskEntry
from spatialrun.store.findings import Finding, Result
from spatialrun.store.runs import Run
from spatialrun.store.store import Store, create_store


@dataclass(frozen=True)
class Recomputed:
    """A task that was computed once more.

    Attributes
    ----------
    step, sample, uses
        Which.
    differing
        Slots whose digests differ; none where all is well.
    error
        Why it could not be computed, or ``None``.
    """

    step: str
    sample: str
    uses: str
    differing: tuple[str, ...] = ()
    error: SpatialrunError | None = None


def recompute_some(store: Store, run: str | None, count: int, seed: int = 0) -> tuple[Recomputed, ...]:
    """Compute some tasks of a run once more, and record a finding for each that comes to other results.

    Parameters
    ----------
    store
        The store; nothing is written to it but findings.
    run
        A run's id; the newest by default.
    count
        How many tasks; all where there are fewer.
    seed
        Decides which.

    Raises
    ------
    StoreError
        ``store.no-run``.
    """
    found = store.runs.get(run) if run else store.runs.latest()
    if found is None:
        return ()
    prepared = list(_prepared(store, found))
    chosen = random.Random(seed).sample(prepared, min(count, len(prepared)))
    return tuple(_recompute(store, *each) for each in chosen)


def _prepared(store: Store, run: Run) -> Iterator[tuple[TaskEntry, ActionRecord, TaskSpec]]:
    """Yield the tasks that can be computed from the store alone, ready to be run."""
    objects = {ref.digest: ref for task in run.tasks.values() for ref in task.outputs.values()}
    for entry in run.tasks.values():
        if not entry.outputs or not entry.key or entry.identity.get("source"):
            continue
        record = store.actions.read(entry.key)
        if record is None or any(ref.kind == "export" for ref in record.outputs.values()):
            continue
        if (spec := _spec(store, run, entry, record, objects)) is not None:
            yield entry, record, spec


def _spec(
    store: Store, run: Run, entry: TaskEntry, record: ActionRecord, objects: Mapping[str, ObjectRef]
) -> TaskSpec | None:
    """Rebuild a task from its identity; ``None`` where that does not say all.

    Names of output slots are in no identity, and decide nothing: their defaults stand in.
    """
    if entry.identity["numerics"]["device"] != CPU:
        return None
    inputs = {port: objects.get(digest) for port, _, digest in entry.identity["inputs"]}
    try:
        step = catalogue.get(entry.uses)
        params = step.Params.model_validate(entry.identity["params"])
    except (SpatialrunError, ValidationError, KeyError):
        return None
    if None in inputs.values() or step.version != entry.identity["version"]:
        return None
    counts = run.slots(entry.sample).get("layers/counts")
    shape: Any = (*counts.meta["shape"], counts.meta["nnz"]) if counts else None
    return TaskSpec(
        store=store.url,
        step=entry.step,
        sample=entry.sample,
        uses=entry.uses,
        params=params.model_dump(mode="json"),
        identity=entry.identity,
        key=record.key,
        stage_keys={stage: f"{stage}-{record.key}" for stage in stages(step) if stage != FINAL},
        inputs={port: ref.to_json() for port, ref in inputs.items() if ref is not None},
        writes=tuple(record.outputs),
        members=tuple(entry.identity.get("members", ())),
        source=None,
        externals={},
        destination=None,
        shape=shape,
        threads=1,
        memory=default_budget(),
    )


def _recompute(store: Store, entry: TaskEntry, record: ActionRecord, spec: TaskSpec) -> Recomputed:
    with tempfile.TemporaryDirectory(prefix="spatialrun-") as folder:
        result = run_task(spec, ignore, into=create_store(folder))
    if result.error is not None:
        return Recomputed(entry.step, entry.sample, entry.uses, error=error_from_json(result.error))
    finding = _compare(record, entry.uses, result)
    if finding.ports:
        store.findings.add(finding)
    return Recomputed(entry.step, entry.sample, entry.uses, finding.ports)


def _compare(record: ActionRecord, uses: str, result: TaskResult) -> Finding:
    standing = {port: ref.digest for port, ref in record.outputs.items()}
    other = {port: ref["digest"] for port, ref in result.outputs.items()}
    facts = {name: record.provenance[name] for name in ("started", "versions") if name in record.provenance}
    started = {"started": result.facts["started"]}
    return Finding(record.key, uses, Result(record.attempt, standing, facts), Result("", other, started))
