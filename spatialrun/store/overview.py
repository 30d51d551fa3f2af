"""An overview of a store: its runs with their sizes, and what is going on in it now."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spatialrun.store.intents import Intent
from spatialrun.store.roots import held_by
from spatialrun.store.runs import Run
from spatialrun.store.store import Store
from spatialrun.store.usage import Usage


@dataclass(frozen=True)
class RunFacts:
    """A run in a line.

    Attributes
    ----------
    id, created, status
        As in its manifest.
    tasks
        How many of each status.
    size
        Bytes of all that it holds; what it shares with other runs is counted in each.
    pinned
        Whether ``gc`` keeps it whatever its age.
    asked
        What was asked for on top of the recipe.
    """

    id: str
    created: str
    status: str
    tasks: Mapping[str, int]
    size: int
    pinned: bool
    asked: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Going:
    """A run that is going on, and the seconds since its last heartbeat."""

    intent: Intent
    silence: float


@dataclass(frozen=True)
class Status:
    """A store at one moment.

    Attributes
    ----------
    url
        Where it is.
    going
        What is running.
    last
        The newest run, if there is one.
    runs
        How many there are.
    size
        Bytes of the whole store.
    free
        Bytes that the disk has left; ``None`` for a bucket.
    """

    url: str
    going: tuple[Going, ...]
    last: RunFacts | None
    runs: int
    size: int
    free: int | None


def list_runs(store: Store) -> tuple[RunFacts, ...]:
    """Return the runs of a store, oldest first.

    Raises
    ------
    StoreError
        ``store.corrupt`` where a manifest cannot be read.
    """
    usage, pinned = Usage.of(store.backend), store.runs.pinned()
    return tuple(
        _facts(store, store.runs.get(name), usage, pinned=name in pinned) for name in store.runs.names()
    )


def look_at(store: Store) -> Status:
    """Return what is going on in a store now."""
    usage, now, last = Usage.of(store.backend), time.time(), store.runs.latest()
    going = (Going(i, max(0.0, now - i.heartbeat)) for i in store.intents if i.is_alive())
    pinned = last is not None and last.id in store.runs.pinned()
    return Status(
        url=store.url,
        going=tuple(going),
        last=_facts(store, last, usage, pinned=pinned) if last else None,
        runs=sum(1 for _ in store.runs.names()),
        size=usage.size(usage.holders),
        free=None if store.backend.remote else shutil.disk_usage(store.url).free,
    )


def _facts(store: Store, run: Run, usage: Usage, *, pinned: bool) -> RunFacts:
    held = held_by(run, store.actions.read)
    size = usage.size([f"runs/{run.id}", *(f"data/{attempt}" for attempt in held)])
    tasks = Counter(task.status for task in run.tasks.values())
    return RunFacts(run.id, run.created, run.status, dict(tasks), size, pinned, run.asked)
