"""Choices: which part of a recipe is to be brought up to date, and what is to run again though it is cached.

What is not chosen never runs. Where it is cached it is used; where it is not, what needs it is left out, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spatialrun.errors import RecipeError, RecipeErrors, UsageError
from spatialrun.plan.task import Task, TaskId
from spatialrun.recipe.composer import compose
from spatialrun.recipe.nodes import Atom, Entry, ListNode, MapNode, Node, ScalarNode
from spatialrun.recipe.problems import Problems, choices, unknown
from spatialrun.recipe.selection import Selection
from spatialrun.recipe.source import Mark, Source
from spatialrun.recipe.values import Values
from spatialrun.slots import COHORT

if TYPE_CHECKING:
    from spatialrun.plan.graph import Graph

Names = str | Sequence[str]
Samples = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


@dataclass(frozen=True)
class Choice:
    """A part of a graph.

    Attributes
    ----------
    tasks
        What may run.
    needed
        The same, and all that it needs.
    forced
        What runs even if it is cached.
    only
        Whether what the tasks need must be there: it is an error where it is not.
    asked
        What was asked for, as the options of the command line: ``{"until": ["svg"]}``.
    """

    tasks: Collection[TaskId]
    needed: Collection[TaskId]
    forced: Collection[TaskId] = frozenset()
    only: bool = False
    asked: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def not_cached(self, missing: Iterable[TaskId]) -> UsageError:
        """Return the error about what the chosen tasks need and do not find."""
        samples: dict[str, list[str]] = {}
        for id in missing:
            samples.setdefault(id.step, []).append(id.sample)
        named = [
            step if names == [COHORT] else f"{step} ({', '.join(names[:5])}{' ...' if names[5:] else ''})"
            for step, names in samples.items()
        ]
        steps = " ".join(self.asked.get("only", ()))
        return UsageError(
            "select.not-cached",
            f"--only {steps} needs what is not cached: {', '.join(named)}",
            hint=f"--until {steps} computes what it needs, too",
        )


def everything(graph: Graph) -> Choice:
    """Choose the whole of a graph."""
    return Choice(graph.tasks.keys(), graph.tasks.keys())


def choose(
    graph: Graph, *, until: Names = (), only: Names = (), samples: Samples = (), force: Names = ()
) -> Choice:
    """Choose a part of a graph.

    A step is named by its id; the id of a step with a matrix stands for all of its combinations.

    Parameters
    ----------
    graph
        The graph.
    until
        Steps to be brought up to date, with all that they need.
    only
        Steps to be brought up to date alone.
    samples
        Samples on which to do that, named as a step's ``samples`` does: by name, by pattern (``p2-*``), by
        metadata (``{"group": "tumor"}``, or ``group: tumor`` as text). Of steps on the cohort, those whose
        members are all among them.
    force
        Steps to run again.

    Raises
    ------
    UsageError
        ``usage`` where both ``until`` and ``only`` are given; ``select.nothing`` where no task is chosen, or none
        of a step that is to run again.
    RecipeErrors
        ``recipe.unknown-step``, ``recipe.unknown-sample`` with the nearest name.
    """
    asked = {"until": _listed(until), "only": _listed(only), "force": _listed(force)}
    problems = Problems()
    steps = {option: set(_steps(graph, option, names, problems)) for option, names in asked.items()}
    wanted = [samples] if isinstance(samples, str | Mapping) else list(samples)
    on = set(_samples(graph, wanted, problems))
    if len(problems):
        raise RecipeErrors(list(problems))
    if until and only:
        raise UsageError("usage", "--until and --only exclude each other", hint="give one of them")
    tasks: Iterable[TaskId] = graph.tasks
    if until:
        tasks = _with_needs(graph, (id for id in graph.tasks if id.step in steps["until"]))
    elif only:
        tasks = [id for id in graph.tasks if id.step in steps["only"]]
    if wanted:
        tasks = [id for id in tasks if _is_on(graph.tasks[id], on)]
    chosen = frozenset(tasks)
    if not chosen:
        hint = "a step on the cohort is done when all of its samples are chosen"
        raise UsageError("select.nothing", "no task is chosen", hint=hint)
    forced = frozenset(id for id in chosen if id.step in steps["force"])
    if idle := steps["force"] - {id.step for id in forced}:
        hint = "choose it, too, or leave --force out"
        raise UsageError("select.nothing", f"--force {', '.join(sorted(idle))}: it is not chosen", hint=hint)
    asked["samples"] = [_text(each) for each in wanted]
    return Choice(
        chosen,
        frozenset(_with_needs(graph, chosen)),
        forced,
        bool(only),
        MappingProxyType({option: names for option, names in asked.items() if names}),
    )


def _listed(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _steps(graph: Graph, option: str, names: Iterable[str], problems: Problems) -> Iterator[str]:
    """Yield the ids of the steps that are named."""
    ids: dict[str, list[str]] = {}
    for entry in graph.recipe.steps:
        ids.setdefault(entry.base_id, []).append(entry.id)
    ids |= {entry.id: [entry.id] for entry in graph.recipe.steps}
    for name in names:
        if name not in ids:
            where = _mark(f"--{option} {name}").where()
            what, hint = unknown("step", name, ids), f"steps: {choices(ids)}"
            problems.include(RecipeError("recipe.unknown-step", what, where=where, hint=hint))
        yield from ids.get(name, ())


def _samples(graph: Graph, wanted: Iterable[str | Mapping[str, Any]], problems: Problems) -> Iterator[str]:
    """Yield the samples that are named, by themselves or by what is said of them."""
    selection = Selection(graph.recipe.samples, Values({}, problems))
    for each in wanted:
        try:
            node = _node(each, _mark(f"--samples {_text(each)}"))
        except RecipeError as error:
            problems.include(error)
        else:
            yield from selection.chosen(node, None)


def _node(wanted: object, mark: Mark) -> Node:
    """Return what was asked for as the recipe would hold it; ``*`` needs no quotes here."""
    if isinstance(wanted, Mapping):
        entries = {str(key): Entry(mark, _node(value, mark)) for key, value in wanted.items()}
        return MapNode(mark, MappingProxyType(entries))
    if isinstance(wanted, list | tuple):
        return ListNode(mark, tuple(_node(item, mark) for item in wanted))
    text = _text(wanted)
    if isinstance(wanted, str) and (":" in text or text.startswith(("{", "["))):
        return compose(Source(mark.source.name, text, override=True), Problems())
    value: Atom = wanted if isinstance(wanted, bool | int | float) else text
    return ScalarNode(mark, text, value)


def _text(wanted: object) -> str:
    if isinstance(wanted, Mapping):
        return ", ".join(f"{key}: {value}" for key, value in wanted.items())
    return str(wanted).lower() if isinstance(wanted, bool) else str(wanted)


def _mark(name: str) -> Mark:
    return Source(name, "", override=True).mark()


def _is_on(task: Task, samples: Collection[str]) -> bool:
    return all(member in samples for member in task.members or (task.id.sample,))


def _with_needs(graph: Graph, ids: Iterable[TaskId]) -> set[TaskId]:
    """Return tasks with all that they need."""
    found: set[TaskId] = set()
    waiting = list(ids)
    while waiting:
        id = waiting.pop()
        if id not in found:
            found.add(id)
            waiting += graph.tasks[id].upstream
    return found
