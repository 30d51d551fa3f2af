"""Files of recipes: read as text, within bounds."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from spatialrun.errors import RecipeError
from spatialrun.recipe.composer import MAX_BYTES
from spatialrun.recipe.source import Source


def read_text(file: Path, name: str) -> str:
    """Return the text of a recipe's file, which errors call ``name``.

    Raises
    ------
    RecipeError
        ``recipe.missing``, ``recipe.limits``, or ``recipe.syntax`` at the place where it is not UTF-8.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        if os.path.isdir(file):  # noqa: PTH112 (answers for names that no file can have, too)
            what, hint = f"{name} is a folder, not a recipe", "name the YAML file in it"
        elif isinstance(error, FileNotFoundError):
            what, hint = f"there is no file {name}", "check the path, or write a recipe with: spatialrun init"
        else:
            what, hint = f"{name} cannot be read: {error.strerror}", "check its permissions"
        raise RecipeError("recipe.missing", what, hint=hint) from None
    if len(content) > MAX_BYTES:
        raise RecipeError(
            "recipe.limits",
            f"{name} is larger than recipes may be ({MAX_BYTES:,} bytes)",
            hint="a recipe holds paths and parameters; keep data in files of their own",
        )
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = Source(name, content[: error.start].decode())
        mark = before.mark(len(before.lines), len(before.lines[-1]) + 1, 1)
        raise RecipeError(
            "recipe.syntax",
            f"the byte 0x{content[error.start]:02X} is not UTF-8 text",
            where=mark.where(),
            hint="save the recipe as UTF-8",
        ) from None
