"""The queue: tasks whose inputs are there, and which of them may begin next, and where."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from spatialrun.plan.resolver import Decision
from spatialrun.plan.task import Task

ASSUMED_MEMORY = 500_000_000
"""What a task is taken to need that has no estimate."""
SMALL = 320_000_000
"""Up to this estimate a task is over before a worker has started."""
PATIENCE = 8
"""Small tasks that may wait for this process before a worker is started for them."""

Place = Literal["here", "worker", "alone"]
"""This process, a worker that other tasks use too, or a process made for the task."""


@dataclass(frozen=True)
class Ready:
    """A task that may run.

    Attributes
    ----------
    task, decision
        The task, and why it runs, under which key.
    memory
        The bytes that it is taken to need.
    isolated
        Whether it needs a process of its own, which can be ended.
    devices
        The devices any of which it needs to itself; of one that was taken, the one that it has. None where it
        uses no GPU.
    """

    task: Task
    decision: Decision
    memory: int
    isolated: bool = False
    devices: tuple[str, ...] = ()

    @property
    def small(self) -> bool:
        """Whether it is worth no worker of its own."""
        return self.memory <= SMALL and not self.devices


class Queue:
    """Tasks that wait to be run, in the order in which they became ready.

    Any that fits is taken, not the first alone: one that needs much memory waits for it while others pass.

    Parameters
    ----------
    memory
        Bytes that they may use together; ``None`` where they look after it themselves (on a cluster).
    process
        Bytes of these that a worker takes before its task does, or while it waits for one.
    workers
        Whether there are workers to choose: ``never`` (no other process sees the store), ``always`` (those of a
        cluster), or where they pay.
    """

    def __init__(
        self, memory: int | None, workers: Literal["never", "always", "where they pay"], *, process: int = 0
    ) -> None:
        self._memory, self._process = memory, process
        self._workers = workers
        self._large: list[Ready] = []
        self._small: list[Ready] = []

    def __len__(self) -> int:
        return len(self._large) + len(self._small)

    def __iter__(self) -> Iterator[Ready]:
        yield from self._large
        yield from self._small

    def add(self, ready: Ready) -> None:
        """Let a task wait."""
        (self._small if ready.small else self._large).append(ready)

    def take(self, running: Collection[Ready], *, width: int, idle: int) -> tuple[Ready, Place] | None:
        """Take a task that may begin and say where; ``None`` if none may.

        A run's own process is taken where a worker would not pay: for the only task that there is, and for small
        ones, as long as these are few and no worker is idle. It can do nothing else meanwhile, so larger ones
        are begun first.

        Parameters
        ----------
        running
            What is running.
        width
            How many tasks may run at a time.
        idle
            How many workers wait for a task.
        """
        if len(running) >= width:
            return None
        if self._workers == "where they pay" and not running and self._alone():
            ready = (self._small or self._large).pop(0)
            return ready, "worker" if ready.isolated else "here"
        for waiting in (self._large, self._small):
            for number, ready in enumerate(waiting):
                place = self._place(ready, width=width, idle=idle)
                fits = ready.memory <= self._left(running, idle, place)
                if (fits or not running) and (taken := _on_free_device(ready, running)):
                    del waiting[number]
                    tight = not fits and place == "worker" and self._workers == "where they pay"
                    return taken, "here" if tight and not ready.isolated else place
        return None

    def spare(self, running: Collection[Ready], *, idle: int, place: Place) -> int:
        """Return the bytes that a task which was just taken may use beyond what it was taken to need."""
        return 0 if self._memory is None else max(0, int(self._left(running, idle, place)))

    def together(self, running: Collection[Ready], *, width: int) -> int:
        """Return how many large tasks will share what cores are free, with the one that was just taken."""
        return max(1, min(width - len(running), 1 + len(self._large)))

    def _alone(self) -> bool:
        few = len(self._large) <= 1 and len(self._small) <= PATIENCE
        return len(self) > 0 and few and not any(ready.devices for ready in self._large)

    def _left(self, running: Collection[Ready], idle: int, place: Place) -> float:
        """Return the bytes that are left for one more task in a place; those beside it are in workers."""
        if self._memory is None:
            return math.inf
        workers = len(running) + idle + (place == "alone" or (place == "worker" and not idle))
        return self._memory - sum(other.memory for other in running) - workers * self._process

    def _place(self, ready: Ready, *, width: int, idle: int) -> Place:
        if self._workers == "never":
            return "here"
        if ready.devices:
            return "alone"
        if self._workers == "always" or ready.isolated:
            return "worker"
        few = not idle and len(self._small) <= PATIENCE
        return "here" if width == 1 or (ready.small and few) else "worker"


def _on_free_device(ready: Ready, running: Collection[Ready]) -> Ready | None:
    """Return a task with the one device that it is to have; ``None`` where others have all that would do."""
    if not ready.devices:
        return ready
    taken = {device for other in running for device in other.devices}
    free = [device for device in ready.devices if device not in taken]
    return replace(ready, devices=(free[0],)) if free else None
