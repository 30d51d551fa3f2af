"""The tasks of a run, step by step: what became of them, how long they took, and why they ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spatialrun.plan.reasons import Reason
from spatialrun.plan.wording import because_words, reason_words, value
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run

WORST_FIRST = ("failed", "skipped", "done", "cached", "unselected")


@dataclass(frozen=True)
class Task:
    """One task, in words and numbers.

    Attributes
    ----------
    sample, status
        On what, and what became of it.
    seconds, memory
        Wall time in seconds and peak memory in bytes of its making, whenever that was; 0 where unknown.
    why
        Why it ran, or why it was not come to.
    log
        What it said.
    error
        What went wrong: ``what``, ``code``, ``hint``.
    inputs, outputs
        Slot and first characters of its object's digest.
    """

    sample: str
    status: str
    seconds: float
    memory: int
    why: tuple[str, ...]
    log: tuple[str, ...]
    error: Mapping[str, Any] | None
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class StepSummary:
    """One step of the recipe with its tasks.

    Attributes
    ----------
    id, uses
        Its name in the recipe, and its type.
    anchor
        Where the page shows it.
    parameters
        Name and value, as a recipe would have them.
    numerics
        Libraries that decide its numbers, with their versions.
    tasks
        One per sample.
    """

    id: str
    uses: str
    anchor: str
    parameters: tuple[tuple[str, str], ...]
    numerics: tuple[tuple[str, str], ...]
    tasks: tuple[Task, ...]

    @cached_property
    def status(self) -> str:
        """The worst of its tasks'."""
        found = {task.status for task in self.tasks}
        return next(status for status in WORST_FIRST if status in found)

    @property
    def counts(self) -> tuple[tuple[int, str], ...]:
        """How many tasks came to each status."""
        counts = Counter(task.status for task in self.tasks)
        return tuple((counts[status], status) for status in WORST_FIRST if counts[status])

    @property
    def seconds(self) -> float:
        """Wall time of all its tasks together."""
        return sum(task.seconds for task in self.tasks)

    @property
    def memory(self) -> int:
        """Peak memory of the task that took most."""
        return max(task.memory for task in self.tasks)


def steps_of(run: Run) -> tuple[StepSummary, ...]:
    """Return the steps of a run in the order of the recipe."""
    entries: dict[str, list[TaskEntry]] = {}
    for entry in run.tasks.values():
        entries.setdefault(entry.step, []).append(entry)
    return tuple(_step(number, found) for number, found in enumerate(entries.values(), 1))


def _step(number: int, entries: Sequence[TaskEntry]) -> StepSummary:
    first = entries[0]
    identity = next((entry.identity for entry in entries if entry.identity), {})
    return StepSummary(
        first.step,
        first.uses,
        f"step-{number}",
        tuple((name, value(given)) for name, given in identity.get("params", {}).items()),
        tuple(identity.get("numerics", {}).items()),
        tuple(map(_task, entries)),
    )


def _task(entry: TaskEntry) -> Task:
    facts = entry.facts
    why = tuple(reason_words(Reason(**reason)) for reason in facts.get("reasons", ()))
    if because := facts.get("because"):
        why = (because_words(because),)
    inputs = {slot: digest for _, slot, digest in entry.identity.get("inputs", ())}
    return Task(
        entry.sample,
        entry.status,
        facts.get("wall_s") or 0.0,
        facts.get("peak_rss") or 0,
        why if entry.status not in ("cached", "unselected") else (),
        tuple(facts.get("log") or ()),
        facts.get("error"),
        tuple((slot, digest[:12]) for slot, digest in inputs.items()),
        tuple((slot, ref.digest[:12]) for slot, ref in entry.outputs.items()),
    )
