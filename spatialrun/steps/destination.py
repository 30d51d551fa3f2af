"""Destinations: the parameter ``path`` of steps that write outside the store, and what is filled into it."""

from __future__ import annotations

import re
from difflib import get_close_matches

from pydantic import field_validator

from spatialrun.steps.contract import Parameters

PLACEHOLDERS = ("{sample}",)
"""What is filled in, sample by sample."""
_PLACEHOLDER = re.compile(r"(?<!\$)\{\s*\w+\s*\}")
"""A word in braces; ``${NAME}`` is a variable."""


class Destined(Parameters):
    """Parameters of a step that writes to ``path``, in which all placeholders are known."""

    @field_validator("path", check_fields=False)
    @classmethod
    def _known(cls, path: str) -> str:
        for found in _PLACEHOLDER.findall(path):
            if found not in PLACEHOLDERS:
                (near,) = get_close_matches(found.lower(), PLACEHOLDERS, n=1, cutoff=0.6) or ("",)
                said = f"did you mean {near}?" if near else f"filled in is {', '.join(PLACEHOLDERS)}"
                raise ValueError(f"unknown {found}; {said}")
        return path
