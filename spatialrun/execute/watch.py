"""Watches: they end the process of a task that takes longer, or more memory, than it may.

Memory is what the process has in RAM and nowhere else (anonymous pages), read from outside many times a second.
Limits that the system keeps itself are of no use here: RLIMIT_AS counts addresses, of which CUDA reserves more
than any machine has memory, and RLIMIT_RSS does nothing on Linux. A process that fills the memory of the whole
machine between two looks is ended by the system instead.
"""

from __future__ import annotations

import platform
import subprocess
import threading
import time
from types import TracebackType
from typing import Protocol

from spatialrun.errors import TaskError, Where
from spatialrun.execute.memory import anonymous
from spatialrun.execute.spec import TaskSpec

_LINUX = platform.system() == "Linux"
_LOOK_EVERY = 0.05 if _LINUX else 1.0
LONGEST_START = 300.0
"""Seconds, more than its timeout, after which a process is ended whose task has not even begun."""


class Mortal(Protocol):
    """A process that can be ended."""

    @property
    def pid(self) -> int:
        """Its number."""

    def kill(self) -> None:
        """End it at once."""


class Watch:
    """Watches a process while it computes a task; to be used with ``with``.

    A task's time runs from when its own code begins: a slow machine may take long to start an interpreter and to
    import what is not the task's.

    Parameters
    ----------
    spec
        Says how long it may take, and how much memory.
    process
        The process.
    """

    def __init__(self, spec: TaskSpec, process: Mortal) -> None:
        self._spec = spec
        self._process = process
        self._news = threading.Event()
        self._over = False
        self._started = time.monotonic()
        self._begun: float | None = None
        self._verdict: TaskError | None = None
        self._thread: threading.Thread | None = None

    @property
    def verdict(self) -> TaskError | None:
        """Why the process was ended; ``None`` where it was not."""
        return self._verdict

    @property
    def begun(self) -> bool:
        """Whether the task's own code has begun."""
        return self._begun is not None

    def begin(self) -> None:
        """Count the task's time from now."""
        self._begun = time.monotonic()
        self._news.set()

    def __enter__(self) -> Watch:
        if self._spec.timeout_s is not None or self._spec.most_memory is not None:
            self._thread = threading.Thread(target=self._look, name="spatialrun-watch", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._news.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        most = self._spec.most_memory
        while not self._over and self._verdict is None:
            left = self._seconds_left()
            if left is not None and left <= 0:
                self._end(too_late(self._spec))
            elif most is not None and (held := _memory(self._process.pid)) > most:
                self._end(_too_large(self._spec, held))
            else:
                every = None if most is None else _LOOK_EVERY
                self._news.wait(min(each for each in (left, every) if each is not None))
                self._news.clear()

    def _seconds_left(self) -> float | None:
        if self._spec.timeout_s is None:
            return None
        first = self._started + LONGEST_START if self._begun is None else self._begun
        return first + self._spec.timeout_s - time.monotonic()

    def _end(self, verdict: TaskError) -> None:
        self._verdict = verdict
        self._process.kill()


def _memory(pid: int) -> int:
    """Return the bytes that a process has for itself; 0 where it is gone."""
    if _LINUX:
        return anonymous(pid)
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(said.stdout.strip() or 0) * 1024


def too_late(spec: TaskSpec) -> TaskError:
    """Return the error about a task that took longer than it may."""
    return TaskError(
        "task.timeout",
        f"{spec.uses} took longer than its timeout of {spec.timeout_s:g} s and was stopped",
        where=Where(step=spec.step, sample=spec.sample),
        hint="raise the step's `timeout` (or --timeout); blocks that were done are kept",
    )


def _too_large(spec: TaskSpec, held: int) -> TaskError:
    assert spec.most_memory is not None
    return TaskError(
        "task.memory",
        f"{spec.uses} held {held / 1e9:.3f} GB, more than the {spec.most_memory / 1e9:.3f} GB that it may, "
        "and was stopped",
        where=Where(step=spec.step, sample=spec.sample),
        hint="raise `gpu: {memory: ...}` of the step or the recipe",
    )
