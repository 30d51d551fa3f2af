"""Sharing: several runs on one store compute each task once; who finds it taken waits for the other's results.

Whoever begins a task takes the leases of its actions first. One that another run holds is put aside, and tried
again after a while: by then its results are there, or the other run is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from spatialrun.execute.queue import Ready
from spatialrun.plan.task import TaskId
from spatialrun.store.intents import Intent
from spatialrun.store.store import Store

SHORTEST, LONGEST = 0.05, 2.0
"""Seconds between two tries of a task that was put aside: a tenth of what it has waited, within these bounds."""


@dataclass(frozen=True)
class _Aside:
    """A task that was put aside, and when it is tried again, by the monotonic clock."""

    ready: Ready
    due: float


class Sharing:
    """What one run has taken, and what it waits for.

    Parameters
    ----------
    store, run
        The store, and the run's id.
    tell
        Called when a task is put aside for the first time, with who is at work on it, if that is another run.
    """

    def __init__(self, store: Store, run: str, tell: Callable[[Ready, Intent | None], None]) -> None:
        self._store, self._run, self._tell = store, run, tell
        self._held: set[str] = set()
        self._aside: dict[TaskId, _Aside] = {}
        self._since: dict[TaskId, float] = {}

    def __len__(self) -> int:
        return len(self._aside)

    def __iter__(self) -> Iterator[Ready]:
        return (each.ready for each in self._aside.values())

    def take(self, ready: Ready) -> bool:
        """Take a task, or put it aside; say which."""
        taken: list[str] = []
        for key in _keys(ready):
            if key in self._held or not self._store.leases.take(key, self._run):
                self._return(taken)
                self._put_aside(ready, key)
                return False
            self._held.add(key)
            taken.append(key)
        self._since.pop(ready.task.id, None)
        return True

    def give_back(self, ready: Ready) -> None:
        """Let others have a task: it is done, or has failed."""
        keys = _keys(ready)
        self._return(keys)
        for id, each in self._aside.items():
            if not set(keys).isdisjoint(_keys(each.ready)):
                self._aside[id] = _Aside(each.ready, 0.0)  # another of this run: it need not wait

    def close(self) -> None:
        """Let others have everything."""
        self._return(list(self._held))

    def due(self) -> list[Ready]:
        """Take out the tasks that are to be tried again."""
        now = time.monotonic()
        return [self._aside.pop(id).ready for id, each in list(self._aside.items()) if each.due <= now]

    @property
    def pause(self) -> float | None:
        """Seconds until the next is to be tried again; ``None`` where none waits."""
        if not self._aside:
            return None
        return max(0.0, min(each.due for each in self._aside.values()) - time.monotonic())

    def _put_aside(self, ready: Ready, key: str) -> None:
        id, now = ready.task.id, time.monotonic()
        if id not in self._since:
            self._since[id] = now
            self._tell(ready, None if key in self._held else self._store.leases.of(key))
        pause = min(max((now - self._since[id]) / 10, SHORTEST), LONGEST)
        self._aside[id] = _Aside(ready, now + pause)

    def _return(self, keys: Iterable[str]) -> None:
        for key in keys:
            if key in self._held:
                self._held.discard(key)
                self._store.leases.give_back(key, self._run)


def _keys(ready: Ready) -> list[str]:
    """Return the keys of the actions that a task is going to make, its last one last."""
    decision = ready.decision
    early = [key for stage, key in decision.stage_keys.items() if stage not in decision.done_stages]
    return [*early, str(decision.key)]
