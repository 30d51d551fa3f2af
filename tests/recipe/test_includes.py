"""Included files: what is merged how, whose paths are relative to what, and what is refused."""

import os
from pathlib import Path

import pytest

from spatialrun.errors import RecipeErrors
from spatialrun.recipe import load
from spatialrun.recipe.composer import MAX_BYTES
from spatialrun.recipe.includes import MAX_FILES, MAX_NESTING

RECIPE = """\
spatialrun: 1
include: common/qc.yaml
store: results
samples:
  p2: {group: tumor}
  p3: data/p3
steps:
  - uses: plot.spatial
    after: leiden
"""
COMMON = """\
spatialrun: 1
store: elsewhere
defaults: {seed: 1}
samples:
  p1: {path: data/p1, group: normal}
  p2: data/p2
steps:
  - uses: cluster.leiden
  - uses: read.table
    with: {table: labels.csv, others: [a.csv, /b.csv, ~/c.csv, "s3://d/e.csv", ../f.csv]}
"""


@pytest.fixture
def folder(tmp_path):
    def write(**files):
        for name, text in {"r": RECIPE, "common/qc": COMMON, **files}.items():
            file = tmp_path / f"{name}.yaml"
            file.parent.mkdir(exist_ok=True, parents=True)
            file.write_text(text)
        return tmp_path

    return write


@pytest.fixture
def loaded(catalogue, monkeypatch):
    def loaded(folder, file="r.yaml", **environ):
        monkeypatch.chdir(folder)
        return load(file, environ=environ, catalogue=catalogue)

    return loaded


@pytest.fixture
def refused(loaded):
    def refused(*args, **environ):
        with pytest.raises(RecipeErrors) as caught:
            loaded(*args, **environ)
        return caught.value.problems

    return refused


def place(problem):
    return problem.where.file, problem.where.line, problem.where.column


def test_what_is_included_comes_first_and_the_including_file_wins(folder, loaded):
    recipe = loaded(folder())
    assert recipe.store == "results"
    assert dict(recipe.defaults) == {"seed": 1}
    samples = [(s.name, s.path, dict(s.metadata)) for s in recipe.samples.values()]
    assert samples == [
        ("p1", "common/data/p1", {"group": "normal"}),
        ("p2", "common/data/p2", {"group": "tumor"}),
        ("p3", "data/p3", {}),
    ]
    assert [step.id for step in recipe.steps] == ["leiden", "table", "spatial"]
    assert recipe.steps[-1].after == ("leiden",)
    assert [source.name for source in recipe.sources] == ["r.yaml", "common/qc.yaml"]
    assert recipe.text == RECIPE == recipe.sources[0].text


def test_what_is_read_is_relative_to_the_file_that_names_it(folder, loaded):
    recipe = loaded(folder())
    params = recipe.step("table").params
    assert params.table == "common/labels.csv"
    assert params.others == ["common/a.csv", "/b.csv", "~/c.csv", "s3://d/e.csv", "f.csv"]
    assert recipe.samples["p1"].resolve(recipe.base) == recipe.base / "common/data/p1"


def test_what_is_written_is_relative_to_the_recipe(folder, loaded):
    recipe = loaded(folder(r=RECIPE.replace("store: results\n", "")))
    assert recipe.store_path == recipe.base / "elsewhere"


def test_places_are_those_of_the_file_that_wrote_them(folder, loaded, refused):
    recipe = loaded(folder())
    assert str(recipe.steps[0].where) == "common/qc.yaml:8:5, step leiden"
    assert str(recipe.samples["p2"].where) == "common/qc.yaml:6:3, sample p2"
    assert recipe.where("samples", "p2", "group").file == "r.yaml"
    text = COMMON.replace("cluster.leiden", "cluster.lieden").replace("data/p1", "[]")
    found = refused(folder(**{"common/qc": text, "r": RECIPE.replace("data/p3", "[]")}))
    assert sorted(place(problem) for problem in found) == [
        ("common/qc.yaml", 5, 14),
        ("common/qc.yaml", 8, 11),
        ("r.yaml", 6, 7),
        ("r.yaml", 9, 12),
    ]


def test_several_files_nested_and_taken_in_once(folder, loaded):
    recipe = loaded(
        folder(
            r=RECIPE.replace("common/qc.yaml", "[a.yaml, 'sub/${NAME:-b}.yaml']"),
            a="include: common/qc.yaml\ndefaults: {seed: 2}",
            **{
                "sub/b": "include: ../common/qc.yaml\nsamples: {p4: x, p1: {path: y}}\n"
                "steps: [uses: annotate.obs]\n"
            },
        )
    )
    assert [step.id for step in recipe.steps] == ["leiden", "table", "obs", "spatial"]
    assert recipe.defaults["seed"] == 2
    assert recipe.samples["p4"].path == "sub/x"
    assert recipe.samples["p1"].path == "sub/y", "of several the later wins"
    assert recipe.samples["p1"].metadata["group"] == "normal"


@pytest.mark.parametrize("nothing", ["", "~", "[]"])
def test_nothing_to_include(folder, loaded, nothing):
    recipe = loaded(folder(r=RECIPE.replace("common/qc.yaml", nothing).replace("    after: leiden\n", "")))
    assert list(recipe.samples) == ["p2", "p3"]


def test_empty_keys_change_nothing(folder, loaded):
    recipe = loaded(folder(r="include: common/qc.yaml\nsamples:\nsteps:\ndefaults:\n"))
    assert (list(recipe.samples), len(recipe.steps)) == (["p1", "p2"], 2)


