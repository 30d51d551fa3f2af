"""Tasks: a step on a sample, or on the cohort; what it reads from which task, and what it writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from spatialrun.recipe.model import StepEntry
from spatialrun.slots import COHORT, locate
from spatialrun.steps.contract import Site, Step, Write


class TaskId(NamedTuple):
    """A step on a sample; of a step on the whole cohort the sample is ``_cohort``."""

    step: str
    sample: str

    def __str__(self) -> str:
        return self.step if self.sample == COHORT else f"{self.step} {self.sample}"


@dataclass(frozen=True)
class Input:
    """A slot that a task reads, and the task that writes it.

    Attributes
    ----------
    port
        What the step calls it; of a cohort step ``<sample>/<port>``.
    slot
        The slot's address, seen from the task that reads it (:func:`spatialrun.slots.address`).
    producer
        The task that writes it.
    output
        The slot's address, seen from the producer.
    """

    port: str
    slot: str
    producer: TaskId
    output: str


@dataclass(frozen=True)
class Task:
    """One step on one sample or on the cohort: the unit that is planned, cached and run.

    Attributes
    ----------
    id
        Step and sample.
    entry
        The recipe's step.
    sites
        What is known of each sample whose slots it may read or write: of its own sample; of a cohort step, of
        each member in the recipe's order, and of ``_cohort``.
    inputs, writes
        Slots read and written, by port. Slots are addresses, seen from the task.
    externals
        Files outside the store, by role.
    destination
        The file or folder that an export writes.
    after
        Tasks that must be done first without giving it anything.
    """

    id: TaskId
    entry: StepEntry
    sites: Mapping[str, Site]
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
    def site(self) -> Site:
        """What is known of the task's own sample."""
        return self.sites[self.id.sample]

    @property
    def members(self) -> tuple[str, ...]:
        """The samples that a cohort step joins, in the recipe's order; none for a step on one sample."""
        return tuple(name for name in self.sites if name != COHORT) if self.id.sample == COHORT else ()

    @property
    def upstream(self) -> tuple[TaskId, ...]:
        """Every task that must be done first."""
        return tuple(dict.fromkeys([*(i.producer for i in self.inputs), *self.after]))

    def written(self) -> Iterator[tuple[str, str]]:
        """Yield sample and slot of everything that it writes."""
        for write in self.writes:
            yield locate(write.slot, seen_from=self.id.sample)
