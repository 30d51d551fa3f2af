"""Quantities, reasons, warnings and the board, in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from spatialrun import words
from spatialrun.cli.console import print_columns
from spatialrun.cli.failure import error_lines, print_warnings
from spatialrun.cli.progress import PLAIN_PROGRESS_EVERY, PlainLines
from spatialrun.cli.render_step import type_words
from spatialrun.cli.render_table import cell
from spatialrun.errors import DataError, Where
from spatialrun.execute.events import Event
from spatialrun.plan.reasons import Reason
from spatialrun.plan.wording import reason_words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0834, "0.08 s"),
        (2.46, "2.5 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("bytes", "said"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (649_984, "650 kB"),
        (154_218_720, "154 MB"),
        (2_140_000_000, "2.1 GB"),
        (999_999_999, "1.0 GB"),
        (64 * 10**9, "64 GB"),
    ],
)
def test_size(bytes, said):
    assert words.size(bytes) == said


def test_clock_and_counts():
    assert [words.clock(s) for s in (7, 760, 3723)] == ["0:07", "12:40", "1:02:03"]
    assert words.count(1, "task") == "1 task"
    assert words.count(1200, "task") == "1,200 tasks"
    assert words.listed([(3, "done"), (0, "cached"), (1, "failed")]) == "3 done, 1 failed"


def test_places_and_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words.place(tmp_path / "a" / "b") == "a/b"
    assert words.place(tmp_path / "recipes" / ".." / "b") == "b"
    assert words.place(Path("/elsewhere/b")) == "/elsewhere/b"
    assert words.place("s3://bucket/store") == "s3://bucket/store"
    assert words.command("show", "my store") == "spatialrun show 'my store'"


def test_samples():
    everyone = ["a", "b", "c", "d"]
    assert words.among(["a"], everyone) == "a"
    assert words.among(["a", "b"], everyone) == "a, b"
    assert words.among(["a", "b", "c"], everyone) == "3 of 4 samples"
    assert words.among(everyone, everyone) == "4 samples"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason("new"), "new"),
        (Reason("parameter", "n_svg", 500, 800), "n_svg: 500 -> 800"),
        (Reason("parameter", "n_svg", None, 0.5), "n_svg: null -> 0.5"),
        (Reason("parameter", "k", {"SE": [1.0]}, True), "k: {SE: [1]} -> true"),
        (Reason("parameter", "p", "x" * 99, ""), f"p: {'x' * 18} ... {'x' * 17} -> "),
        (Reason("input", "layers/counts", "d1", "d2"), "layers/counts changed"),
        (Reason("input", "obs/a", None, "d2"), "obs/a is new"),
        (Reason("input", "obs/a", "d1", None), "obs/a is gone"),
        (Reason("source"), "input files changed"),
        (Reason("unread", "matrix"), "input files to be read (matrix)"),
        (Reason("version", "svg.spatialde", 1, 2), "svg.spatialde version 1 -> 2"),
        (Reason("numerics", "scanpy", "1.10", "1.11"), "scanpy: 1.10 -> 1.11"),
        (Reason("step", "b", "a", "b"), "uses: a -> b"),
        (Reason("output"), "its result is gone from the store"),
        (Reason("destination", "/e/t.csv", "written", "missing"), "/e/t.csv is missing"),
        (Reason("destination", "/e/t.csv", "written", "altered"), "/e/t.csv was altered"),
    ],
)
def test_reasons(reason, said):
    assert reason_words(reason) == said


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (int | None, "int | null"),
        (bool, "true/false"),
        (tuple[float, float] | None, "[float, float] | null"),
        (tuple[str, ...], "[text, ...]"),
        (dict[str, str], "{text: text}"),
        (object, "any"),
    ],
)
def test_types(annotation, said):
    assert type_words(annotation) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (True, "true"),
        (19.0, "19"),
        (5.124839e-11, "5.125e-11"),
        (0.026316, "0.02632"),
        (1_234_567, "1234567"),
        (2.5e7, "2.5e+07"),
        ("CSTB", "CSTB"),
    ],
)
def test_cells(value, said):
    assert cell(value) == said


def test_error_block():
    where = Where(file="r.yaml", line=3, column=5, step="svg", snippet="    3 | a b\n      |   ^")
    error = DataError("data.empty", "nothing is left", where=where, hint="lower min_counts")
    assert [line.plain for line in error_lines(error)] == [
        "error[data.empty]: nothing is left",
        "  --> r.yaml:3:5, step svg",
        "    3 | a b",
        "      |   ^",
        "  help: lower min_counts",
    ]


def test_a_warning_of_many_samples_stands_once(capsys):
    shared = [("read", f"p{number}", "symbols made unique") for number in range(8)]
    print_warnings(Console(width=200), [*shared, ("log", "p1", "empty spots")])
    assert capsys.readouterr().out.splitlines() == [
        "warning: symbols made unique (read 8 samples)",
        "warning: empty spots (log p1)",
    ]


def test_columns_have_no_trailing_spaces_and_are_not_cut(capsys):
    print_columns(Console(width=20), [["a", "1", "x" * 40], ["bbb", "22", ""]], right=(1,))
    assert capsys.readouterr().out == f"a     1  {'x' * 40}\nbbb  22\n"


def test_names_that_people_copy_are_not_wrapped():
    console = Console(width=30, force_terminal=True, no_color=True, record=True)
    print_columns(console, [["20261129-040428-40558d", "--set steps.svg.with.n_svg=50"]], fold=False)
    assert console.export_text() == "20261129-040428-40558d  --set steps.svg.with.n_svg=50\n"


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


def test_plain_lines_report_progress_now_and_then(capsys):
    lines = PlainLines(Console(width=200, markup=False), verbose=False)
    for event in RUN:
        lines(event)
    late = RUN[4].time + PLAIN_PROGRESS_EVERY
    lines(Event("task-progress", "svg", "p1", {"done": 9000, "total": 35554, "unit": "genes"}, time=late))
    said = capsys.readouterr().out.splitlines()
    assert [line.split("] ", 1)[1] for line in said] == [
        "read p2: started (read.visium)",
        "read p2: done in 1.0 s",
        "svg p1: started (svg.spatialde)",
        "svg p2: started (svg.spatialde)",
        "svg p2: failed: no [data.empty]",
        "plot p2: skipped, as svg p2 failed",
        "svg p1: 9,000 of 35,554 genes",
    ]


def test_numpy_values_are_cells_too():
    assert [cell(value) for value in np.array([0.5, np.nan]).tolist()] == ["0.5", "-"]
