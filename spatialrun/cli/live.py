"""A run on a terminal: the board, drawn again several times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from spatialrun.cli.board import Board, Frame
from spatialrun.cli.console import print_line
from spatialrun.cli.progress import STOPPING
from spatialrun.execute.events import Event
from spatialrun.execute.memory import held
from spatialrun.plan.task import TaskId

FRAMES_PER_SECOND = 8
LOOK_EVERY = 1.0
"""Seconds between two looks at the memory."""


def nothing_known() -> Mapping[tuple[str, str], float]:
    """Know nothing of earlier runs."""
    return {}


class LiveBoard:
    """A reporter that keeps a board on the terminal. It appears with the first task that runs, not before.

    Parameters
    ----------
    console
        The terminal.
    tasks
        All tasks.
    verbose
        Show the steps' log lines above the board.
    budget
        Bytes that the run may use.
    before
        Asked once, when the board appears: seconds that tasks (step, sample) took in an earlier run.
    """

    def __init__(
        self,
        console: Console,
        tasks: Iterable[TaskId],
        *,
        verbose: bool,
        budget: int = 0,
        before: Callable[[], Mapping[tuple[str, str], float]] = nothing_known,
    ) -> None:
        self._console = console
        self._verbose = verbose
        self._budget = budget
        self._before = before
        self._board = Board(tasks, ascii=not console.encoding.startswith("utf"))
        self._looked, self._memory = 0.0, 0
        self._over = False
        self._lock = threading.Lock()  # events come from the thread of the run and from that of its workers
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=FRAMES_PER_SECOND, transient=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the board as it is, with all of its rows."""
        self._over = True
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Follow an event."""
        with self._lock:
            self._board.take(event)
        if event.kind == "task-started" and not self._live.is_started:
            self._board.before = self._before()
            self._live.start()
        if event.kind == "run-stopping":
            print_line(self._console, Text(STOPPING, "yellow"))
        if event.kind == "task-log" and self._verbose:
            print_line(self._console, Text(f"{event.step} {event.sample}: {event.data['line']}", "dim"))

    def _draw(self) -> Any:
        now = time.time()
        if now - self._looked > LOOK_EVERY:
            self._looked, self._memory = now, held()
        frame = Frame(
            self._console.width, None if self._over else self._console.height, self._memory, self._budget
        )
        with self._lock:
            return self._board.render(now, frame)
