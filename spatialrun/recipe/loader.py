"""Loads recipes: text to nodes, includes, profiles, overrides, and every problem at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from spatialrun.errors import RecipeError, RecipeErrors, SpatialrunError
from spatialrun.recipe.files import read_text
from spatialrun.recipe.includes import Includes
from spatialrun.recipe.model import Recipe
from spatialrun.recipe.nodes import MapNode
from spatialrun.recipe.overrides import apply_overrides
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.profiles import Profiles
from spatialrun.recipe.reader import Reader
from spatialrun.recipe.source import Source
from spatialrun.recipe.steps import Catalogue


def load(
    path: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    profile: str | Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    catalogue: Catalogue | None = None,
) -> Recipe:
    """Load and validate a recipe.

    Parameters
    ----------
    path
        The YAML file.
    overrides
        Edits as ``key.path=value``: ``steps.svg.with.n_svg=800``, ``samples.p2.path=data/outs``,
        ``store=...``. Each has the effect of the same edit in the file, after profiles.
    profile
        The profile to apply, or several; of those that change the same value the last one wins.
    environ
        Variables for ``${NAME}``; the process's environment by default.
    catalogue
        The step types; the installed ones by default.

    Raises
    ------
    RecipeErrors
        With every problem of the recipe, in the order of the file.
    """
    return _complete(*check(path, overrides=overrides, profile=profile, environ=environ, catalogue=catalogue))


def loads(
    text: str,
    name: str = "<recipe>",
    *,
    base: str | os.PathLike[str] = ".",
    overrides: Sequence[str] = (),
    profile: str | Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    catalogue: Catalogue | None = None,
) -> Recipe:
    """Load a recipe from its text, its paths relative to the folder ``base``; else as :func:`load`."""
    return _complete(*_check(text, Path(name), Path(base), overrides, profile, environ, catalogue))


def check(
    path: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    profile: str | Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    catalogue: Catalogue | None = None,
) -> tuple[Recipe | None, list[SpatialrunError]]:
    """Return as much of a recipe as is valid, and all that is wrong with it, in the order of the file.

    The recipe holds the samples and steps without fault (``complete`` says whether that is all of them); it
    is ``None`` where nothing can be made of the file. The planner adds its own problems to these: put them
    together with :func:`spatialrun.recipe.problems.in_order`.
    """
    file = Path(path)
    try:
        text = read_text(file, str(file))
    except RecipeError as problem:
        return None, [problem]
    return _check(text, file, file.parent, overrides, profile, environ, catalogue)


def _complete(recipe: Recipe | None, problems: Sequence[SpatialrunError]) -> Recipe:
    if recipe is None or problems:
        raise RecipeErrors(problems)
    return recipe


def _check(
    text: str,
    file: Path,
    base: Path,
    overrides: Sequence[str],
    profile: str | Sequence[str],
    environ: Mapping[str, str] | None,
    catalogue: Catalogue | None,
) -> tuple[Recipe | None, list[SpatialrunError]]:
    if catalogue is None:
        # Imported here so that reading a recipe's text never waits for the step types.
        from spatialrun.steps import catalogue as installed

        catalogue = installed
    if environ is None:
        environ = os.environ
    base = base.absolute()
    problems = Problems()
    includes = Includes(base, environ, problems)
    written = includes.tree(Source(str(file), text))
    if written is None:
        return None, list(problems)
    chosen = (profile,) if isinstance(profile, str) else tuple(profile)
    profiles = Profiles(written, problems)

    def read(tree: MapNode, applied: tuple[str, ...], problems: Problems) -> Recipe:
        return Reader(tree, environ, catalogue, problems).recipe(file, base, includes.sources, applied)

    tree = written
    for name in chosen:
        tree = profiles.apply(name, tree, problems)
    recipe = read(apply_overrides(tree, overrides, problems), chosen, problems)
    recipe = replace(recipe, overrides=tuple(overrides))
    # The other profiles are read too, so that slips in them are found early. Only what they themselves write
    # counts: what one lacks may come from another, and its variables may be those of another machine.
    for name in profiles.names:
        if name not in chosen:
            found = Problems()
            read(profiles.apply(name, written, found), (name,), found)
            for problem in profiles.written(name, found):
                if problem.code != "recipe.variable":
                    problems.include(problem)
    return recipe, list(problems)
