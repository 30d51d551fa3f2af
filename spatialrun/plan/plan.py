"""The plan of a recipe against a store: what ``apply`` would do, task by task, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spatialrun.errors import RecipeErrors, SpatialrunError
from spatialrun.plan.graph import Graph, build
from spatialrun.plan.resolver import Decision, Resolver
from spatialrun.plan.task import Task, TaskId
from spatialrun.recipe.model import Recipe
from spatialrun.steps.contract import Shape
from spatialrun.store.elements import ObjectRef
from spatialrun.store.store import Store


@dataclass(frozen=True)
class PlannedTask:
    """A task, what is to become of it, and the memory that running it needs (bytes; ``None``: not known)."""

    task: Task
    decision: Decision
    memory: int | None


@dataclass(frozen=True)
class Plan:
    """What ``apply`` would do, in order."""

    graph: Graph
    tasks: Mapping[TaskId, PlannedTask]

    def __iter__(self) -> Iterator[PlannedTask]:
        return iter(self.tasks.values())

    def count(self, status: str) -> int:
        """Return how many tasks have a status."""
        return sum(planned.decision.status == status for planned in self)


def make_graph(recipe: Recipe) -> Graph:
    """Return a recipe's graph.

    Raises
    ------
    RecipeErrors
        With every problem.
    """
    graph, problems = build(recipe)
    if problems:
        raise RecipeErrors(problems)
    return graph


def make_plan(graph: Graph, store: Store | None) -> Plan:
    """Plan a graph against a store (``None`` where there is none yet). Hashes and computes nothing."""
    last = store.runs.latest() if store else None
    resolver = Resolver(store, last, hash_sources=False)
    known: dict[TaskId, Mapping[str, ObjectRef]] = {}
    shapes = Shapes(graph)
    planned: dict[TaskId, PlannedTask] = {}
    for id, task in graph.tasks.items():
        decision = resolver.decide(task, known)
        if decision.status == "cached":
            known[id] = decision.outputs
            shapes.learn(id.sample, decision.outputs)
        memory = None if decision.status == "cached" else shapes.memory(task)
        planned[id] = PlannedTask(task, decision, memory)
    return Plan(graph, planned)


class Shapes:
    """The sizes of samples as far as they are known: from stored counts, else from the headers of files."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, Shape | None] = {}

    def learn(self, sample: str, outputs: Mapping[str, ObjectRef]) -> None:
        """Take a sample's size from its stored counts, where they are among a task's outputs."""
        counts = outputs.get("layers/counts")
        if counts is not None and counts.kind == "sparse":
            n_obs, n_vars = counts.meta["shape"]
            self._known[sample] = Shape(n_obs, n_vars, counts.meta["nnz"])

    def of(self, sample: str) -> Shape | None:
        """Return a sample's size; headers are read when it is first asked for, as that costs time."""
        if sample not in self._known:
            tasks = (task for task in self._graph.tasks.values() if task.id.sample == sample)
            self._known[sample] = next((shape for task in tasks if (shape := _peek(task))), None)
        return self._known[sample]

    def of_task(self, task: Task) -> Shape | None:
        """Return the size of what a task works on; of a cohort step, that of all members together."""
        if not task.members:
            return self.of(task.id.sample)
        shapes = [self.of(member) for member in task.members]
        known = [shape for shape in shapes if shape is not None]
        if len(known) < len(shapes):
            return None
        return Shape(
            sum(shape.n_obs for shape in known),
            max(shape.n_vars for shape in known),
            sum(shape.nnz for shape in known),
        )

    def memory(self, task: Task) -> int | None:
        """Return the estimate for a task; ``None`` while the sample's size is unknown."""
        shape = self.of_task(task)
        return None if shape is None else task.step.memory(shape, task.entry.params)


def _peek(task: Task) -> Shape | None:
    try:
        return task.step.peek(task.entry.params, task.site)
    except (SpatialrunError, OSError):
        return None  # said properly when the reader runs
