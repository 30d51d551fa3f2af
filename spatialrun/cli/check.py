"""``spatialrun check``."""

from __future__ import annotations

from spatialrun.cli.options import Overrides, Profiles, Recipe


def check(recipe: Recipe, set: Overrides = None, profile: Profiles = None) -> None:
    """Check a recipe: every problem with its place, or ok. Computes nothing."""
    from spatialrun import words
    from spatialrun.api import load
    from spatialrun.cli.console import out, print_line

    loaded = load(recipe, set or (), profile or ())
    parts = [
        words.count(len(loaded.recipe.steps), "step"),
        words.count(len(loaded.recipe.samples), "sample"),
        words.count(len(loaded.graph.tasks), "task"),
    ]
    print_line(out(), f"ok: {', '.join(parts)}")
