"""``plan`` and ``check``: what would run and why, and what is wrong with a recipe."""

from __future__ import annotations

import json
import re

from rich.console import Console

from spatialrun.api import load
from spatialrun.cli.render_plan import print_plan

LATE_EDIT = ("--set", "steps.read.with.min_counts=7")


def columns(result, task):
    """The cells of a task's line, after its sign."""
    (line,) = [line[2:] for line in result.lines if line[2:].startswith(task)]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_everything_is_new_at_first(call, write):
    plan = call("plan", write())
    assert plan.code == 0
    assert columns(plan, "section")[:3] == ["section p1, p2", "run", "new"]
    assert columns(plan, "read")[:3] == ["read p1, p2", "pending", "after section"]
    assert plan.lines[-1] == "10 tasks: 2 to run, 8 pending"


def test_everything_is_cached_at_last(call, applied):
    plan = call("plan", applied)
    assert columns(plan, "depth") == ["depth p1, p2", "cached"]
    assert plan.lines[-1] == "10 tasks, all cached: nothing to do"


def test_misspelt_placeholders_are_found_by_check(call, write):
    result = call("check", write(("tables/{sample}.csv", "tables/{smaple}.csv")))
    assert result.code == 2
    assert "path: unknown {smaple}; did you mean {sample}?" in result.err
    assert "recipe.yaml:18:18" in result.err


def test_late_parameter_is_named_with_both_values(call, applied):
    plan = call("plan", applied, *LATE_EDIT)
    said = "min_counts: 0 -> 7 (only the last stage; setup cached)"
    assert columns(plan, "read")[:3] == ["read p1, p2", "run", said]
    assert columns(plan, "log")[:3] == ["log p1, p2", "pending", "after read"]
    assert plan.lines[-1] == "10 tasks: 2 cached, 2 to run, 6 pending"
    assert "\x1b" not in plan.out


def test_verbose_gives_each_task_a_line(call, applied):
    plan = call("plan", applied, "-v", *LATE_EDIT)
    assert columns(plan, "log p2")[:3] == ["log p2", "pending", "after read p2"]


def test_on_a_narrow_terminal_nothing_stands_in_columns(applied, capsys):
    plan = load(applied, LATE_EDIT[1:]).plan()
    print_plan(Console(width=40, force_terminal=True, no_color=True, markup=False), plan)
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    place = said.index("~ read p1, p2")
    assert said[place + 1].startswith("    run  min_counts: 0 -> 7 (")
    assert said[0] == "  section p1, p2"
    assert said[1].strip() == "cached"


def test_signs_are_those_of_a_diff(call, write, applied):
    assert [line[0] for line in call("plan", write()).lines[1:6]] == list("+....")
    changed = call("plan", applied, "--set", "steps.depth.with.dpi=50")
    assert [line[0] for line in changed.lines[1:6]] == list("   ~ ")


def test_what_the_recipe_does_not_have_any_more(call, applied, write):
    """The store is that of a run with another step."""
    text = applied.read_text()
    less = applied.with_name("less.yaml")
    less.write_text(text[: text.index("  - id: genes")])
    plan = call("plan", less)
    assert columns(plan, "genes") == ["genes p1, p2", "gone", "not in the recipe"]
    assert plan.lines[5].startswith("- ")
    assert plan.lines[-1] == "8 tasks: 8 cached; 2 tasks of the last run gone"
    gone = json.loads(call("plan", less, "--json").out)["gone"]
    assert gone == [{"step": "genes", "sample": sample} for sample in ("p1", "p2")]


def test_samples_that_are_gone_have_one_line(call, applied):
    text = applied.read_text()
    other = applied.with_name("other.yaml")
    other.write_text(text.replace("p1: {group", "q: {group").replace("p2: {group", "r: {group"))
    plan = call("plan", other)
    (line,) = [line for line in plan.lines if line.startswith("- ")]
    assert line.split("  ")[0] == "- p1, p2"
    assert plan.lines[-1].endswith("; 10 tasks of the last run gone")


def test_json_holds_the_reasons_as_data(call, applied):
    plan = json.loads(call("plan", applied, "--json", *LATE_EDIT).out)
    assert plan["counts"] == {"cached": 2, "run": 2, "pending": 6}
    tasks = {(task["step"], task["sample"]): task for task in plan["tasks"]}
    assert tasks["read", "p1"]["reasons"] == [{"kind": "parameter", "name": "min_counts", "old": 0, "new": 7}]
    assert tasks["read", "p1"]["cached_stages"] == ["setup"]
    assert tasks["log", "p2"]["waits_for"] == [{"step": "read", "sample": "p2"}]


def test_graphs(call, applied):
    assert call("plan", applied, "--graph", "mermaid").out.startswith("flowchart")
    assert call("plan", applied, "--graph", "dot").out.startswith("digraph")
    assert call("plan", applied, "--graph", "png").code == 2


def test_check_counts_what_is_there(call, applied):
    result = call("check", applied)
    assert (result.code, result.out) == (0, "ok: 5 steps, 2 samples, 10 tasks\n")


def test_check_shows_every_problem_at_its_place(call, write):
    recipe = write(("normalize.log", "normalize.lgo"), ("n_genes", "n_gene"))
    result = call("check", recipe)
    assert result.code == 2
    assert result.out == ""
    assert (
        "error[recipe.unknown-step]: unknown step type 'normalize.lgo'; did you mean 'normalize.log'?"
        in result.err
    )
    assert f"--> {recipe}:12:11, step lgo" in result.err
    assert "   12 |   - uses: normalize.lgo\n      |           ^^^^^^^^^^^^^\n" in result.err
    assert "did you mean 'n_genes'?" in result.err
    assert result.err.endswith("2 problems found\n")


def test_missing_recipe(call, tmp_path):
    result = call("plan", tmp_path / "none.yaml")
    assert result.code == 2
    assert "error[recipe.missing]" in result.err


def test_bad_override(call, applied):
    result = call("check", applied, "--set", "steps.read.with.min_counts")
    assert result.code == 2
    assert "error[recipe.override]" in result.err
    assert "--> --set steps.read.with.min_counts" in result.err


def test_store_that_is_a_file(call, write):
    recipe = write()
    (recipe.parent / "store").write_text("not a store")
    for command in ("plan", "apply", "show"):
        result = call(command, recipe)
        assert result.code == 4
        assert "error[store.not-a-store]: the store's path is a file" in result.err
