"""Quantities, places and names in words, for whatever prints them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def duration(seconds: float) -> str:
    """Return a time in words: ``0.08 s``, ``2.5 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.095 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def roughly(seconds: float) -> str:
    """Return a time that is only guessed: ``10 s``, ``4 min``, ``2 h``."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"


def clock(seconds: float) -> str:
    """Return a running time: ``0:07``, ``12:40``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(bytes: int) -> str:
    """Return an amount of memory or disk: ``650 kB``, ``154 MB``, ``2.1 GB``."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if bytes >= 0.9995 * factor:
            amount = bytes / factor
            return f"{amount:.1f} {unit}" if amount < 10 and unit != "MB" else f"{amount:.0f} {unit}"
    return f"{max(1, round(bytes / 1000))} kB" if bytes else "0 kB"


def count(number: int, noun: str) -> str:
    """Return a number of things: ``1 task``, ``1,200 tasks``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(counts: Iterable[tuple[int, str]]) -> str:
    """Return what there is of several kinds, less those of which there is none: ``3 done, 1 failed``."""
    return ", ".join(f"{number:,} {kind}" for number, kind in counts if number)


def place(path: str | Path) -> str:
    """Return a path as one would type it here: relative where it lies below this folder."""
    here, there = Path.cwd(), Path(path)
    if os.pardir in there.parts:
        there = there.resolve()
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(path)


def options(asked: Mapping[str, Iterable[str]]) -> str:
    """Return options as they are typed: ``--profile hd --set steps.svg.with.n_svg=8``."""
    return shlex.join(
        word for name, values in asked.items() for value in values for word in (f"--{name}", value)
    )


def command(*words: str) -> str:
    """Return a command to type, quoted where a shell needs it."""
    return shlex.join(("spatialrun", *words))


def among(names: Sequence[str], everyone: Sequence[str]) -> str:
    """Name some of all samples in few words: ``p2-t5``, ``p1-t4, p2-t5``, ``5 of 8 samples``."""
    if len(names) <= 2:
        return ", ".join(names)
    whole = len(names) == len(everyone)
    return f"{len(names)} samples" if whole else f"{len(names)} of {len(everyone)} samples"
