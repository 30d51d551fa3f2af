"""The machine: how many of its cores, and how much of its memory, this process may take.

Containers and a cluster's jobs have less than the machine has: the system binds a process to some of the cores,
and limits the memory of the control groups that it is in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
GROUPS = Path("/sys/fs/cgroup")
_UNKNOWN = 8 * 2**30
"""What is taken to be free where the system does not say."""
_SECOND = ("memory.max", "memory.current", "inactive_file")
_FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
"""How control groups of either version name their limit, what they use, and what of that they can spare."""


def cores() -> int:
    """Return how many cores this process may use."""
    if (count := getattr(os, "process_cpu_count", None)) is not None:  # Python 3.13
        return count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory(proc: Path = PROC, groups: Path = GROUPS) -> int:
    """Return the bytes that this process may still take.

    Parameters
    ----------
    proc, groups
        Where the system tells of processes, and of control groups.
    """
    return min([_available(proc), *_left(proc, groups)])


def _available(proc: Path) -> int:
    with suppress(OSError):
        found = re.search(r"MemAvailable:\s+(\d+) kB", (proc / "meminfo").read_text())
        return int(found[1]) * 1024 if found else _UNKNOWN
    return _UNKNOWN


def _left(proc: Path, groups: Path) -> Iterator[int]:
    """Yield the bytes that are left in each limited group that this process is in, and in those around it."""
    with suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                root, names = groups, _SECOND
            elif "memory" in controllers.split(","):
                root, names = groups / "memory", _FIRST
            else:
                continue
            # A container may see its own group as the root, under a path that is not there.
            inner = Path(path.lstrip("/"))
            for folder in (inner, *inner.parents) if ".." not in inner.parts else (Path(),):
                yield from _left_in(root / folder, *names)


def _left_in(folder: Path, limit: str, used: str, cached: str) -> Iterator[int]:
    with suppress(OSError, ValueError):  # another kind of group, or one without a limit ("max")
        most, now = (int((folder / name).read_text()) for name in (limit, used))
        yield max(0, most - now + _cached(folder, cached))


def _cached(folder: Path, name: str) -> int:
    """Return the bytes of files that nobody has asked for of late: the system drops them where it needs room."""
    with suppress(OSError):
        found = re.search(rf"^{name} (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0
