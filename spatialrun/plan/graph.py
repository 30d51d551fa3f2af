"""The graph of a recipe: tasks, joined where one reads the slot that another writes.

Nothing is computed and no store is needed: a graph follows from the recipe, the catalogue and, for readers, the
names of the files that a sample has.
"""

from __future__ import annotations

import heapq
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from spatialrun.errors import RecipeError, SpatialrunError
from spatialrun.plan.draft import draft, known_sites, reads, structural, wanted
from spatialrun.plan.task import Input, Task, TaskId
from spatialrun.plan.unwritten import Unwritten
from spatialrun.recipe.model import Recipe
from spatialrun.recipe.problems import Problems
from spatialrun.slots import address
from spatialrun.steps.contract import parameter_names

Writers = Mapping[str, Mapping[str, TaskId]]
"""Sample and slot to the task that writes it."""


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
    sites = known_sites(recipe, problems)
    open_samples = recipe.samples.keys() - (sites if recipe.complete else {})
    for id, entry, mine in wanted(recipe, sites):
        try:
            drafts[id] = draft(id, entry, mine)
        except SpatialrunError as error:
            problems.include(structural(error, id, entry, recipe))
            open_samples |= mine.keys()
    writers = _writers(drafts, problems)
    _check_destinations(drafts, problems)
    present: dict[str, set[str]] = defaultdict(set)
    for task in drafts.values():
        for sample in task.sites:
            present[sample].add(task.entry.uses)
    unwritten = Unwritten(present)
    tasks = {id: _joined(task, writers, unwritten, problems, open_samples) for id, task in drafts.items()}
    for problem in unwritten.problems():
        problems.include(problem)
    for id, task in tasks.items():
        if task.entry.after:
            tasks[id] = replace(task, after=tuple(_after(task, tasks)))
    return Graph(recipe, _ordered(tasks, problems)), list(problems)


def _writers(drafts: Mapping[TaskId, Task], problems: Problems) -> Writers:
    """Map every sample's slots to their writers; two steps that share slots are one problem."""
    writers: dict[str, dict[str, TaskId]] = defaultdict(dict)
    shared: dict[tuple[str, str], dict[str, tuple[str, Task]]] = defaultdict(dict)
    for id, task in drafts.items():
        for sample, slot in task.written():
            first = writers[sample].setdefault(slot, id)
            if first != id:
                shared[first.step, id.step].setdefault(slot, (sample, task))
    for (earlier, later), slots in shared.items():
        slot, (sample, task) = next(iter(slots.items()))
        more = f" and {len(slots) - 1} more" if len(slots) > 1 else ""
        names = sorted(parameter_names(type(task.entry.params), "output_name"))
        problems.include(
            RecipeError(
                "recipe.double-writer",
                f"steps {earlier} and {later} both write {slot}{more}",
                where=replace(task.entry.where, step=later, sample=sample, slot=slot),
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
    task: Task, writers: Writers, unwritten: Unwritten, problems: Problems, open_samples: Collection[str]
) -> Task:
    """Give every read of a task its writer; of open samples, not all writers are known."""
    declared = {
        sample: frozenset(slot for slot, writer in writers.get(sample, {}).items() if writer != task.id)
        for sample in task.sites
    }
    certain = not any(sample in open_samples for sample in task.sites)
    inputs, missing = [], []
    try:
        for sample, read in reads(task, declared):
            slot = address(sample, read.slot, seen_from=task.id.sample)
            if read.slot in declared[sample]:
                producer = writers[sample][read.slot]
                output = address(sample, read.slot, seen_from=producer.sample)
                inputs.append(Input(read.port, slot, producer, output))
            elif not read.optional:
                missing.append((sample, read))
    except SpatialrunError as error:
        if certain or error.code != "recipe.unwritten-read":
            problems.include(_at_step(error, task))
    if certain:
        for sample in task.sites:
            lacking = [read for name, read in missing if name == sample]
            unwritten.add(task, sample, lacking, declared[sample])
    sites = {name: replace(site, declared=declared[name]) for name, site in task.sites.items()}
    return replace(task, sites=sites, inputs=tuple(inputs))


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
