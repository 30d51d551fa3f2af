"""Environment variables in paths: ``${NAME}``, ``${NAME:-default}``, and ``$${`` for a plain ``${``."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
        if default is not None:
            return environ.get(name) or default
        if name not in environ:
            raise VariableError(
                f"the environment variable {name} is not set",
                f"set it (export {name}=...) or give a default: ${{{name}:-value}}",
            )
        return environ[name]

    return _REFERENCE.sub(value, text)
