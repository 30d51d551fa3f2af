"""The board: what a run looks like at one time, a row per step with a mark per sample, and the running tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from spatialrun import words
from spatialrun.execute.events import Event
from spatialrun.plan.task import TaskId

MOST_MARKS = 40
"""Samples beyond which a row has counts alone."""
NARROW = 64
"""Columns below which a row has its step and marks alone."""
BAR, LEAST_NAME = 24, 12
GAP = 2

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
    memory: int = 0
    done: int = 0
    total: int = 0
    unit: str = ""

    def take(self, event: Event) -> None:
        """Follow an event."""
        self.state = BECOMES.get(event.kind, self.state)
        if event.kind == "task-started":
            self.started, self.done, self.total = event.time, 0, 0
        elif event.kind == "task-done":
            self.seconds = float(event.data.get("wall_s") or 0.0)
            self.memory = int(event.data.get("peak_rss") or 0)
        elif event.kind == "task-progress":
            self.done, self.total, self.unit = (event.data[key] for key in ("done", "total", "unit"))

    @property
    def over(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state not in ("waiting", "running")


@dataclass(frozen=True)
class Frame:
    """The room that a board is drawn into, and what is known of the machine at that time.

    Attributes
    ----------
    width, height
        Columns and lines; no height where all of it is to be seen.
    memory
        Bytes that the run holds; 0 where nobody knows.
    budget
        Bytes that it may.
    """

    width: int = 80
    height: int | None = None
    memory: int = 0
    budget: int = 0


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
        self.before: Mapping[tuple[str, str], float] = {}
        """Seconds that tasks (step, sample) took in an earlier run."""

    def take(self, event: Event) -> None:
        """Follow an event."""
        if self._began is None:
            self._began = event.time
        self._finished = event.kind == "run-finished"
        cell = self._rows.get(event.step, {}).get(event.sample)
        if cell is not None:
            cell.take(event)

    def render(self, now: float, frame: Frame | None = None) -> RenderableType:
        """Return the board as it is to be drawn."""
        frame = frame or Frame()
        footer = self._footer(now, frame)
        running = list(self._running(now, frame.width))
        room = None
        if frame.height is not None:
            # The running tasks and the last line are worth more than steps that are done or far away.
            running = running[: max(1, frame.height // 3)]
            room = max(1, frame.height - len(running) - bool(running) - 2)
        parts: list[RenderableType] = [self._steps(frame.width, room)]
        if running:
            parts += [Text(), _grid(running)]
        return Group(*parts, footer)

    def left(self, now: float) -> tuple[float | None, bool]:
        """Estimate the seconds that are left, and whether that is all of what is left.

        A running task tells by its progress; others are as long as those of the same step that are done, or as
        they were in an earlier run. What nobody knows is left out. None where nothing is known.
        """
        work, known, whole, running = 0.0, False, True, 0
        for step, cells in self._rows.items():
            done = [cell.seconds for cell in cells.values() if cell.state == "done"]
            usual = sum(done) / len(done) if done else self._usual(step)
            for sample, cell in cells.items():
                if cell.over:
                    continue
                running += cell.state == "running"
                spent = max(0.0, now - cell.started) if cell.state == "running" else 0.0
                if cell.state == "running" and cell.total and cell.done:
                    estimate: float | None = spent / cell.done * (cell.total - cell.done)
                else:
                    whole_task = self.before.get((step, sample), usual)
                    estimate = None if whole_task is None else max(0.0, whole_task - spent)
                if estimate is None:
                    whole = False
                else:
                    work, known = work + estimate, True
        return (work / max(1, running) if known else None), whole

    def _usual(self, step: str) -> float | None:
        """What tasks of a step took in an earlier run."""
        seconds = [taken for (each, _), taken in self.before.items() if each == step]
        return sum(seconds) / len(seconds) if seconds else None

    def _steps(self, width: int, room: int | None) -> RenderableType:
        rows = list(self._rows.items())
        shown, above, below = _window([_stage(cells.values()) for _, cells in rows], room)
        table = _grid([self._row(step, cells, width) for step, cells in rows[shown]])
        lines: list[RenderableType] = []
        if above:
            lines.append(Text(f"{words.count(above, 'step')} above", "dim"))
        lines.append(table)
        if below:
            lines.append(Text(f"{words.count(below, 'step')} to come", "dim"))
        return Group(*lines)

    def _row(self, step: str, cells: Mapping[str, Cell], width: int) -> list[RenderableType]:
        states = Counter(cell.state for cell in cells.values())
        name = Text(step, "bold" if states["running"] else "")
        if width < NARROW:
            # Names and marks share the line, however long they are.
            marks = self._marks(cells.values(), max(4, width // 3))
            name.truncate(max(4, width - GAP - marks.cell_len), overflow="ellipsis")
            return [name, marks]
        seconds = sum(cell.seconds for cell in cells.values())
        memory = max((cell.memory for cell in cells.values()), default=0)
        kinds = [(states[state], state) for state in MARKS if state != "waiting"]
        return [
            name,
            self._marks(cells.values(), MOST_MARKS),
            Text(words.listed(kinds), "red" if states["failed"] else "dim"),
            Text(words.duration(seconds) if seconds else "", "dim"),
            Text(words.size(memory) if memory else "", "dim"),
        ]

    def _marks(self, cells: Iterable[Cell], most: int) -> Text:
        marks = Text()
        for number, cell in enumerate(cells):
            if number == most:
                return marks + Text(" ...", "dim")
            mark, plain, style = MARKS[cell.state]
            marks.append(plain if self._ascii else mark, style)
        return marks

    def _running(self, now: float, width: int) -> Iterator[list[RenderableType]]:
        for step, cells in self._rows.items():
            for sample, cell in cells.items():
                if cell.state == "running":
                    clock = Text(words.clock(now - cell.started), "dim")
                    name = Text(f"{step} {sample}", "yellow")
                    if width < NARROW:
                        share = Text(f"{100 * cell.done // cell.total}%" if cell.total else "")
                        name.truncate(max(LEAST_NAME, width - 16), overflow="ellipsis")
                        yield [name, share, clock]
                    else:
                        amount = f"{cell.done:,} / {cell.total:,} {cell.unit}".rstrip() if cell.total else ""
                        total = cell.total or None
                        bar = ProgressBar(
                            total=total, completed=cell.done, width=BAR, pulse=not total, animation_time=now
                        )
                        yield [name, bar, Text(amount), clock]

    def _footer(self, now: float, frame: Frame) -> Text:
        cells = [cell for row in self._rows.values() for cell in row.values()]
        ended = sum(cell.over for cell in cells)
        parts = [
            f"{ended} of {words.count(len(cells), 'task')}",
            words.clock(now - self._began) if self._began else "0:00",
        ]
        if ended == len(cells):
            parts += [] if self._finished else ["saving the run"]
        else:
            seconds, whole = self.left(now)
            if seconds is not None:
                parts.append(f"{'about' if whole else 'at least'} {words.roughly(seconds)} left")
            if frame.memory and frame.budget:
                parts.append(f"{words.size(frame.memory)} of {words.size(frame.budget)}")
        line = ""
        for part in parts:
            # What does not fit is left out, the last first.
            longer = f"{line}  {part}" if line else part
            line = longer if len(longer) <= frame.width else line
        return Text(f"\n{line}", "dim")


def _stage(cells: Iterable[Cell]) -> str:
    """Whether a row is still to come, is in action, or is over."""
    states = [cell.state for cell in cells]
    if all(state == "waiting" for state in states):
        return "to come"
    return "now" if any(state in ("waiting", "running", "failed") for state in states) else "over"


def _window(stages: list[str], room: int | None) -> tuple[slice, int, int]:
    """Which rows to show in so many lines: those in action; and how many are above and below them."""
    if room is None or len(stages) <= room:
        return slice(None), 0, 0
    inside = max(1, room - 2)
    first = next((number for number, stage in enumerate(stages) if stage != "over"), 0)
    start = min(max(0, first - 1), len(stages) - inside)
    return slice(start, start + inside), start, len(stages) - start - inside


def _grid(rows: Iterable[list[RenderableType]]) -> Table:
    """Rows in columns, a line each: what does not fit is cut, not folded."""
    table = Table.grid(padding=(0, GAP, 0, 0))
    rows = list(rows)
    for _ in max(rows, key=len, default=[]):
        table.add_column(no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*row)
    return table
