"""The board of a run on a terminal: what it shows, and how it fits."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from spatialrun.cli.board import Board, Frame
from spatialrun.cli.live import LiveBoard
from spatialrun.execute.events import Event
from spatialrun.plan.task import TaskId


def printed(*things, width=80):
    console = Console(width=width, no_color=True, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        for thing in things:
            console.print(thing)
    return capture.get()


def events(*entries):
    """Events of one run, a second apart."""
    return [
        Event(kind, step, sample, data, time=100.0 + n)
        for n, (kind, step, sample, data) in enumerate(entries)
    ]


RUN = events(
    ("run-started", "", "", {}),
    ("task-cached", "read", "p1", {}),
    ("task-started", "read", "p2", {"uses": "read.visium"}),
    ("task-done", "read", "p2", {"wall_s": 1.0}),
    ("task-started", "svg", "p1", {"uses": "svg.spatialde"}),
    ("task-progress", "svg", "p1", {"done": 1024, "total": 35554, "unit": "genes"}),
    ("task-started", "svg", "p2", {"uses": "svg.spatialde"}),
    ("task-failed", "svg", "p2", {"error": {"what": "no", "code": "data.empty"}}),
    ("task-skipped", "plot", "p2", {"because": "svg p2"}),
)
TASKS = [TaskId(step, sample) for step in ("read", "svg", "plot") for sample in ("p1", "p2")]


def test_board_shows_every_task_and_the_running_ones():
    board = Board(TASKS)
    for event in RUN:
        board.take(event)
    lines = [line.rstrip() for line in printed(board.render(112.0)).splitlines()]
    assert lines[0].split() == ["read", "●●", "1", "cached,", "1", "done", "1.0", "s"]
    assert lines[1].split() == ["svg", "◐✗", "1", "running,", "1", "failed"]
    assert lines[2].split() == ["plot", "·○", "1", "skipped"]
    assert lines[4].startswith("svg p1")
    assert lines[4].endswith("1,024 / 35,554 genes  0:08")
    assert lines[-1] == "4 of 6 tasks  0:12  at least 4 min left"


def test_board_says_that_the_run_is_being_saved():
    board = Board([TaskId("read", "p1")])
    board.take(RUN[1])
    assert "1 of 1 task  0:01  saving the run" in printed(board.render(102.0))
    board.take(Event("run-finished", data={}, time=103.0))
    assert "saving" not in printed(board.render(103.0))


@pytest.mark.parametrize(("entries", "appears"), [(RUN, True), (RUN[:2], False)])
def test_live_board_appears_with_the_first_task_that_runs(entries, appears):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80)
    with LiveBoard(console, TASKS, verbose=False) as board:
        for event in entries:
            board(event)
    assert bool(stream.getvalue()) == appears


def test_board_of_ascii_and_of_many_samples():
    board = Board([TaskId("read", f"p{number}") for number in range(100)], ascii=True)
    board.take(RUN[1])
    first = printed(board.render(112.0), width=100).splitlines()[0]
    assert f".={'.' * 38} ..." in first
    assert first.isascii()


def board_of(*entries: Event, tasks=TASKS) -> Board:
    board = Board(tasks)
    for event in entries:
        board.take(event)
    return board


def test_time_left_by_progress_and_by_tasks_of_the_same_step():
    """1,024 of 35,554 genes in 8 s: 270 s are left of svg; of the plot nothing is known."""
    board = board_of(*RUN)
    seconds, whole = board.left(112.0)
    assert seconds == pytest.approx(8 / 1024 * (35554 - 1024))
    assert not whole
    board.before = {("plot", "p1"): 20.0}
    assert board.left(112.0) == (pytest.approx(seconds + 20.0), True)


def test_time_left_is_shared_by_what_runs_at_once():
    tasks = [TaskId("svg", f"p{number}") for number in range(4)]
    entries = events(
        ("task-started", "svg", "p0", {}),
        ("task-done", "svg", "p0", {"wall_s": 10.0, "peak_rss": 310_000_000}),
        ("task-started", "svg", "p1", {}),
        ("task-started", "svg", "p2", {}),
    )
    board = board_of(*entries, tasks=tasks)
    assert board.left(103.0) == (pytest.approx((9 + 10 + 10) / 2), True)
    assert "310 MB" in printed(board.render(103.0))


def test_nothing_is_said_of_what_nobody_knows():
    board = board_of(*RUN[:3])
    assert board.left(103.0) == (None, False)
    assert "left" not in printed(board.render(103.0))


def test_memory_of_the_run_beside_its_budget():
    frame = Frame(80, memory=1_500_000_000, budget=6_000_000_000)
    assert "1.5 GB of 6.0 GB" in printed(board_of(*RUN).render(112.0, frame))


@pytest.mark.parametrize("width", [20, 40, 63, 64, 100])
def test_it_fits_into_any_terminal(width):
    """No line is folded: every row is one line."""
    long = [TaskId("a_step_with_a_long_name_indeed", f"sample-{number}") for number in range(30)]
    started = events(*(("task-started", id.step, id.sample, {"uses": "x"}) for id in long[:2]))
    board = board_of(*RUN, *started, tasks=[*TASKS, *long])
    lines = printed(board.render(112.0, Frame(width, memory=10**9, budget=10**10)), width=width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith("read")
    assert len([line for line in lines if line]) == 4 + 3 + 1


def test_a_long_recipe_shows_what_is_going_on():
    tasks = [TaskId(f"step{number}", "p1") for number in range(40)]
    done = events(*(("task-cached", f"step{number}", "p1", {}) for number in range(20)))
    board = board_of(*done, *events(("task-started", "step20", "p1", {"uses": "x"})), tasks=tasks)
    lines = [line.strip() for line in printed(board.render(112.0, Frame(80, 16))).splitlines()]
    assert len(lines) <= 16
    assert any(line.startswith("step20 ") for line in lines)
    assert lines[0] == "19 steps above"
    assert any(line.endswith("steps to come") for line in lines)
    assert lines[-1].startswith("20 of 40 tasks")
    whole = printed(board.render(112.0, Frame(80, None)))
    assert "step0 " in whole
    assert "step39" in whole


@pytest.mark.parametrize("no_color", [True, False])
def test_no_color_is_respected(monkeypatch, no_color):
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    environment = {"NO_COLOR": "1"} if no_color else {}
    console = Console(
        file=stream, force_terminal=True, width=40, height=20, _environ={"TERM": "xterm"} | environment
    )
    with LiveBoard(console, TASKS, verbose=False) as board:
        for event in RUN:
            board(event)
    said = stream.getvalue()
    assert "svg" in said
    assert ("\x1b[32m" in said or "\x1b[31m" in said) != no_color
