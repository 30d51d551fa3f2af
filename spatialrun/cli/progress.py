"""How a run is followed: a board on a terminal, plain lines elsewhere, JSON for machines, or nothing."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console

from spatialrun import words
from spatialrun.cli.console import print_line
from spatialrun.execute.events import Event

PLAIN_PROGRESS_EVERY = 15.0
"""Seconds between two lines on the progress of one task, where every line stays."""


STOPPING = "stopping when what is running has come to its end; Ctrl-C again stops at once"


class Reporter(AbstractContextManager["Reporter"], Protocol):
    """Shows events while a run goes on."""

    def __call__(self, event: Event) -> None:
        """Show an event."""


class _Simple:
    """A reporter with nothing to open or close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""


class Silent(_Simple):
    """Shows nothing."""

    def __call__(self, event: Event) -> None:
        """Ignore an event."""


class JsonLines(_Simple):
    """One JSON object per event and line on stdout."""

    def __init__(self) -> None:
        self._read = True

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if not self._read:
            return
        try:
            sys.stdout.write(json.dumps(event.to_json()) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self._read = False  # nobody listens any more, but the run is worth its end


class PlainLines(_Simple):
    """One line per event, for logs.

    Parameters
    ----------
    console
        Where.
    verbose
        Show cached tasks and the steps' own log lines too.
    """

    def __init__(self, console: Console, *, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._began: float | None = None
        self._shown: dict[tuple[str, str], float] = {}

    def __call__(self, event: Event) -> None:
        """Print an event, where it says something."""
        if self._began is None:
            self._began = event.time
        if line := self._line(event):
            task = f"{event.step} {event.sample}: " if event.step else ""
            print_line(self._console, f"[{words.clock(event.time - self._began):>7}] {task}{line}")

    def _line(self, event: Event) -> str | None:
        data = event.data
        match event.kind:
            case "task-waiting" if data["run"]:
                return f"waits for run {data['run']} (process {data['pid']} on {data['host']}), which computes it"
            case "task-started":
                self._shown[event.step, event.sample] = event.time
                return f"started ({data['uses']})"
            case "task-progress":
                return self._progress(event)
            case "task-done":
                return f"done in {words.duration(data['wall_s'] or 0)}"
            case "task-failed":
                return f"failed: {data['error']['what']} [{data['error']['code']}]"
            case "task-retried":
                error = data["error"]
                return (
                    f"failed: {error['what']} [{error['code']}]; try {data['number']} of {data['of']} follows"
                )
            case "task-skipped":
                return f"skipped, as {data['because']} failed"
            case "run-stopping":
                return STOPPING
            case "task-log" if self._verbose:
                return str(data["line"])
            case "task-cached" if self._verbose:
                return "cached"
        return None

    def _progress(self, event: Event) -> str | None:
        task = (event.step, event.sample)
        if event.time - self._shown.get(task, 0.0) < PLAIN_PROGRESS_EVERY:
            return None
        self._shown[task] = event.time
        return f"{event.data['done']:,} of {event.data['total']:,} {event.data['unit']}".rstrip()


class Tally:
    """Counts what happened and keeps the warnings, and passes every event on to the reporter that shows it."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.counts: dict[str, int] = {}
        self.done = 0
        self.warnings: list[tuple[str, str, str]] = []

    def __call__(self, event: Event) -> None:
        """Count an event and pass it on."""
        if event.kind == "task-warning":
            self.warnings.append((event.step, event.sample, event.data["line"]))
        elif event.kind == "task-done":
            self.done += 1
        elif event.kind == "run-finished":
            self.counts = dict(event.data["counts"])
        self._reporter(event)
