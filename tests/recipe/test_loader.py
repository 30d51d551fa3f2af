"""Whole recipes: what is read, and every kind of problem at its place."""

import subprocess
import sys
from pathlib import Path

import pytest

from spatialrun.errors import RecipeErrors
from spatialrun.recipe import check, load

RECIPE = """\
spatialrun: 1
store: results
defaults: {seed: 42}
samples:
  p2-t5: {path: data/outs, batch: b7, group: no}
  151673: other/outs
  sim:
steps:
  - uses: svg.spatialde
    with: {n_svg: 50, threshold: 1e-3}
    samples: [p2-*, '151673']
  - id: mine
    uses: svg.spatialde
    with: {seed: 7}
    samples: 151673
    after: spatialde
  - uses: svg.spatialde
  - uses: integrate.spagcn
"""


def place(problem):
    return problem.where.line, problem.where.column


def test_a_whole_recipe(read):
    recipe = read(RECIPE)
    assert recipe.complete
    assert recipe.text == RECIPE
    assert (recipe.store, recipe.store_path, recipe.store_url) == ("results", Path("/lab/results"), None)
    assert dict(recipe.defaults) == {"seed": 42}
    assert list(recipe.samples) == ["p2-t5", "151673", "sim"]
    assert dict(recipe.samples["p2-t5"].metadata) == {"batch": "b7", "group": "no"}
    assert recipe.samples["151673"].resolve(recipe.base) == Path("/lab/other/outs")
    assert recipe.samples["sim"].resolve(recipe.base) is None
    assert [step.id for step in recipe.steps] == ["spatialde", "mine", "spatialde-2", "spagcn"]
    first, mine, second, cohort = recipe.steps
    assert (first.params.n_svg, first.params.threshold, first.params.seed) == (50, 1e-3, 42)
    assert first.given == {"n_svg", "threshold"}
    assert first.samples == ("p2-t5", "151673")
    assert (mine.params.seed, mine.samples, mine.after) == (7, ("151673",), ("spatialde",))
    assert second.samples == cohort.samples == ("p2-t5", "151673", "sim")
    assert cohort.scope == "cohort"
    assert recipe.step("mine") is mine


def test_places_of_keys_and_values(read):
    recipe = read(RECIPE)
    where = recipe.where("steps", 0, "with", "threshold")
    assert (where.file, where.line, where.column) == ("r.yaml", 10, 34)
    assert where.snippet == (
        "   10 |     with: {n_svg: 50, threshold: 1e-3}\n      |                                  ^^^^"
    )
    assert recipe.where("steps", 0, "nothing", 3) == recipe.where("steps", 0)
    first = recipe.steps[0]
    assert place_of(first.where) == (9, 5)
    assert place_of(first.where_of("n_svg")) == (10, 19)
    assert place_of(first.where_of("seed")) == (3, 18), "a default's place is where it is written"
    assert place_of(first.where_of("layer")) == (9, 5), "a parameter that is not given: the step"
    assert place_of(recipe.samples["151673"].where) == (6, 3)


def place_of(where):
    return where.line, where.column