@pytest.mark.parametrize(
    ("include", "code", "what"),
    [
        ("common/qq.yaml", "recipe.missing", "common/qq.yaml; did you mean 'qc.yaml'?"),
        ("common", "recipe.missing", "common is a folder"),
        ("x" * 300, "recipe.missing", "cannot be read"),
        ("https://lab.org/qc.yaml", "recipe.include", "no local file"),
        ("[common/qc.yaml, [a]]", "recipe.wrong-type", "include must be text, found a list"),
        ("''", "recipe.wrong-type", "include is empty"),
        ("${NO}/qc.yaml", "recipe.variable", "NO is not set"),
        ("pipe", "recipe.include", "no plain file"),
        ("r.yaml", "recipe.include", "includes in a circle: r.yaml -> r.yaml"),
        ("loop.yaml", "recipe.include", "includes in a circle: r.yaml -> loop.yaml -> loop.yaml"),
    ],
)
def test_what_cannot_be_taken_in(folder, refused, include, code, what):
    place = folder(r=RECIPE.replace("common/qc.yaml", include), loop="include: loop.yaml")
    os.mkfifo(place / "pipe")
    (problem,) = refused(place)
    assert problem.code == code
    assert what in problem.what
    assert problem.where.file == ("loop.yaml" if include == "loop.yaml" else "r.yaml")
    assert problem.where.snippet


def test_problems_of_included_files_and_nothing_of_what_then_lacks(folder, refused):
    (problem,) = refused(folder(**{"common/qc": COMMON + "  - a: b: c\n"}))
    assert (problem.code, place(problem)) == ("recipe.syntax", ("common/qc.yaml", 11, 9))
    (problem,) = refused(folder(**{"common/qc": "- a"}))
    assert (problem.code, place(problem)) == ("recipe.syntax", ("common/qc.yaml", 1, 1))
    (problem,) = refused(folder(**{"common/qc": COMMON.replace(": 1", ": 2", 1)}))
    assert (problem.code, place(problem)) == ("recipe.out-of-range", ("common/qc.yaml", 1, 13))
    (problem,) = refused(folder(**{"common/qc": COMMON.replace("{seed: 1}", "[seed]")}))
    assert (problem.code, place(problem)) == ("recipe.wrong-type", ("common/qc.yaml", 3, 11))


def test_bounds_hold_for_all_files_together(folder, refused):
    half = "#" * (MAX_BYTES // 2)
    include = RECIPE.replace("common/qc.yaml", "[a.yaml, b.yaml]")
    (problem,) = refused(folder(r=include, a=f"store: x\n{half}", b=f"store: x\n{half}"))
    assert (problem.code, problem.where.file) == ("recipe.limits", "b.yaml")
    nodes = "\n".join(f"- [{', '.join('x' * 98)}]" for _ in range(300))
    (problem,) = refused(folder(r=include, a=f"steps:\n{nodes}", b=f"steps:\n{nodes}"))
    assert (problem.code, problem.where.file) == ("recipe.limits", "b.yaml")
    nested = {f"n{n}": f"include: n{n + 1}.yaml" for n in range(MAX_NESTING + 1)}
    (problem,) = refused(folder(r=RECIPE.replace("common/qc.yaml", "n0.yaml"), **nested))
    assert (problem.code, problem.where.file) == ("recipe.limits", f"n{MAX_NESTING - 1}.yaml")
    many = {f"m{n}": "store: x" for n in range(MAX_FILES + 1)}
    (problem,) = refused(
        folder(r=RECIPE.replace("common/qc.yaml", f"[{', '.join(f'{m}.yaml' for m in many)}]"), **many)
    )
    assert (problem.code, "more than 100" in problem.what) == ("recipe.limits", True)


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_does_not_lead_out_of_the_folder(tmp_path, folder, refused, link):
    secret = tmp_path / "secret" / "qc.yaml"
    secret.parent.mkdir()
    secret.write_text("password: hunter2")
    lab = folder() / "lab"
    (lab / "common").mkdir(parents=True)
    (lab / "r.yaml").write_text(RECIPE)
    if link == "file":
        (lab / "common/qc.yaml").symlink_to(secret)
    else:
        (lab / "common").rmdir()
        (lab / "common").symlink_to(secret.parent)
    (problem,) = refused(lab)
    assert (problem.code, place(problem)) == ("recipe.include", ("r.yaml", 2, 10))
    assert "through a link" in problem.what
    assert "hunter2" not in str(problem)


def test_links_within_the_folder_and_plainly_written_paths_are_followed(tmp_path, folder, loaded):
    lab = folder() / "lab"
    lab.mkdir()
    (lab / "qc.yaml").symlink_to("real.yaml")
    (lab / "real.yaml").write_text("defaults: {seed: 3}")
    (lab / "r.yaml").write_text(RECIPE.replace("common/qc.yaml", "[../common/qc.yaml, qc.yaml]"))
    recipe = loaded(lab)
    assert recipe.defaults["seed"] == 3
    assert recipe.samples["p1"].path == "../common/data/p1"
    (tmp_path / "linked").symlink_to(lab)
    assert loaded(tmp_path / "linked").complete, "the recipe's own folder may be a link"


def test_included_from_anywhere_the_recipe_is_named_from(folder, loaded, tmp_path):
    folder()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    recipe = loaded(tmp_path / "deep" / "er", "../../r.yaml")
    assert recipe.steps[0].where.file == "../../common/qc.yaml"
    assert recipe.samples["p1"].resolve(recipe.base) == Path(tmp_path / "common/data/p1")
