"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from spatialrun.errors import UsageError

_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}


def parse(text: str) -> int:
    """Return a size in bytes: ``6GB``, ``512 MiB``, ``2e9``.

    Raises
    ------
    UsageError
        For anything else.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[0-9]+)?)\s*([kmgt]?i?)b?\s*", text, re.IGNORECASE)
    if match is None or match[2].lower() not in _UNITS or float(match[1]) <= 0:
        raise UsageError("usage", f"{text!r} is not an amount of memory", hint="write it as 6GB or 512MiB")
    return int(float(match[1]) * _UNITS[match[2].lower()])
