"""Completion: what a shell offers for a word that has been begun."""

from __future__ import annotations

import shlex

import pytest


@pytest.fixture
def offered(monkeypatch, call, applied):
    """Offer words as bash asks for them, in the recipe's folder."""
    monkeypatch.chdir(applied.parent)

    def offered(*words: str) -> list[str]:
        monkeypatch.setenv("_SPATIALRUN_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", shlex.join(("spatialrun", *words[:-1])) + f" {words[-1]}")
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        said = call()
        assert said.err == ""
        return said.lines[:-1] if said.lines[-1:] == [""] else said.lines

    return offered


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("app",), ["apply"]),
        (("steps", "norm"), ["normalize.log"]),
        (("plan", "recipe.y"), ["recipe.yaml"]),
        (("plan", "s"), ["store/"]),
        (("plan", "recipe.yaml", "--until", "de"), ["depth"]),
        (("apply", "recipe.yaml", "--samples", ""), ["p1", "p2"]),
        (("show", "store", "p"), ["p1", "p2"]),
        (("table", "recipe.yaml", "p1", "truth"), ["truth.spots", "truth.genes"]),
        (("log", "store", "re"), ["read"]),
        (("table", "nowhere", ""), []),
        (("apply", "nowhere.yaml", "--until", ""), []),
    ],
)
def test_names_are_offered(offered, words, expected):
    assert offered(*words) == expected


def test_profiles_are_offered(offered, write):
    recipe = write(("steps:", "profiles: {quick: {defaults: {seed: 1}}, cloud: {}}\nsteps:"))
    assert offered("apply", str(recipe), "--profile", "q") == ["quick"]


def test_a_recipe_with_mistakes_offers_nothing(offered, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("spatialrun: 1\nsteps: [{uses: }")
    assert offered("apply", str(recipe), "--until", "") == []
    assert offered("apply", str(recipe), "--profile", "") == []


def test_completion_can_be_installed(call):
    assert "--install-completion" in call("--help").out
