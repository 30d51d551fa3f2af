"""The Python interface: load, plan, apply."""

import subprocess
import sys

import pytest
from lab import Lab

import spatialrun
from spatialrun.errors import RecipeErrors
from spatialrun.execute.apply import Options
from spatialrun.plan.task import TaskId

RECIPE_THAT_IS_WRONG = """\
spatialrun: 1
store: store
samples:
  a: {{path: {path}}}
  b: {{path: nowhere}}
steps:
  - {{id: read, uses: read.visium}}
  - {{id: svg, uses: svg.spatialde, with: {{n_svgs: 3}}}}
  - {{id: chosen, uses: genes.select, with: {{all_of: [spatialde.svg]}}}}
  - {{id: top, uses: plot.spatial, with: {{color: {{top: 4, by: spatialde.rank}}}}, after: svg}}
"""


def test_a_recipe_is_loaded_planned_and_applied(lab):
    lab.load()
    recipe = spatialrun.load(lab.recipe)
    assert recipe.store() is None
    assert recipe.plan().count("cached") == 0
    assert not lab.store.exists()
    outcome = recipe.apply(Options(jobs=1))
    assert (outcome.run.status, outcome.changed) == ("done", True)
    assert recipe.store().runs.latest() == outcome.run
    assert recipe.plan().count("cached") == len(recipe.graph.tasks)
    assert spatialrun.open(lab.store)["a"].n_obs == 120


def test_it_says_what_it_is(lab):
    assert repr(lab.load()) == f"<recipe {lab.recipe}: 4 steps, 1 samples; store {lab.store}>"


def test_overrides_are_edits_of_the_recipe(lab):
    lab.load()
    recipe = spatialrun.load(lab.recipe, ["steps.svg.with.n_svg=7", "store=elsewhere"])
    assert recipe.graph.tasks[TaskId("svg", "a")].entry.params.n_svg == 7
    assert recipe.store_url == str(lab.root / "elsewhere")


def test_paths_are_relative_to_the_recipe_not_to_the_working_folder(lab, monkeypatch, tmp_path):
    lab.load()
    monkeypatch.chdir(lab.root)
    recipe = spatialrun.load("recipe.yaml")
    monkeypatch.chdir(tmp_path)
    assert recipe.store_url == str(lab.store)


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(RecipeErrors) as caught:
        spatialrun.load(tmp_path / "none.yaml")
    assert [problem.code for problem in caught.value.problems] == ["recipe.missing"]


def test_what_is_known_of_an_incomplete_recipe_is_checked_and_nothing_is_guessed(lab, sections):
    lab.root.mkdir()
    lab.recipe.write_text(RECIPE_THAT_IS_WRONG.format(path=sections["a"]))
    with pytest.raises(RecipeErrors) as caught:
        spatialrun.load(lab.recipe)
    found = [(p.code, p.where.line) for p in caught.value.problems]
    assert found == [("data.missing-file", 5), ("recipe.unknown-key", 8)]


def test_errors_of_a_recipe_say_every_problem(lab):
    lab.edit("n_svg: 10", "n_svgs: 10")
    lab.edit("normalize.log", "normalize.logs")
    with pytest.raises(RecipeErrors) as caught:
        lab.load()
    text = str(caught.value)
    assert caught.value.exit_code == 2
    assert "2 problems" in caught.value.what
    for code in ("recipe.unknown-key", "recipe.unknown-step"):
        assert f"[{code}]" in text


def test_a_recipe_can_be_applied_twice_from_one_object(lab):
    recipe = lab.load()
    first, second = recipe.apply(Options(jobs=1)), recipe.apply(Options(jobs=1))
    assert (first.changed, second.changed) == (True, False)
    assert second.run == first.run


def test_planning_and_a_run_without_work_import_nothing_heavy(applied: Lab):
    applied.load()
    code = (
        "import sys, spatialrun\n"
        f"recipe = spatialrun.load({str(applied.recipe)!r})\n"
        "assert not recipe.apply().changed and recipe.plan().count('cached') == 4\n"
        "print([m for m in ('numba', 'scanpy', 'anndata', 'matplotlib', 'dask', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
