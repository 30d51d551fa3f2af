"""The graph of a recipe: tasks, joined where one reads the slot that another writes.

Nothing is computed and no store is needed: a graph follows from the recipe, the catalogue and, for readers, the
names of the files that a sample has.
"""

from __future__ import annotations

import heapq
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from spatialrun.errors import DataError, RecipeError, SpatialrunError
from spatialrun.plan.inputs import input_path
from spatialrun.plan.unwritten import Unwritten
from spatialrun.recipe.model import Recipe, StepEntry
from spatialrun.recipe.problems import Problems
from spatialrun.steps.contract import Site, Step, Write, implicit_reads, parameter_names


class TaskId(NamedTuple):
    """A step on a sample."""

    step: str
    sample: str

    def __str__(self) -> str:
        return f"{self.step} {self.sample}"


@dataclass(frozen=True)
class Input:
    """A slot that a task reads, and the task that writes it."""

    port: str
    slot: str
    producer: TaskId


@dataclass(frozen=True)
class Task:
    """One step on one sample: the unit that is planned, cached and run.

    Attributes
    ----------
    id
        Step and sample.
    entry
        The recipe's step.
    site
        What is known of the sample.
    inputs, writes
        Slots read and written, by port.
    externals
        Files outside the store, by role.
    destination
        The file that an export writes.
    after
        Tasks that must be done first without giving it anything.
    """

    id: TaskId
    entry: StepEntry
    site: Site
    inputs: tuple[Input, ...]
    writes: tuple[Write, ...]
    externals: Mapping[str, Path] = field(default_factory=dict)
    destination: Path | None = None
    after: tuple[TaskId, ...] = ()

    @property
    def step(self) -> Step:
        """The step type."""
        return self.entry.step

    @property
    def upstream(self) -> tuple[TaskId, ...]:
        """Every task that must be done first."""
        return tuple(dict.fromkeys([*(i.producer for i in self.inputs), *self.after]))


@dataclass(frozen=True)
class Graph:
    """The tasks of a recipe, each after those that it needs; ties are in the order of the recipe."""

    recipe: Recipe
    tasks: Mapping[TaskId, Task]

    def downstream(self) -> dict[TaskId, list[TaskId]]:
        """Return who waits for each task."""
        waiting: dict[TaskId, list[TaskId]] = {id: [] for id in self.tasks}
        for task in self.tasks.values():
            for producer in task.upstream:
                waiting[producer].append(task.id)
        return waiting


def build(recipe: Recipe) -> tuple[Graph, list[SpatialrunError]]:
    """Join the steps of a recipe into a graph.

    Returns the graph of what is sound and every problem found: files that are missing, slots that nobody
    writes, two writers of one slot, steps that wait for each other.
    """
    problems = Problems()
    drafts: dict[TaskId, Task] = {}
    open_samples = set() if recipe.complete else set(recipe.samples)
    for sample in recipe.samples.values():
        try:
            site = Site(path=input_path(sample, recipe), base=recipe.base)
        except SpatialrunError as error:
            problems.include(error.at(sample=sample.name))
            open_samples.add(sample.name)
            continue
        for entry in recipe.steps:
            if sample.name in entry.samples:
                id = TaskId(entry.id, sample.name)
                try:
                    drafts[id] = _draft(id, entry, replace(site, step=entry.id))
                except SpatialrunError as error:
                    problems.include(_structural(error, id, entry, recipe))
                    open_samples.add(sample.name)
    writers = _writers(drafts, problems)
    _check_destinations(drafts, problems)
    unwritten = Unwritten()
    tasks = {
        id: _joined(task, writers[id.sample], unwritten, problems, certain=id.sample not in open_samples)
        for id, task in drafts.items()
    }
    for problem in unwritten.problems():
        problems.include(problem)
    tasks = {id: replace(task, after=tuple(_after(task, tasks))) for id, task in tasks.items()}
    return Graph(recipe, _ordered(tasks, problems)), list(problems)


def _draft(id: TaskId, entry: StepEntry, site: Site) -> Task:
    """Ask a step type what it writes and which files it needs."""
    try:
        writes = tuple(entry.step.writes(entry.params, site))
        externals = entry.step.externals(entry.params, site)
    except OSError as error:
        raise DataError(
            "data.bad-file",
            f"{error.filename or 'a file'} cannot be read: {error.strerror or error}",
            hint="check its owner and mode",
        ) from error
    for role, path in externals.items():
        if not path.exists():
            raise RecipeError(
                "data.missing-file",
                f"{path} does not exist",
                where=entry.where_of(role),
                hint="paths are relative to the recipe's folder",
            )
    destination = entry.step.destination(entry.params)
    target = None if destination is None else site.base / destination.replace("{sample}", id.sample)
    return Task(id, entry, site, (), writes, externals, target)


def _structural(error: SpatialrunError, id: TaskId, entry: StepEntry, recipe: Recipe) -> SpatialrunError:
    """Turn a step type's complaint into a problem of the recipe: at the file's path, where one is at fault."""
    if isinstance(error, RecipeError) and error.where.line is not None:
        return error.at(step=id.step, sample=id.sample)
    path_at = recipe.where("samples", id.sample, "path")
    named = [name for name in sorted(parameter_names(type(entry.params), "path")) if name in entry.entries]
    place = entry.where_of(named[0]) if named else path_at
    what = error.what
    if error.where.file and error.where.file not in what:
        what = f"{what} ({error.where.file})"
    return RecipeError(
        error.code, what, where=replace(place, step=id.step, sample=id.sample), hint=error.hint
    )


