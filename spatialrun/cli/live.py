"""The board: a run on a terminal, a row per step with a mark per sample, and a bar per running task."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from spatialrun import words
from spatialrun.cli.console import print_line
from spatialrun.cli.progress import STOPPING
from spatialrun.execute.events import Event
from spatialrun.plan.task import TaskId

MOST_MARKS = 40
"""Samples beyond which a row has counts alone."""
FRAMES_PER_SECOND = 8

MARKS = {
    "waiting": ("·", ".", "dim"),
    "running": ("◐", "o", "yellow"),
    "cached": ("●", "=", "dim"),
    "done": ("●", "*", "green"),
    "failed": ("✗", "x", "bold red"),
    "skipped": ("○", "-", "red"),
}
"""State to its mark, the mark where the terminal has ASCII alone, and its style."""

BECOMES = {
    "task-cached": "cached",
    "task-waiting": "waiting",
    "task-started": "running",
    "task-done": "done",
    "task-retried": "waiting",
    "task-failed": "failed",
    "task-skipped": "skipped",
}


@dataclass
class Cell:
    """Where one task stands."""

    state: str = "waiting"
    started: float = 0.0
    seconds: float = 0.0
    done: int = 0
    total: int = 0
    unit: str = ""

    def take(self, event: Event) -> None:
        """Follow an event."""
        self.state = BECOMES.get(event.kind, self.state)
        if event.kind == "task-started":
            self.started = event.time
        elif event.kind == "task-done":
            self.seconds = float(event.data["wall_s"] or 0.0)
        elif event.kind == "task-progress":
            self.done, self.total, self.unit = (event.data[key] for key in ("done", "total", "unit"))


class Board:
    """What a run looks like at one time.

    Parameters
    ----------
    tasks
        All tasks; rows are in the order in which their steps come up.
    ascii
        Whether the terminal has nothing but ASCII.
    """

    def __init__(self, tasks: Iterable[TaskId], *, ascii: bool = False) -> None:
        self._ascii = ascii
        self._rows: dict[str, dict[str, Cell]] = {}
        for id in tasks:
            self._rows.setdefault(id.step, {})[id.sample] = Cell()
        self._began: float | None = None
        self._finished = False

    def take(self, event: Event) -> None:
        """Follow an event."""
        if self._began is None:
            self._began = event.time
        self._finished = event.kind == "run-finished"
        cell = self._rows.get(event.step, {}).get(event.sample)
        if cell is not None:
            cell.take(event)

    def render(self, now: float) -> RenderableType:
        """Return the board as it is to be drawn."""
        return Group(self._steps(), *self._running(now), self._footer(now))

    def _steps(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        for step, cells in self._rows.items():
            states = Counter(cell.state for cell in cells.values())
            kinds = [(states[state], state) for state in MARKS if state != "waiting"]
            seconds = sum(cell.seconds for cell in cells.values())
            table.add_row(
                Text(step, "bold" if states["running"] else ""),
                self._marks(cells.values()),
                Text(words.listed(kinds), "red" if states["failed"] else "dim"),
                Text(words.duration(seconds) if seconds else "", "dim"),
            )
        return table

    def _marks(self, cells: Iterable[Cell]) -> Text:
        marks = Text(overflow="ellipsis", no_wrap=True)
        for number, cell in enumerate(cells):
            if number == MOST_MARKS:
                return marks + Text(" ...", "dim")
            mark, plain, style = MARKS[cell.state]
            marks.append(plain if self._ascii else mark, style)
        return marks

    def _running(self, now: float) -> Iterator[RenderableType]:
        table = Table.grid(padding=(0, 2, 0, 0))
        for step, cells in self._rows.items():
            for sample, cell in cells.items():
                if cell.state == "running":
                    table.add_row(Text(f"{step} {sample}", "yellow"), *_advance(cell, now))
        if table.rows:
            yield Text()
            yield table

    def _footer(self, now: float) -> Text:
        cells = [cell for row in self._rows.values() for cell in row.values()]
        ended = sum(cell.state not in ("waiting", "running") for cell in cells)
        elapsed = words.clock(now - self._began) if self._began else "0:00"
        saving = "  saving the run" if ended == len(cells) and not self._finished else ""
        return Text(f"\n{ended} of {words.count(len(cells), 'task')}  {elapsed}{saving}", "dim")


def _advance(cell: Cell, now: float) -> list[RenderableType]:
    total = cell.total or None
    amount = f"{cell.done:,} / {cell.total:,} {cell.unit}".rstrip() if cell.total else ""
    bar = ProgressBar(total=total, completed=cell.done, width=24, pulse=not total, animation_time=now)
    return [bar, Text(amount), Text(words.clock(now - cell.started), "dim")]


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
    """

    def __init__(self, console: Console, tasks: Iterable[TaskId], *, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._board = Board(tasks, ascii=not console.encoding.startswith("utf"))
        self._lock = threading.Lock()  # events come from the thread of the run and from that of its workers
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=FRAMES_PER_SECOND, transient=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the board as it is."""
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Follow an event."""
        with self._lock:
            self._board.take(event)
        if event.kind == "task-started" and not self._live.is_started:
            self._live.start()
        if event.kind == "run-stopping":
            print_line(self._console, Text(STOPPING, "yellow"))
        if event.kind == "task-log" and self._verbose:
            print_line(self._console, Text(f"{event.step} {event.sample}: {event.data['line']}", "dim"))

    def _draw(self) -> Any:
        with self._lock:
            return self._board.render(time.time())