@pytest.mark.parametrize(
    ("old", "new", "code", "where", "what"),
    [
        ("spatialrun: 1", "spatialrun: 2", "recipe.out-of-range", (1, 13), "format 2"),
        ("spatialrun: 1", "spatialrun: 0", "recipe.out-of-range", (1, 13), "no recipe format 0"),
        ("spatialrun: 1", "spatialrun: yes", "recipe.wrong-type", (1, 13), "found 'yes'"),
        ("spatialrun: 1\n", "", "recipe.missing-key", (1, 1), "no 'spatialrun'"),
        ("store: results\n", "", "recipe.missing-key", (1, 1), "no 'store'"),
        ("store: results", "store: [a]", "recipe.wrong-type", (2, 8), "store must be text, found a list"),
        ("store: results", "stor: results\nstore: x", "recipe.unknown-key", (2, 1), "did you mean 'store'?"),
        ("store: results", "store: ${A}", "recipe.variable", (2, 8), "A is not set"),
        ("store: results", "store: ${A", "recipe.variable", (2, 8), "not well formed"),
        ("{seed: 42}", "{sead: 42}", "recipe.unknown-key", (3, 12), "did you mean 'seed'?"),
        ("{seed: 42}", "3", "recipe.wrong-type", (3, 11), "defaults must be a mapping, found 3"),
        ("{seed: 42}", "{seed: -1}", "recipe.out-of-range", (3, 18), "seed must be at least 0, found -1"),
        ("  sim:", "  a b: x", "recipe.bad-name", (7, 3), "'a b' cannot name a sample"),
        ("  sim:", "  _cohort:", "recipe.bad-name", (7, 3), "reserved"),
        ("  sim:", "  p2-t5: x", "recipe.duplicate", (7, 3), "'p2-t5' is given twice; first in line 5"),
        ("  sim:", "  sim: []", "recipe.wrong-type", (7, 8), "found a list"),
        ("  sim:", "  sim: {paths: x}", "recipe.unknown-key", (7, 9), "did you mean 'path'?"),
        ("  sim:", "  sim: {from: p2-t5}", "recipe.unknown-key", (7, 9), "'from'"),
        ("  sim:", "  sim: {tags: [a]}", "recipe.wrong-type", (7, 15), "tags of sample sim"),
        ("id: mine", "with: {}\n    id: mine", "recipe.duplicate", (15, 5), "given twice; first in line 12"),
        ("id: mine", "id: ../x", "recipe.bad-name", (12, 9), "'../x' cannot name a step"),
        ("id: mine", "id: []", "recipe.wrong-type", (12, 9), "id must be text"),
        (
            "- id: mine\n    uses",
            "- usse: x\n    uses",
            "recipe.unknown-key",
            (12, 5),
            "did you mean 'uses'?",
        ),
        ("uses: integrate.spagcn", "uses: spagcn", "recipe.unknown-step", (18, 11), "'integrate.spagcn'?"),
        ("uses: integrate.spagcn", "after: []", "recipe.missing-key", (18, 5), "no 'uses'"),
        ("- uses: integrate.spagcn", "- read", "recipe.wrong-type", (18, 5), "found 'read'"),
        ("with: {seed: 7}", "with: [seed]", "recipe.wrong-type", (14, 11), "with must be a mapping"),
        ("with: {seed: 7}", "with: {sead: 7}", "recipe.unknown-key", (14, 12), "did you mean 'seed'?"),
        ("samples: 151673", "samples: 151674", "recipe.unknown-sample", (15, 14), "did you mean '151673'?"),
        ("samples: 151673", "samples: []", "recipe.missing-key", (15, 14), "names no sample"),
        ("samples: 151673", "samples: [[a]]", "recipe.wrong-type", (15, 15), "found a list"),
        (
            "after: spatialde",
            "after: spatialed",
            "recipe.unknown-step",
            (16, 12),
            "did you mean 'spatialde'?",
        ),
        ("steps:", "matrix: {}\nsteps:", "recipe.unknown-key", (8, 1), "unknown key 'matrix'"),
    ],
)
def test_one_problem(problem, old, new, code, where, what):
    assert old in RECIPE
    found = problem(RECIPE.replace(old, new, 1))
    assert (found.code, place(found)) == (code, where)
    assert what in found.what


def test_two_steps_of_one_id(problem):
    found = problem(RECIPE.replace("  - uses: integrate.spagcn", "  - uses: integrate.spagcn\n    id: mine"))
    assert (found.code, place(found)) == ("recipe.duplicate", (19, 9))
    assert found.what == "two steps have the id 'mine'; the first is at r.yaml:12:5"


@pytest.mark.parametrize("empty", ["steps:", "steps: []"])
def test_no_steps(problem, empty):
    found = problem(RECIPE.partition("steps:")[0] + empty)
    assert (found.code, found.what) == ("recipe.missing-key", "the recipe has no steps")
    assert "uses: read.visium" in found.hint


@pytest.mark.parametrize("empty", ["samples:", "samples: {}"])
def test_no_samples(problem, empty):
    found = problem(f"spatialrun: 1\nstore: x\n{empty}\nsteps: [uses: plot.spatial]")
    assert (found.code, found.what, found.where.line) == (
        "recipe.missing-key",
        "the recipe has no samples",
        3,
    )
    assert "path" in found.hint


@pytest.mark.parametrize(
    ("text", "what"), [("", "empty"), ("# nothing", "empty"), ("- a", "a list"), ("x", "'x'")]
)
def test_no_mapping(problem, text, what):
    found = problem(text)
    assert found.code == "recipe.syntax"
    assert what in found.what


