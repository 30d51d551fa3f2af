"""What is heard of a task in another process: passed on, and kept, as a process that dies cannot give its log."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from spatialrun.errors import SpatialrunError, TaskError, UsageError
from spatialrun.execute.events import Event, Listener
from spatialrun.execute.spec import TaskResult, TaskSpec, error_to_json

LONGEST_LOG = 2000
"""Lines that are kept; the first are dropped."""
TAIL = 8
"""Lines of the log that an error shows."""
_WITH_TAIL = (TaskError.__name__, UsageError.__name__)
"""Errors of which the log may say more; those of data and of the store say all themselves."""
_PLAIN = "task.missing-package"
"""The one of them to which the log has nothing to add."""


class Heard:
    """A listener to one task.

    Parameters
    ----------
    spec
        The task.
    listener
        Told everything that this one is told.
    """

    def __init__(self, spec: TaskSpec, listener: Listener) -> None:
        self._spec = spec
        self._listener = listener
        self._lines: deque[str] = deque(maxlen=LONGEST_LOG)
        self._told = 0

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        if event.kind in ("task-log", "task-warning"):
            self._told += 1
            self._lines.append(f"{'warning: ' * (event.kind == 'task-warning')}{event.data['line']}")
        self._listener(event)

    def printed(self, line: str) -> None:
        """Hear a line that the process prints."""
        self._lines.append(line)
        self._listener(Event("task-log", self._spec.step, self._spec.sample, {"line": line}))

    def whole(self, result: TaskResult) -> TaskResult:
        """Return a result with what was printed in its log."""
        log = [*self._lines, *result.facts.get("log", ())[self._told :]]  # a traceback is in the log alone
        error = result.error
        if error is not None and error["kind"] in _WITH_TAIL and error["code"] != _PLAIN:
            error = {**error, "what": _with_tail(error["what"], log)}
        return replace(result, facts={**result.facts, "log": log}, error=error)

    def failed(self, error: SpatialrunError) -> TaskResult:
        """Return the result of a task whose process is gone, or was never there."""
        return self.whole(TaskResult(error=error_to_json(error)))


def _with_tail(what: str, log: list[str]) -> str:
    return "\n".join([what, "its log ends:", *(f"  {line}" for line in log[-TAIL:])]) if log else what
