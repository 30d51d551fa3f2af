"""Amounts of memory and time as people write them."""

from __future__ import annotations

import re

from spatialrun.errors import UsageError

LEAST = 10**6
"""Bytes below which an amount of memory without a unit is one whose unit was forgotten."""
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
_TIMES = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d{{1,9}}(?:\.\d{{1,9}})?){unit})?" for unit in _TIMES))


def parse(text: str) -> int:
    """Return a size in bytes: ``6GB``, ``512 MiB``, ``2e9``.

    Raises
    ------
    UsageError
        For anything else.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[0-9]+)?)\s*([kmgt]?i?)(b?)\s*", text, re.IGNORECASE)
    if match is None or match[2].lower() not in _UNITS or float(match[1]) <= 0:
        raise UsageError("usage", f"{text!r} is not an amount of memory", hint="write it as 6GB or 512MiB")
    size = int(float(match[1]) * _UNITS[match[2].lower()])
    if size < LEAST and not (match[2] or match[3]):
        meant = "GB" if float(match[1]) < 1000 else "MB"
        hint = "an amount of memory without a unit is in bytes, a million at least"
        raise UsageError("usage", f"{match[1]} what? Write {match[1]}{meant}", hint=hint)
    return size


def seconds(text: str) -> float | None:
    """Return a duration in seconds: ``90s``, ``2h``, ``1h30m``; ``None`` for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    return sum(float(match[unit]) * length for unit, length in _TIMES.items() if match[unit])


def duration(text: str) -> float:
    """Return a duration in seconds, written as a number of them or as by `seconds`.

    Raises
    ------
    UsageError
        For anything else, and for less than a second.
    """
    number = re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text.strip())
    found = float(number[0]) if number else seconds(text.strip())
    if found is None or found < 1:
        hint = "write seconds, or 90s, 30m, 2h or 1h30m; a second at least"
        raise UsageError("usage", f"{text!r} is not a duration", hint=hint)
    return found
