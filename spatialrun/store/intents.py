"""Intents: what a running ``apply`` has said that it relies on, so that ``gc`` leaves it alone.

An intent is a folder named after the run that is to be: ``intents/<run>/``. Its ``intent.json`` says who runs
and since when, and names the run before, all of whose objects it relies on; it is rewritten every few seconds,
so that the intent of a dead host is known by its age. Beside it lie lists of attempts of other runs that it has
come to rely on. The attempts that a run makes itself carry its name and need no list.

Correctness rests on the order of steps, not on clocks: whoever relies on something writes that down first and
looks for a tombstone second; see :mod:`spatialrun.store.gc`.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spatialrun.store.attempts import MANIFEST
from spatialrun.store.backend import Backend
from spatialrun.store.tombstones import Tombstones

FOLDER = "intents"
STALE_AFTER = 24 * 3600.0
"""Seconds without a heartbeat after which a run on another host is taken for dead."""


@dataclass(frozen=True)
class Intent:
    """Who runs, and on what it relies.

    Attributes
    ----------
    run
        The id of the run that is to be.
    host, pid
        The process.
    started, heartbeat
        Seconds since the epoch, by the clock of that host.
    last
        The run before, all of whose objects are relied on; ``None`` where there is none.
    progress
        What is known of its tasks: ``total``, ``done``, ``running`` ...
    """

    run: str
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    started: float = field(default_factory=time.time)
    heartbeat: float = field(default_factory=time.time)
    last: str | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)

    def is_alive(self) -> bool:
        """Whether the process may still be running: unknown of other hosts, which are believed for a day."""
        if self.host == socket.gethostname() and not _runs(self.pid):
            return False
        return time.time() - self.heartbeat < STALE_AFTER


class Intents:
    """The intents of a store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def announce(self, intent: Intent) -> None:
        """Write an intent, or write it anew."""
        content = {name: getattr(intent, name) for name in _FIELDS}
        self._backend.put(_path(intent.run), json.dumps(content).encode())

    def withdraw(self, run: str) -> None:
        """Remove an intent: its run is saved, or nothing came of it."""
        self._backend.delete(f"{FOLDER}/{run}")

    def rely(self, run: str, attempts: Iterable[str]) -> set[str]:
        """Write down that a run relies on attempts of others; return those that are going, or gone."""
        wanted = {attempt for attempt in attempts if owner_of(attempt) != run}
        if not wanted:
            return set()
        listing = json.dumps(sorted(wanted)).encode()
        self._backend.put(f"{FOLDER}/{run}/{uuid.uuid4().hex}.json", listing)
        # In this order: an attempt that loses its tombstone between the two has been deleted by then.
        lost = wanted & set(Tombstones(self._backend))
        return lost | {a for a in wanted - lost if not self._backend.exists(f"data/{a}/{MANIFEST}")}

    def relied_on(self, run: str) -> set[str]:
        """Return the attempts of others that a run has written down."""
        names = (name for name in self._backend.list(f"{FOLDER}/{run}") if name != _INTENT)
        contents = (self._backend.get(f"{FOLDER}/{run}/{name}") for name in names if name[0] != ".")
        return {attempt for content in contents if content for attempt in json.loads(content)}

    def __iter__(self) -> Iterator[Intent]:
        """Yield every intent, of the living and the dead."""
        for run in self._backend.list(FOLDER):
            if (intent := self.of(run)) is not None:
                yield intent

    def of(self, run: str) -> Intent | None:
        """Return the intent of a run, living or dead; ``None`` where there is none."""
        content = self._backend.get(_path(run))
        try:
            found = json.loads(content) if content else {}
            return Intent(**{name: found[name] for name in _FIELDS if name in found}) if found else None
        except (ValueError, TypeError):
            return None  # nothing that a run has written


def owner_of(attempt: str) -> str:
    """Return the run that made an attempt; empty where none did."""
    return attempt.partition("-")[2]


_INTENT = "intent.json"
_FIELDS = ("run", "host", "pid", "started", "heartbeat", "last", "progress")


def _path(run: str) -> str:
    return f"{FOLDER}/{run}/{_INTENT}"


def _runs(pid: int) -> bool:
    """Whether a process of this host is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is another user's
    return True
