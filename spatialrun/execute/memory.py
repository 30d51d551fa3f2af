"""Memory: what is free, and what a process has needed at most."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

DEFAULT_SHARE = 0.7


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
