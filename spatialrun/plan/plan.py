"""The plan of a recipe against a store: what ``apply`` would do, task by task, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from spatialrun import markup, words
from spatialrun.errors import SpatialrunError
from spatialrun.plan.choice import Choice, everything
from spatialrun.plan.graph import Graph
from spatialrun.plan.resolver import Decision, Resolver
from spatialrun.plan.task import Task, TaskId
from spatialrun.plan.wording import reason_words
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
    """What ``apply`` would do, in order.

    Attributes
    ----------
    graph
        The recipe's tasks.
    tasks
        What is to become of each.
    choice
        Those of them that were chosen.
    gone
        Tasks of the newest run that the recipe does not have any more: the next run leaves their results out.
    """

    graph: Graph
    tasks: Mapping[TaskId, PlannedTask]
    choice: Choice
    gone: tuple[TaskId, ...] = ()

    def __iter__(self) -> Iterator[PlannedTask]:
        return iter(self.tasks.values())

    def count(self, status: str) -> int:
        """Return how many of the tasks that were chosen have a status."""
        return sum(planned.decision.status == status for planned in self.chosen)

    @property
    def chosen(self) -> Iterator[PlannedTask]:
        """The tasks that were chosen, in order."""
        return (planned for id, planned in self.tasks.items() if id in self.choice.tasks)

    def __repr__(self) -> str:
        return f"<plan: {_counted(planned.decision.status for planned in self.chosen)}>"

    def _repr_html_(self) -> str:
        """A row for every step: how many of its tasks are cached, run or wait, and why."""
        steps: dict[str, list[PlannedTask]] = {}
        for planned in self.chosen:
            steps.setdefault(planned.task.id.step, []).append(planned)
        rows = [
            (
                step,
                tasks[0].task.entry.uses,
                _counted(planned.decision.status for planned in tasks),
                "; ".join(dict.fromkeys(reason_words(r) for p in tasks for r in p.decision.reasons)),
            )
            for step, tasks in steps.items()
        ]
        said = _counted(planned.decision.status for planned in self.chosen)
        return markup.box("plan", said, markup.table(rows, ("step", "uses", "tasks", "why")))


def make_plan(
    graph: Graph, store: Store | None, choice: Choice | None = None, *, hash_sources: bool = False
) -> Plan:
    """Plan a graph, or what is chosen of it, against a store (``None`` where there is none yet).

    Computes nothing, and reads external files only with ``hash_sources``.

    Raises
    ------
    UsageError
        ``select.not-cached`` where a choice of steps alone lacks what they need.
    """
    choice = choice or everything(graph)
    last = store.runs.latest() if store else None
    resolver = Resolver(store, last, choice, hash_sources=hash_sources)
    known: dict[TaskId, Mapping[str, ObjectRef]] = {}
    shapes = Shapes(graph)
    planned: dict[TaskId, PlannedTask] = {}
    out: dict[TaskId, None] = {}
    for id, task in graph.tasks.items():
        decision = _within(choice, id, task, resolver.decide(task, known), out)
        memory = None
        if decision.status == "cached":
            known[id] = decision.outputs
            shapes.learn(id.sample, decision.outputs)
        elif decision.status == "unselected":
            out[id] = None
        elif id in choice.tasks:
            memory = shapes.memory(task)
        planned[id] = PlannedTask(task, decision, memory)
    if choice.only:
        lacking = (planned[id].decision.waits_for for id in choice.tasks if id in out)
        if missing := {up for waits in lacking for up in waits if up not in choice.tasks}:
            raise choice.not_cached(id for id in graph.tasks if id in missing)
    gone = (TaskId(*id) for id in last.tasks) if last else ()
    return Plan(graph, planned, choice, tuple(id for id in gone if id not in graph.tasks))


def _within(choice: Choice, id: TaskId, task: Task, decision: Decision, out: Collection[TaskId]) -> Decision:
    """Return what is to become of a task, given those that are left out."""
    if decision.status == "cached":
        return decision
    blocked = tuple(up for up in task.upstream if up in out)
    if blocked:
        return Decision("unselected", waits_for=blocked)
    if id in choice.tasks or decision.status == "pending":
        return decision
    if all(reason.kind == "unread" for reason in decision.reasons):
        return replace(decision, status="pending")  # it may be cached: that is seen when its files are read
    return Decision("unselected")


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


def _counted(statuses: Iterable[str]) -> str:
    return words.listed((number, status) for status, number in Counter(statuses).items())
