"""Assignments: a task that may run, its inputs known, as the plain data that an executor takes."""

from __future__ import annotations

from collections.abc import Mapping

from spatialrun.execute.options import Options
from spatialrun.execute.queue import Ready
from spatialrun.execute.spec import TaskSpec
from spatialrun.plan.task import Task, TaskId
from spatialrun.recipe.gpu import Gpu
from spatialrun.steps.contract import Shape
from spatialrun.store.elements import ObjectRef


def spec_of(
    ready: Ready,
    known: Mapping[TaskId, Mapping[str, ObjectRef]],
    shape: Shape | None,
    *,
    store: str,
    run: str,
    threads: int,
    memory: int,
    options: Options,
) -> TaskSpec:
    """Write down a task that has its turn.

    Parameters
    ----------
    ready
        The task, its key, and the devices that it was given.
    known
        The outputs of the tasks that are done or cached.
    shape
        The size of the task's sample, where known.
    store, run
        The store's URL, and the run that the task is done for.
    threads
        Of the cores of ``options`` those that it may use.
    memory
        The bytes that it may use beside what its process takes.
    options
        Of the run.
    """
    task, decision = ready.task, ready.decision
    assert decision.key is not None
    inputs = {
        i.port: known[i.producer][i.output].to_json() for i in task.inputs if i.output in known[i.producer]
    }
    gpu = task.entry.gpu or Gpu()
    return TaskSpec(
        store=store,
        step=task.id.step,
        sample=task.id.sample,
        uses=task.entry.uses,
        params=task.entry.params.model_dump(mode="json"),
        identity=decision.identity,
        key=decision.key,
        stage_keys=decision.stage_keys,
        inputs=inputs,
        writes=tuple(write.port for write in task.writes),
        members=task.members,
        source=str(task.site.path) if task.site.path else None,
        externals={role: str(path) for role, path in task.externals.items()},
        destination=str(task.destination) if task.destination else None,
        shape=(shape.n_obs, shape.n_vars, shape.nnz) if shape else None,
        threads=threads,
        memory=memory,
        run=run,
        timeout_s=timeout_of(task, options),
        device=ready.devices[0] if ready.devices else decision.identity["numerics"]["device"],
        python=gpu.python,
        most_memory=gpu.memory,
    )


def timeout_of(task: Task, options: Options) -> float | None:
    """Seconds that a task may take: its step's, else the run's; ``None`` for any number."""
    own = task.entry.timeout_s
    return options.timeout_s if own is None else own
