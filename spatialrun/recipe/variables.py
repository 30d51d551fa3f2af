"""Environment variables in paths: ``${NAME}``, ``${NAME:-default}``, and ``$${`` for a plain ``${``.

What a recipe says is relative to its file. What a variable says was typed in a shell, whose completion knows the
folder that one is in: a relative path that begins with a variable's value is relative to that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from spatialrun.recipe.paths import is_url

_REFERENCE = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<bad>\$\{)"
)


class VariableError(ValueError):
    """A reference that cannot be filled; ``hint`` says what to write instead."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


def fill_variables(text: str, environ: Mapping[str, str]) -> str:
    """Fill every reference in ``text``; as in a shell, a default also stands in for an empty value.

    Raises
    ------
    VariableError
        A variable that is not set and has no default, or a reference that is not well formed.
    """

    def value(match: re.Match[str]) -> str:
        if match["bad"]:
            raise VariableError(
                "'${' opens a variable that is not well formed",
                "write ${NAME} or ${NAME:-default}; $${ stands for a plain ${",
            )
        name, default = match["name"], match["default"]
        if name is None:
            return "${"
        if default is not None and not environ.get(name):
            return default
        if name not in environ:
            raise VariableError(
                f"the environment variable {name} is not set",
                f"set it (export {name}=...) or give a default: ${{{name}:-value}}",
            )
        return _from_here(environ[name]) if match.start() == 0 else environ[name]

    return _REFERENCE.sub(value, text)


def variables_of(text: str) -> tuple[str, ...]:
    """Name the variables that a text refers to."""
    return tuple(match["name"] for match in _REFERENCE.finditer(text) if match["name"])


def _from_here(path: str) -> str:
    """Make a path that is relative to the folder that one is in absolute."""
    stays = not path or is_url(path) or path.startswith(("~", "$")) or os.path.isabs(path)  # noqa: PTH117
    return path if stays else os.path.normpath(os.path.join(os.getcwd(), path))  # noqa: PTH109, PTH118
