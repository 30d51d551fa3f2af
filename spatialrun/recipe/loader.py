"""Loads recipes: text to nodes, overrides, variables, and every problem at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from spatialrun.errors import RecipeError, RecipeErrors, SpatialrunError
from spatialrun.recipe.composer import MAX_BYTES, compose
from spatialrun.recipe.model import Recipe
from spatialrun.recipe.nodes import MapNode, describe, is_null
from spatialrun.recipe.overrides import apply_overrides
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.reader import Reader
from spatialrun.recipe.source import Source
from spatialrun.recipe.steps import Catalogue


def load(
    path: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
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
        ``store=...``. Each has the effect of the same edit in the file.
    environ
        Variables for ``${NAME}``; the process's environment by default.
    catalogue
        The step types; the installed ones by default.

    Raises
    ------
    RecipeErrors
        With every problem of the recipe, in the order of the file.
    """
    return _complete(*check(path, overrides=overrides, environ=environ, catalogue=catalogue))


def loads(
    text: str,
    name: str = "<recipe>",
    *,
    base: str | os.PathLike[str] = ".",
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    catalogue: Catalogue | None = None,
) -> Recipe:
    """Load a recipe from its text, its paths relative to the folder ``base``; else as :func:`load`."""
    return _complete(*_check(text, Path(name), Path(base), overrides, environ, catalogue))


def check(
    path: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
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
        text = _read(file)
    except RecipeError as problem:
        return None, [problem]
    return _check(text, file, file.parent, overrides, environ, catalogue)


def _complete(recipe: Recipe | None, problems: Sequence[SpatialrunError]) -> Recipe:
    if recipe is None or problems:
        raise RecipeErrors(problems)
    return recipe


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        if file.is_dir():
            what, hint = f"{file} is a folder, not a recipe", "name the YAML file in it"
        elif isinstance(error, FileNotFoundError):
            what, hint = f"there is no file {file}", "check the path, or write a recipe with: spatialrun init"
        else:
            what, hint = f"{file} cannot be read: {error.strerror}", "check its permissions"
        raise RecipeError("recipe.missing", what, hint=hint) from None
    if len(content) > MAX_BYTES:
        raise RecipeError(
            "recipe.limits",
            f"{file} is larger than recipes may be ({MAX_BYTES:,} bytes)",
            hint="a recipe holds paths and parameters; keep data in files of their own",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = Source(str(file), content[: error.start].decode("utf-8-sig"))
        mark = before.mark(len(before.lines), len(before.lines[-1]) + 1, 1)
        raise RecipeError(
            "recipe.syntax",
            f"the byte 0x{content[error.start]:02X} is not UTF-8 text",
            where=mark.where(),
            hint="save the recipe as UTF-8",
        ) from None


def _check(
    text: str,
    file: Path,
    base: Path,
    overrides: Sequence[str],
    environ: Mapping[str, str] | None,
    catalogue: Catalogue | None,
) -> tuple[Recipe | None, list[SpatialrunError]]:
    if catalogue is None:
        # Imported here so that reading a recipe's text never waits for the step types.
        from spatialrun.steps import catalogue as installed

        catalogue = installed
    problems = Problems()
    source = Source(str(file), text)
    try:
        root = compose(source, problems)
    except RecipeError as problem:
        problems.include(problem)
        return None, list(problems)
    if not isinstance(root, MapNode):
        empty = is_null(root)
        what = "the recipe is empty" if empty else f"a recipe is a mapping of keys, found {describe(root)}"
        hint = "it starts with 'spatialrun: 1', then 'store', 'samples' and 'steps'"
        problems.add("recipe.syntax", what, root.mark, hint=hint)
        return None, list(problems)
    root = apply_overrides(root, overrides, problems)
    reader = Reader(root, os.environ if environ is None else environ, catalogue, problems)
    recipe = reader.recipe(file, Path(base).absolute(), text)
    return recipe, list(problems)
