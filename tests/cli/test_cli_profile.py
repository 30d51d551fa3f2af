"""``--profile``: with every command that takes a recipe."""

from __future__ import annotations

import pytest

RECIPE = """\
spatialrun: 1
store: store
samples: {p1: {}}
profiles:
  quick:
    steps: {section: {with: {n_spots: 50}}}
  elsewhere: {store: other}
steps:
  - id: section
    uses: simulate.visium
    with: {n_spots: 60, n_genes: 40, n_svg: 5, image_size: 64}
  - id: read
    uses: read.visium
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_a_profile_changes_what_is_planned_and_applied(call, recipe):
    assert call("apply", recipe, "--profile", "quick", "-q").code == 0
    assert "all cached" in call("plan", recipe, "--profile", "quick").lines[-1]
    assert "n_spots: 50 -> 60" in call("plan", recipe).out
    assert call("check", recipe, "--profile", "quick", "--profile", "elsewhere").code == 0


def test_results_are_looked_up_where_the_profile_keeps_them(call, recipe):
    both = ("--profile", "quick", "--profile", "elsewhere")
    assert call("apply", recipe, *both, "-q").code == 0
    assert call("show", recipe).code == 4, "there is none without the profile"
    there = both[2:]
    assert "of size 50" in call("show", recipe, *there).out
    assert call("table", recipe, "p1", "obs", "--head", "3", *there).code == 0
    for command in ("runs", "status", "log", "doctor", "verify", "gc"):
        assert call(command, recipe, *there).code == 0, command
    assert call("export-run", recipe, recipe.parent / "out.zip", *there).code == 0


def test_an_unknown_profile_is_named_with_the_nearest(call, recipe):
    for command in ("plan", "apply", "check", "show", "runs"):
        result = call(command, recipe, "--profile", "quik")
        assert result.code == 2, command
        assert "error[recipe.unknown-profile]: unknown profile 'quik'; did you mean 'quick'?" in result.err


def test_a_store_has_no_profiles(call, recipe):
    result = call("show", recipe.parent, "--profile", "quick")
    assert result.code == 2
    assert "profiles are a recipe's" in result.err
