"""Reads of slots that nobody writes: one problem for all samples, at the parameter that names the slot."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from spatialrun.errors import RecipeError, SpatialrunError, Where
from spatialrun.recipe.nodes import ListNode, MapNode, Node, ScalarNode
from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Read, Site, fill

if TYPE_CHECKING:
    from spatialrun.plan.task import Task

MOST_SAMPLES = 5
"""Samples that a message names one by one."""


@dataclass
class _Case:
    """A step that reads a slot which is written for none of these samples."""

    task: Task
    read: Read
    declared: frozenset[str]
    present: frozenset[str]
    samples: list[str] = field(default_factory=list)


class Unwritten:
    """Collects the reads without a writer.

    Parameters
    ----------
    present
        Sample to the step types that the recipe has for it.
    """

    def __init__(self, present: Mapping[str, Collection[str]]) -> None:
        self._present = present
        self._cases: dict[tuple[str, str], _Case] = {}

    def add(self, task: Task, sample: str, missing: Sequence[Read], declared: frozenset[str]) -> None:
        """Note what a task misses of a sample, of the slots that are declared for that.

        Axes come with whatever lies along them: where something else is missing too, they are not worth a
        problem of their own.
        """
        essential = [read for read in missing if group_of(read.slot) != "axes"]
        for read in essential or missing:
            present = frozenset(self._present.get(sample, ()))
            case = self._cases.setdefault((task.id.step, read.slot), _Case(task, read, declared, present))
            if sample not in case.samples:
                case.samples.append(sample)

    def problems(self) -> Iterator[SpatialrunError]:
        """Yield one problem for every step and slot."""
        for case in self._cases.values():
            step, slot = case.task.id.step, case.read.slot
            yield RecipeError(
                "recipe.unwritten-read",
                f"step {step} reads {slot}, which no step writes for {_listed(case.samples)}",
                where=replace(_place(case.task, case.read), step=step, sample=case.samples[0], slot=slot),
                hint=_advice(case),
            )


def _listed(samples: Sequence[str]) -> str:
    more = len(samples) - MOST_SAMPLES
    shown = ", ".join(samples[:MOST_SAMPLES]) + (f" and {more} more" if more > 0 else "")
    return f"sample {shown}" if len(samples) == 1 else f"samples {shown}"


def _advice(case: _Case) -> str:
    near = get_close_matches(case.read.slot, sorted(case.declared), n=1, cutoff=0.6)
    makers = [maker for maker in _makers(case.read.slot) if maker != case.task.entry.uses]
    hints = [f"did you mean {near[0]}?"] if near else []
    if there := [maker for maker in makers if maker in case.present]:
        hints.append(f"{', '.join(there)} would write it with other parameters, or of other files")
    elif makers and _is_in_files(case):
        places = ", ".join(f"samples.{name}" for name in case.samples[:MOST_SAMPLES])
        hints.append(f"give {places} a path; or simulate it: {', '.join(makers)}")
    elif makers:
        hints.append(f"written by: {', '.join(makers)}; add such a step, on this sample too")
    if not hints:
        hints.append(f"written for this sample: {', '.join(sorted(case.declared)) or 'nothing'}")
    return " ".join(hints)


def _is_in_files(case: _Case) -> bool:
    """Whether it is the sample's own files that are lacking: with a path, the step would not read the slot."""
    site = case.task.sites[case.samples[0]]
    if site.path is not None or case.samples[0] == COHORT:
        return False
    reads = case.task.step.reads(case.task.entry.params, replace(site, path=site.base))
    return all(read.slot != case.read.slot for read in reads)


def _makers(slot: str) -> Iterator[str]:
    """Yield the step types that write a slot when their parameters are left alone."""
    for step in catalogue.all_steps():
        try:
            params = step.Params()
            if any(write.slot == slot for write in step.writes(params, Site(step=step.name))):
                yield step.name
        except (ValueError, SpatialrunError):
            continue


def _place(task: Task, read: Read) -> Where:
    """Return the place of the parameter that names the slot; the step's where its default does, or none."""
    for name, entry in task.entry.entries.items():
        template = task.step.READS.get(read.port.rpartition("/")[2], "")
        filled = (
            f"{{{name}}}" in template and fill(template.removesuffix("?"), task.entry.params) == read.slot
        )
        inner = () if filled else _naming(entry.value, {read.slot, name_of(read.slot)})
        if inner is not None:
            return task.entry.where_of(name, *inner)
    return task.entry.where


def _naming(node: Node, names: set[str]) -> tuple[str | int, ...] | None:
    """Return the way to the value within a node that is one of these names.

    As itself, as ``obs:name``, or as a channel of it: ``hires/r``.
    """
    if isinstance(node, ScalarNode):
        text = str(node.value).rpartition(":")[2]
        return () if not names.isdisjoint((text, text.partition("/")[0])) else None
    items: list[tuple[str | int, Node]] = []
    if isinstance(node, MapNode):
        items = [(key, entry.value) for key, entry in node.entries.items()]
    elif isinstance(node, ListNode):
        items = list(enumerate(node.items))
    for key, item in items:
        if (way := _naming(item, names)) is not None:
            return (key, *way)
    return None
