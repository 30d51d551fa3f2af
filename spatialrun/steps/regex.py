"""Regular expressions as parameters: one that cannot be compiled is a mistake in the recipe."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


Regex = Annotated[str, AfterValidator(_compiled), WithJsonSchema({"type": "string", "format": "regex"})]
