"""Memory: what is free, and what a process has needed at most."""

from __future__ import annotations

import ctypes
import re
import sys
from contextlib import suppress
from pathlib import Path

from spatialrun.execute.machine import free_memory

DEFAULT_SHARE = 0.7


def default_budget() -> int:
    """Return the part of the free memory that a run may use when it is not told."""
    return int(DEFAULT_SHARE * free_memory())


def anonymous(pid: int | str) -> int:
    """Return the bytes that a process has for itself (Linux); 0 where it is gone."""
    with suppress(OSError):
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def held() -> int:
    """Return the bytes that this process and those that it began have for themselves (Linux); else 0."""
    total, pids = 0, ["self"]
    while pids:
        pid = pids.pop()
        total += anonymous(pid)
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += (task / "children").read_text().split()
    return total


def release() -> None:
    """Give back to the system what was freed: the C library keeps much of it (Linux); else do nothing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


class Peak:
    """The highest resident memory of this process since :meth:`start`.

    Attributes
    ----------
    begun
        What it was at the start: what interpreter and libraries take, and what earlier tasks have left.
    """

    begun = 0

    def start(self) -> None:
        """Begin anew, where the system can (Linux); else peaks are those of the whole process."""
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self.begun = self.read()

    def read(self) -> int:
        """Return the peak in bytes."""
        with suppress(OSError, ValueError, TypeError):
            text = Path("/proc/self/status").read_text()
            return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
