"""The graph of a recipe: tasks, joined where one reads the slot that another writes.

Nothing is computed and no store is needed: a graph follows from the recipe, the catalogue and, for readers, the
names of the files that a sample has.
"""

from __future__ import annotations

import heapq
import string
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from spatialrun.errors import DataError, RecipeError, SpatialrunError, Where
from spatialrun.recipe.model import Recipe, StepEntry
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Read, Site, Step, Write, implicit_reads, parameter_names


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
    problems: list[SpatialrunError] = []
    drafts: dict[TaskId, Task] = {}
    for sample in recipe.samples.values():
        site = Site(path=sample.resolve(recipe.base), base=recipe.base)
        for entry in recipe.steps:
            if sample.name in entry.samples:
                id = TaskId(entry.id, sample.name)
                if task := _draft(id, entry, replace(site, step=entry.id), sample.where, problems):
                    drafts[id] = task
    writers = _writers(drafts, problems)
    tasks = {id: _joined(task, writers[id.sample], recipe, problems) for id, task in drafts.items()}
    tasks = {id: replace(task, after=tuple(_after(task, tasks))) for id, task in tasks.items()}
    return Graph(recipe, _ordered(tasks, problems)), problems


def _draft(
    id: TaskId, entry: StepEntry, site: Site, where: Where, problems: list[SpatialrunError]
) -> Task | None:
    """Ask a step type what it writes and which files it needs."""
    try:
        writes = tuple(entry.step.writes(entry.params, site))
        externals = entry.step.externals(entry.params, site)
    except DataError as error:
        problems.append(_structural(error, where).at(step=id.step, sample=id.sample))
        return None
    for role, path in externals.items():
        if not path.exists():
            problems.append(
                RecipeError(
                    "data.missing-file",
                    f"{path} does not exist",
                    where=replace(entry.where_of(role), step=id.step, sample=id.sample),
                    hint="paths are relative to the recipe's folder",
                )
            )
            return None
    destination = entry.step.destination(entry.params)
    target = None if destination is None else site.base / destination.replace("{sample}", id.sample)
    return Task(id, entry, site, (), writes, externals, target)


def _structural(error: DataError, where: Where) -> SpatialrunError:
    """Turn a reader's complaint into a problem of the recipe, at the sample whose files these are."""
    what = f"{error.what} ({error.where.file})" if error.where.file else error.what
    return RecipeError(error.code, what, where=where, hint=error.hint)


def _writers(drafts: Mapping[TaskId, Task], problems: list[SpatialrunError]) -> dict[str, dict[str, TaskId]]:
    """Map every sample's slots to their writers."""
    writers: dict[str, dict[str, TaskId]] = defaultdict(dict)
    said: set[tuple[str, str, str]] = set()
    for id, task in drafts.items():
        for write in task.writes:
            first = writers[id.sample].setdefault(write.slot, id)
            if first != id and (first.step, id.step, write.slot) not in said:
                said.add((first.step, id.step, write.slot))
                names = sorted(parameter_names(type(task.entry.params), "output_name"))
                advice = f"give one of them another `{names[0]}`" if names else "remove one of them"
                problems.append(
                    RecipeError(
                        "recipe.double-writer",
                        f"steps {first.step} and {id.step} both write {write.slot}",
                        where=replace(task.entry.where, step=id.step, sample=id.sample, slot=write.slot),
                        hint=advice,
                    )
                )
    return writers


def _joined(
    task: Task, writers: Mapping[str, TaskId], recipe: Recipe, problems: list[SpatialrunError]
) -> Task:
    """Give every read of a task its writer."""
    declared = frozenset(slot for slot, writer in writers.items() if writer != task.id)
    site = replace(task.site, declared=declared)
    inputs = []
    try:
        reads = list(task.step.reads(task.entry.params, site))
    except SpatialrunError as error:
        problems.append(_at_step(error, task))
        reads = []
    for read in [*reads, *implicit_reads(task.writes)]:
        if read.slot in declared:
            inputs.append(Input(read.port, read.slot, writers[read.slot]))
        elif not read.optional and recipe.complete:
            problems.append(_unwritten(task, read, declared))
    return replace(task, site=site, inputs=tuple(inputs))


def _at_step(error: SpatialrunError, task: Task) -> SpatialrunError:
    if error.where.file is None:
        error.where = task.entry.where
    return error.at(step=task.id.step, sample=task.id.sample)


def _unwritten(task: Task, read: Read, declared: frozenset[str]) -> SpatialrunError:
    near = get_close_matches(read.slot, sorted(declared), n=1, cutoff=0.6)
    makers = [maker for maker in _makers(read.slot) if maker != task.entry.uses]
    hints = []
    if near:
        hints.append(f"did you mean {near[0]}?")
    if makers:
        hints.append(f"written by: {', '.join(makers)}; add such a step, on this sample too")
    if not hints:
        hints.append(f"written for this sample: {', '.join(sorted(declared)) or 'nothing'}")
    return RecipeError(
        "recipe.unwritten-read",
        f"step {task.id.step} reads {read.slot}, which no step writes for sample {task.id.sample}",
        where=replace(_place_of_read(task, read), step=task.id.step, sample=task.id.sample, slot=read.slot),
        hint="; ".join(hints),
    )


def _place_of_read(task: Task, read: Read) -> Where:
    """Point at the parameter that names the slot, where there is one."""
    template = task.step.READS.get(read.port, "")
    fields = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    return task.entry.where_of(fields[0]) if fields else task.entry.where


def _makers(slot: str) -> Iterator[str]:
    """Yield the step types that write a slot when their parameters are left alone."""
    for step in catalogue.all_steps():
        try:
            params = step.Params()
            if any(write.slot == slot for write in step.writes(params, Site(step=step.name))):
                yield step.name
        except (ValueError, SpatialrunError):
            continue


def _after(task: Task, tasks: Mapping[TaskId, Task]) -> Iterator[TaskId]:
    for step in task.entry.after:
        same = TaskId(step, task.id.sample)
        if same in tasks:
            yield same
        else:
            yield from (id for id in tasks if id.step == step)


def _ordered(tasks: Mapping[TaskId, Task], problems: list[SpatialrunError]) -> dict[TaskId, Task]:
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
        problems.append(
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