def _writers(drafts: Mapping[TaskId, Task], problems: Problems) -> dict[str, dict[str, TaskId]]:
    """Map every sample's slots to their writers; two steps that share slots are one problem."""
    writers: dict[str, dict[str, TaskId]] = defaultdict(dict)
    shared: dict[tuple[str, str], dict[str, Task]] = defaultdict(dict)
    for id, task in drafts.items():
        for write in task.writes:
            first = writers[id.sample].setdefault(write.slot, id)
            if first != id:
                shared[first.step, id.step].setdefault(write.slot, task)
    for (earlier, later), slots in shared.items():
        slot, task = next(iter(slots.items()))
        more = f" and {len(slots) - 1} more" if len(slots) > 1 else ""
        names = sorted(parameter_names(type(task.entry.params), "output_name"))
        problems.include(
            RecipeError(
                "recipe.double-writer",
                f"steps {earlier} and {later} both write {slot}{more}",
                where=replace(task.entry.where, step=later, sample=task.id.sample, slot=slot),
                hint=f"give one of them another `{names[0]}`" if names else "remove one of them",
            )
        )
    return writers


def _check_destinations(drafts: Mapping[TaskId, Task], problems: Problems) -> None:
    """Refuse exports that would write over each other."""
    first: dict[str, TaskId] = {}
    said: set[tuple[str, str]] = set()
    for id, task in drafts.items():
        if task.destination is None:
            continue
        earlier = first.setdefault(os.path.normpath(task.destination), id)
        if earlier == id or (earlier.step, id.step) in said:
            continue
        said.add((earlier.step, id.step))
        same_step = earlier.step == id.step
        what = (
            f"step {id.step} writes {task.destination} for every sample"
            if same_step
            else f"steps {earlier.step} and {id.step} both write {task.destination}"
        )
        hint = "put {sample} into the path" if same_step else "give one of them another `path`"
        where = replace(task.entry.where_of("path"), step=id.step, sample=id.sample)
        problems.include(RecipeError("recipe.double-writer", what, where=where, hint=hint))


def _joined(
    task: Task,
    writers: Mapping[str, TaskId],
    unwritten: Unwritten,
    problems: Problems,
    *,
    certain: bool,
) -> Task:
    """Give every read of a task its writer; ``certain`` says that all of the sample's writers are known."""
    declared = frozenset(slot for slot, writer in writers.items() if writer != task.id)
    site = replace(task.site, declared=declared)
    inputs = []
    try:
        reads = list(task.step.reads(task.entry.params, site))
    except SpatialrunError as error:
        if certain or error.code != "recipe.unwritten-read":
            problems.include(_at_step(error, task))
        reads = []
    missing = []
    for read in [*reads, *implicit_reads(task.writes)]:
        if read.slot in declared:
            inputs.append(Input(read.port, read.slot, writers[read.slot]))
        elif not read.optional:
            missing.append(read)
    if certain:
        unwritten.add(task, missing, declared)
    return replace(task, site=site, inputs=tuple(inputs))


def _at_step(error: SpatialrunError, task: Task) -> SpatialrunError:
    if error.where.file is None:
        error.where = task.entry.where
    return error.at(step=task.id.step, sample=task.id.sample)


def _after(task: Task, tasks: Mapping[TaskId, Task]) -> Iterator[TaskId]:
    for step in task.entry.after:
        same = TaskId(step, task.id.sample)
        if same in tasks:
            yield same
        else:
            yield from (id for id in tasks if id.step == step)


def _ordered(tasks: Mapping[TaskId, Task], problems: Problems) -> dict[TaskId, Task]:
    """Sort so that every task comes after those that it needs."""
    position = {id: number for number, id in enumerate(tasks)}
    waiting: dict[TaskId, list[TaskId]] = defaultdict(list)
    missing = dict.fromkeys(tasks, 0)
    for id, task in tasks.items():
        for producer in task.upstream:
            waiting[producer].append(id)
            missing[id] += 1
    ready = [position[id] for id, count in missing.items() if not count]
    names = list(tasks)
    heapq.heapify(ready)
    ordered: dict[TaskId, Task] = {}
    while ready:
        id = names[heapq.heappop(ready)]
        ordered[id] = tasks[id]
        for follower in waiting[id]:
            missing[follower] -= 1
            if not missing[follower]:
                heapq.heappush(ready, position[follower])
    stuck = [id for id in tasks if id not in ordered]
    if stuck:
        cycle = _cycle(stuck, tasks)
        entry = tasks[cycle[0]].entry
        problems.include(
            RecipeError(
                "recipe.cycle",
                f"steps wait for each other: {' <- '.join(id.step for id in [*cycle, cycle[0]])}",
                where=replace(entry.where, step=entry.id, sample=cycle[0].sample),
                hint="rename a slot or remove an `after:` so that one of them can begin",
            )
        )
    return ordered


def _cycle(stuck: Sequence[TaskId], tasks: Mapping[TaskId, Task]) -> list[TaskId]:
    """Walk upstream among the stuck tasks until one comes up again."""
    among, path = set(stuck), [stuck[0]]
    while True:
        following = next(id for id in tasks[path[-1]].upstream if id in among)
        if following in path:
            return path[path.index(following) :]
        path.append(following)
