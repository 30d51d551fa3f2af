"""Memory: what is free, what a budget in words means, and what a process has needed at most."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

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
DEFAULT_SHARE = 0.7


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


def default_budget() -> int:
    """Return the part of the free memory that a run may use when it is not told."""
    return int(DEFAULT_SHARE * _available())


def _available() -> int:
    with suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text()
        return int(re.search(r"MemAvailable:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]
    return 8 * 2**30


class Peak:
    """The highest resident memory of this process since :meth:`start`."""

    def start(self) -> None:
        """Begin anew, where the system can (Linux); else peaks are those of the whole process."""
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def read(self) -> int:
        """Return the peak in bytes."""
        with suppress(OSError, ValueError, TypeError):
            text = Path("/proc/self/status").read_text()
            return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