def test_all_problems_at_once_in_the_order_of_the_file(problems):
    text = (
        RECIPE.replace("n_svg: 50", "n_svgs: 50, threshold: 2")
        .replace(", threshold: 1e-3", "")
        .replace("151673: other/outs", "151673: ${NOWHERE}")
        .replace("integrate.spagcn", "integrate.spagnc")
        .replace("samples: 151673", "samples: nobody")
    )
    found = problems(text, "steps.spatialde-2.with.robust=2")
    assert [problem.code for problem in found] == [
        "recipe.variable",
        "recipe.unknown-key",
        "recipe.out-of-range",
        "recipe.unknown-sample",
        "recipe.unknown-step",
        "recipe.wrong-type",
    ]
    lines = [problem.where.line for problem in found]
    assert lines == [6, 10, 10, 15, 18, None]
    assert found[1].what == "unknown parameter 'n_svgs' of svg.spatialde; did you mean 'n_svg'?"
    assert found[-1].where.file == "--set steps.spatialde-2.with.robust=2"


def test_check_returns_what_is_valid(tmp_path, catalogue):
    file = tmp_path / "r.yaml"
    file.write_text(RECIPE.replace("{n_svg: 50", "{n_svg: 0").replace("  sim:", "  sim: []"))
    recipe, problems = check(file, environ={}, catalogue=catalogue)
    assert [problem.code for problem in problems] == ["recipe.wrong-type", "recipe.out-of-range"]
    assert not recipe.complete
    assert list(recipe.samples) == ["p2-t5", "151673"]
    assert [step.id for step in recipe.steps] == ["mine", "spatialde-2", "spagcn"]
    assert recipe.steps[0].after == (), "nothing waits for a step that is left out"
    assert recipe.steps[1].samples == ("p2-t5", "151673")


def test_paths_are_relative_to_the_file(tmp_path, monkeypatch, catalogue):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "r.yaml").write_text("\ufeff" + RECIPE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    recipe = load("sub/r.yaml", environ={}, catalogue=catalogue)
    assert recipe.file == Path("sub/r.yaml")
    assert recipe.base == tmp_path / "sub"
    assert recipe.store_path == tmp_path / "sub" / "results"
    assert recipe.where("store").file == "sub/r.yaml"


def test_a_store_of_an_object_store_is_left_alone(read):
    recipe = read(RECIPE.replace("results", "s3://${BUCKET:-lab}/runs"))
    assert recipe.store_url == "s3://lab/runs"
    assert recipe.store_path is None


@pytest.mark.parametrize(
    ("make", "code", "what"),
    [
        (lambda _: None, "recipe.missing", "there is no file"),
        (lambda file: file.mkdir(), "recipe.missing", "is a folder"),
        (lambda file: file.write_bytes(b"a: \xff"), "recipe.syntax", "0xFF is not UTF-8"),
        (lambda file: file.write_bytes(b"# " + b"a" * 1_000_000), "recipe.limits", "larger than"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, catalogue, make, code, what):
    file = tmp_path / "r.yaml"
    make(file)
    with pytest.raises(RecipeErrors, match=what) as caught:
        load(file, catalogue=catalogue)
    assert caught.value.code == code
    assert caught.value.exit_code == 2


def test_not_utf8_has_a_place(tmp_path, catalogue):
    file = tmp_path / "r.yaml"
    file.write_bytes(b"spatialrun: 1\nstore: \xe9t\xe9\n")
    with pytest.raises(RecipeErrors) as caught:
        load(file, catalogue=catalogue)
    assert place(caught.value) == (2, 8)


def test_variables_in_paths_only(read):
    text = RECIPE.replace("data/outs", "'${DATA}/outs'").replace("b7", "'${DATA}'")
    recipe = read(
        text + "  - uses: read.table\n    with: {table: '${T:-t}.csv', others: ['$${x}', '${DATA}']}\n",
        DATA="/d",
    )
    assert recipe.samples["p2-t5"].path == "/d/outs"
    assert recipe.samples["p2-t5"].metadata["batch"] == "${DATA}"
    assert recipe.steps[-1].params.table == "t.csv"
    assert recipe.steps[-1].params.others == ["${x}", "/d"]


def test_an_unset_variable_in_a_parameter(problem):
    found = problem(RECIPE + "  - uses: read.table\n    with: {table: '${T}'}\n")
    assert (found.code, place(found), found.where.step) == ("recipe.variable", (20, 19), "table")


def test_loading_imports_nothing_numeric():
    code = (
        "import sys, spatialrun.recipe; print([m for m in ('numpy', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
