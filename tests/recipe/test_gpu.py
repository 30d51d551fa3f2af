"""The key ``gpu``: of a recipe, of a step, in a profile; what is refused."""

from pathlib import Path

import pytest

from spatialrun.errors import RecipeErrors
from spatialrun.recipe.gpu import Gpu

RECIPE = """\
spatialrun: 1
store: results
gpu: {device: cuda, memory: 8GB}
samples: {p1: a}
steps:
  - uses: domains.deepst
  - {id: other, uses: domains.deepst, gpu: {device: "cuda:1", python: envs/bin/python, memory: null}}
  - uses: cluster.leiden
profiles:
  laptop: {gpu: {device: cpu}, steps: {other: {gpu: {device: auto}}}}
"""


def test_a_step_says_it_else_the_recipe_else_nobody(read):
    recipe = read(RECIPE)
    assert recipe.step("deepst").gpu == Gpu("cuda", None, 8 * 10**9)
    assert recipe.step("other").gpu == Gpu("cuda:1", "/lab/envs/bin/python", 8 * 10**9)
    assert recipe.step("leiden").gpu is None
    plain = read(RECIPE.replace("gpu: {device: cuda, memory: 8GB}\n", ""))
    assert plain.step("deepst").gpu == Gpu("auto", None, None)


def test_profiles_and_overrides_change_it_key_by_key(read):
    recipe = read(RECIPE, "gpu.memory=1e9", profile="laptop")
    assert recipe.step("deepst").gpu == Gpu("cpu", None, 10**9)
    assert recipe.step("other").gpu == Gpu("auto", "/lab/envs/bin/python", 10**9)


def test_an_interpreter_may_be_below_home_or_in_a_variable(read):
    other = read(RECIPE, "steps.other.gpu.python=~/envs/python").step("other")
    assert other.gpu.python == str(Path.home() / "envs" / "python")
    other = read(RECIPE.replace("envs/bin/python", '"${ENVS}/bin/python"'), ENVS="/opt").step("other")
    assert other.gpu.python == "/opt/bin/python"


@pytest.mark.parametrize(
    ("old", "new", "code", "place", "said"),
    [
        ("device: cuda,", "device: gpu,", "out-of-range", (3, 15), "device must be auto"),
        ("device: cuda,", "devices: cuda,", "unknown-key", (3, 7), "did you mean 'device'?"),
        ("8GB", "6", "wrong-type", (3, 29), "6 what? Write 6GB"),
        ("8GB", "much", "wrong-type", (3, 29), "not an amount of memory"),
        ('"cuda:1"', "[cuda]", "wrong-type", (7, 53), "device must be text"),
        ("gpu: {device: cuda, memory: 8GB}", "gpu: cuda", "wrong-type", (3, 6), "gpu must be a mapping"),
        ("- uses: cluster.leiden", "- {uses: cluster.leiden, gpu: {}}", "unknown-key", (8, 33), "no GPU"),
    ],
)
def test_what_is_wrong_is_said_once_at_its_place(read, old, new, code, place, said):
    assert old in RECIPE
    with pytest.raises(RecipeErrors) as raised:
        read(RECIPE.replace(old, new))
    (problem,) = raised.value.problems
    assert (problem.code, (problem.where.line, problem.where.column)) == (f"recipe.{code}", place)
    assert said in problem.what
