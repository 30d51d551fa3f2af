"""Tries: how often each task has failed in a run, what was said of that, and whether it is worth another try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spatialrun.errors import DataError, SpatialrunError
from spatialrun.execute.options import Options
from spatialrun.plan.task import Task, TaskId


class Tries:
    """The tries that the tasks of one run have had.

    Parameters
    ----------
    options
        Of the run: the tries of tasks whose step does not say.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._failed: dict[TaskId, int] = {}
        self._said: dict[TaskId, list[str]] = {}

    def allowed(self, task: Task) -> int:
        """How often the task may be tried in all: its step says it, else the run."""
        own = task.entry.retries
        return 1 + (self._options.retries if own is None else own)

    def failed(self, task: Task) -> int:
        """How many of its tries have failed."""
        return self._failed.get(task.id, 0)

    def say(self, task: Task, line: str) -> None:
        """Keep a line for the task's log, before those of the try that decides how it ends."""
        self._said.setdefault(task.id, []).append(line)

    def log(self, task: Task, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the facts of the task's last try with a log of all tries."""
        return {**facts, "log": [*self._said.get(task.id, ()), *facts.get("log", ())]}

    def again(self, task: Task, error: SpatialrunError, log: Sequence[str]) -> bool:
        """Count a try that failed: whether there is another, and it may end otherwise.

        Parameters
        ----------
        task, error
            What was tried, and how that ended: bad data and wrong outputs would be the same again.
        log
            What that try said.
        """
        number, allowed = self.failed(task) + 1, self.allowed(task)
        if number >= allowed or isinstance(error, DataError) or error.code == "task.outputs":
            return False
        self._failed[task.id] = number
        for line in (*log, f"try {number} of {allowed} failed: {error.what} [{error.code}]"):
            self.say(task, line)
        return True
