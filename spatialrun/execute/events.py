"""Events: what a run tells while it goes on. Whoever listens decides how to show it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "run-started",
    "task-cached",
    "task-waiting",
    "task-started",
    "task-progress",
    "task-log",
    "task-warning",
    "task-done",
    "task-retried",
    "task-failed",
    "task-skipped",
    "run-stopping",
    "run-finished",
]


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    kind
        What.
    step, sample
        To which task; empty for events of the run.
    data
        The rest: plain data.
    time
        When, in seconds since the epoch.
    """

    kind: Kind
    step: str = ""
    sample: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)

    def to_json(self) -> dict[str, Any]:
        """Return the event as one flat mapping."""
        task = {"step": self.step, "sample": self.sample} if self.step else {}
        return {"event": self.kind, "time": round(self.time, 3), **task, **self.data}


Listener = Callable[[Event], None]
"""Called from several threads, but never by two at once."""


def ignore(event: Event) -> None:
    """Listen to nothing."""
    del event


def one_at_a_time(listener: Listener) -> Listener:
    """Return a listener that is never called by two threads at once."""
    turn = threading.Lock()

    def listen(event: Event) -> None:
        with turn:
            listener(event)

    return listen
