"""Mending: a damaged object that a task meets is dropped and made anew, and then the task is tried again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from spatialrun.errors import SpatialrunError
from spatialrun.plan.task import TaskId
from spatialrun.store.attempts import attempt_of
from spatialrun.store.elements import ObjectRef
from spatialrun.store.store import Store

MOST = 3
"""How often a task is tried again because an object that it reads is damaged."""


class Mending:
    """The damaged objects of one run, and the tasks that wait for them to be made anew."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._times: Counter[TaskId] = Counter()
        self._waiting: dict[TaskId, list[TaskId]] = {}

    def drop(self, id: TaskId, error: SpatialrunError) -> str | None:
        """Drop the object that a task found damaged, and return its attempt; ``None`` where that is no help."""
        path = (error.where.file or "").removeprefix(f"{self._store.url}/")
        if error.code != "store.corrupt" or not path.startswith("data/"):
            return None
        self._times[id] += 1
        if self._times[id] > MOST:
            return None  # it is not the object: the disk, or the step
        self._store.drop(path)
        return attempt_of(path)

    def wait(self, id: TaskId, maker: TaskId) -> bool:
        """Let a task wait for another to make an object anew; say whether it is the first that does."""
        first = maker not in self._waiting
        self._waiting.setdefault(maker, []).append(id)
        return first

    def made(self, maker: TaskId) -> list[TaskId]:
        """Return the tasks that waited for one that is done."""
        return self._waiting.pop(maker, [])


def maker_of(attempt: str, known: Mapping[TaskId, Mapping[str, ObjectRef]]) -> TaskId | None:
    """Return the task whose outputs lie in an attempt."""
    for id, outputs in known.items():
        if any(ref.path and attempt_of(ref.path) == attempt for ref in outputs.values()):
            return id
    return None
