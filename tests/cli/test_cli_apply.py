"""``apply``: followed in lines or as JSON, said what it made, and how it failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import spatialrun.api

ONE_SAMPLE = ("  p2: {group: tumor}\n", "")
ESCAPE = "\x1b"


def test_first_run_says_what_it_made_and_what_to_do_next(call, write):
    recipe = write(ONE_SAMPLE)
    first = call("apply", recipe, "-j", 1, "--memory", "2GB")
    assert first.code == 0
    assert ESCAPE not in first.out + first.err
    assert "5 done" in first.lines[0]
    (figure,) = [line.split()[-1] for line in first.lines if line.startswith("figures")]
    assert Path(figure).is_file()
    (export,) = [line.split()[-1] for line in first.lines if line.startswith("exports")]
    assert Path(export).is_file()
    (view,) = [line.split()[-1] for line in first.lines if line.startswith("view")]
    assert Path(view).is_dir()
    assert any(line.startswith("next") and "spatialrun show" in line for line in first.lines)
    assert first.lines[-1].strip() == f"spatialrun report {recipe.parent / 'store'} --open"
    assert "read p1: started (read.visium)" in first.err
    assert "read p1: done in" in first.err


def test_a_table_of_combinations_is_offered_where_something_was_measured(call, write):
    """Of many figures there is nothing to compare."""
    drawn = "with: {color: total_counts, channels: null, dpi: 40}"
    figures = (drawn, f"matrix: {{dpi: [30, 40]}}\n    {drawn.replace(', dpi: 40', '')}")
    genes = ("  - id: genes\n", "  - {uses: svg.moran, matrix: {n_svg: [3, 4]}}\n  - id: genes\n")
    nothing, something = (call("apply", write(ONE_SAMPLE, edit), "-j", 1) for edit in (figures, genes))
    assert (nothing.code, " sweep" in nothing.out) == (0, False)
    assert (something.code, " sweep" in something.out) == (0, True)


def test_second_run_has_nothing_to_do(call, applied):
    again = call("apply", applied)
    assert again.code == 0
    assert len(again.lines) == 1
    assert again.out.startswith("nothing to do: run ")
    assert again.err == ""


def test_quiet_says_nothing(call, applied):
    again = call("apply", applied, "-q")
    assert (again.code, again.out, again.err) == (0, "", "")


def test_verbose_lines_name_what_is_cached(call, applied):
    again = call("apply", applied, "-v")
    assert "depth p2: cached" in again.err


def test_json_is_one_event_per_line(call, applied):
    again = call("apply", applied, "--json")
    events = [json.loads(line) for line in again.lines]
    assert events[0]["event"] == "run-started"
    assert {event["event"] for event in events[1:-1]} == {"task-cached"}
    assert events[-1]["counts"]["cached"] == 10


@pytest.fixture
def failed(call, write):
    """A run in which a step fails on two samples."""
    recipe = write(("color: total_counts", "color: NOPE"))
    return call("apply", recipe, "-j", 1), recipe.parent / "store"


def test_failed_task_is_an_error_block_and_exit_3(call, failed):
    result, store = failed
    assert result.code == 3
    assert "2 failed" in result.lines[0]
    assert "depth p1: failed: no gene and no column of obs is called 'NOPE' [data.values]" in result.err
    assert "error[data.values]: no gene and no column of obs is called 'NOPE'" in result.err
    assert result.err.count("error[") == 1, "samples that fail alike share a block"
    assert "--> step depth, sample p1, p2" in result.err
    assert f"spatialrun log {store} depth" in result.err

    log = call("log", store, "depth", "p2")
    assert log.code == 0
    assert "depth p2  failed" in log.out
    assert "error[data.values]" in log.out


def test_memory_and_cores_are_checked(call, applied):
    assert "6 what? Write 6GB" in call("apply", applied, "--memory", "6").err
    lots = call("apply", applied, "--memory", "lots")
    assert lots.code == 2
    assert "'lots' is not an amount of memory" in lots.err
    assert call("apply", applied, "-j", 0).code == 2


def test_interrupt_is_130_and_says_that_work_is_kept(call, applied, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(spatialrun.api.LoadedRecipe, "apply", interrupted)
    stopped = call("apply", applied)
    assert stopped.code == 130
    assert "interrupted: 0 tasks were done and kept" in stopped.err


def test_fail_fast_retries_and_timeouts_reach_the_run(call, applied, monkeypatch):
    given = []
    apply = spatialrun.api.LoadedRecipe.apply

    def noted(self, options, *rest):
        given.append((options.keep_going, options.retries, options.timeout_s))
        return apply(self, options, *rest)

    monkeypatch.setattr(spatialrun.api.LoadedRecipe, "apply", noted)
    assert call("apply", applied, "--fail-fast", "--retries", 2, "--timeout", 60).code == 0
    assert call("apply", applied, "--keep-going").code == 0
    assert call("apply", applied, "--timeout", "2h").code == 0
    assert given == [(False, 2, 60.0), (True, 0, None), (True, 0, 7200.0)]
    assert call("apply", applied, "--timeout", "soon").code == 2


def test_fault_of_the_program_is_no_traceback(call, applied, monkeypatch):
    def broken(*_):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(spatialrun.api.LoadedRecipe, "apply", broken)
    result = call("apply", applied)
    assert result.code == 1
    assert "error: RuntimeError: unforeseen" in result.err
    assert "Traceback" not in result.err
    assert "Traceback" in call("apply", applied, "-vv").err
    monkeypatch.setenv("SPATIALRUN_DEBUG", "1")
    assert "Traceback" in call("apply", applied).err
