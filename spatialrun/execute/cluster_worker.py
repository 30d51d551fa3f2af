"""The workers' end of a cluster: the parts of a task as functions of plain data.

A task comes as the JSON of its spec and its answer goes back as plain data; everything large goes by way of the
store, which every worker opens for itself. A part may be computed twice, even at once (those of a worker that was
lost are): it leaves the same in the store.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from spatialrun.errors import SpatialrunError, StoreError, UsageError, Where
from spatialrun.execute import streaming
from spatialrun.execute.events import Event, Listener
from spatialrun.execute.isolated import IsolatedExecutor
from spatialrun.execute.local import Executor, PoolExecutor
from spatialrun.execute.spec import TaskResult, TaskSpec, error_to_json
from spatialrun.execute.task import Runner, Work, perform
from spatialrun.execute.versions import found, listed
from spatialrun.steps.contract import Block, StreamingStep
from spatialrun.store.store import open_store

Answer = dict[str, Any]
"""``result`` (a ``TaskResult``) and ``events``, as plain data."""


def greet(url: str, probe: str, uses: Sequence[str], wanted: Mapping[str, str]) -> dict[str, Any] | None:
    """Find out whether this worker can compute for a run; return the error that says why not.

    Parameters
    ----------
    url, probe
        The run's store, and a file that the run has just put into it: a folder of the same name is not enough.
    uses, wanted
        The step types, and the versions that the run has.
    """
    try:
        check_versions(uses, wanted)
        if not open_store(url).backend.exists(probe):
            raise StoreError("store.missing", "the store here is another one")
    except StoreError as error:
        unseen = StoreError(
            "cluster.store",
            f"a worker of the cluster does not see the store: {error.what}",
            where=Where(file=url),
            hint="keep the store where all workers see it at the same path, or in an object store (s3://...)",
        )
        return error_to_json(unseen)
    except SpatialrunError as error:
        return error_to_json(error)
    return None


def check_versions(uses: Sequence[str], wanted: Mapping[str, str]) -> None:
    """Compare this worker's versions with the run's.

    Raises
    ------
    UsageError
        ``cluster.versions``, with both lists.
    """
    here = found(uses)
    if here != wanted:
        differing = [name for name in {**wanted, **here} if wanted.get(name) != here.get(name)]
        raise UsageError(
            "cluster.versions",
            f"a worker of the cluster has another {' and '.join(differing)}\n"
            f"here:   {listed(wanted)}\nworker: {listed(here)}",
            hint="install the same versions here and on the workers",
        )


def prepare(spec: str, wanted: Mapping[str, str]) -> Answer:
    """Set a streaming task up; the result's outputs are the blocks that are to be computed, by name."""

    def work(runner: Runner) -> dict[str, dict[str, int]]:
        step = runner.step
        assert isinstance(step, StreamingStep)
        setup = runner.setup()
        if runner.blocks_are_committed():
            return {}
        blocks = step.blocks(setup, runner.inputs, runner.params)
        done = streaming.saved(blocks, runner.partial())
        if done:
            runner.context.log(f"{len(done)} of {len(blocks)} blocks were done before")
        return {streaming.name(block): asdict(block) for block in blocks if block not in done}

    return _answer(spec, wanted, work)


def compute(block: Mapping[str, int], spec: str, wanted: Mapping[str, str]) -> Answer:
    """Compute a block and keep it in the store."""

    def work(runner: Runner) -> dict[str, Any]:
        step, one, partial = runner.step, Block(**block), runner.partial()
        assert isinstance(step, StreamingStep)
        if not streaming.saved([one], partial):
            key = runner.spec.stage_keys["blocks"]
            shared, inputs = _shared.get(
                key, lambda: (step.load(runner.setup(), runner.params), runner.inputs)
            )
            streaming.save(one, step.block(shared, inputs, runner.params, one), partial)
        return {}

    return _answer(spec, wanted, work)


def finish(spec: str, wanted: Mapping[str, str]) -> Answer:
    """Run a task, or what is left of it, and commit what it made; in time, where it has to be."""
    limited = TaskSpec.from_json(json.loads(spec)).timeout_s is not None
    return _answer(spec, wanted, Runner.run, apart=_pool if limited else None)


def resources(dask_worker: Any) -> list[str]:
    """Return the names of the resources that this worker was given."""
    return list(dask_worker.state.total_resources)


def isolate(spec: str, wanted: Mapping[str, str]) -> Answer:
    """Run a task that may use a GPU, in a process of its own on this worker's machine."""
    return _answer(spec, wanted, Runner.run, apart=lambda listener: IsolatedExecutor(listener, threads=1))


class _Shared:
    """What the blocks of one task share, and their inputs, which know by now where in the store everything is.

    Loaded once in this process, and let go when the next task's comes.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._key = ""
        self._value: Any = None

    def get(self, key: str, load: Callable[[], Any]) -> Any:
        with self._turn:
            if self._key != key:
                self._key, self._value = "", None
                self._value = load()
                self._key = key
            return self._value


_shared = _Shared()


def _answer(
    text: str, wanted: Mapping[str, str], work: Work, *, apart: Callable[[Listener], Executor] | None = None
) -> Answer:
    """Do a part of a task. A worker that came late is as welcome as the first ones, if its versions are right."""
    spec = TaskSpec.from_json(json.loads(text))
    _one_blas_thread(len(sys.modules))
    events: list[Event] = []
    try:
        check_versions([spec.uses], wanted)
        result = _apart(apart(events.append), spec) if apart else perform(spec, events.append, work)
    except SpatialrunError as error:
        result = TaskResult(error=error_to_json(error))
    told = [asdict(event) for event in events if event.kind != "task-progress"]
    return {"result": asdict(result), "events": told}


@lru_cache(maxsize=1)
def _one_blas_thread(n_modules: int) -> None:
    """Give libraries one thread each; looked for, which takes as long as a block, where modules were imported.

    For good: were it lifted at the end, a part that another thread computes would go on without it.
    """
    from threadpoolctl import threadpool_limits

    del n_modules
    threadpool_limits(1, user_api="blas")


def _pool(listener: Listener) -> Executor:
    return PoolExecutor(listener, width=1, threads=1)


def _apart(executor: Executor, spec: TaskSpec) -> TaskResult:
    """Run a task in a process of its own, which can be ended where a thread of this one cannot."""
    try:
        return executor.submit(spec).result()
    finally:
        executor.close(now=False)
