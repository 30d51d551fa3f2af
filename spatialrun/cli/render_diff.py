"""The difference of two runs in words: what decided differently, then what came out differently."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from spatialrun import words
from spatialrun.cli.console import print_columns, print_line
from spatialrun.cli.render_table import cell
from spatialrun.plan.difference import Difference, Moved, SlotChange, TaskChange
from spatialrun.plan.reasons import Reason

_LINES = {"+": "green", "-": "red", "@": "cyan"}
MOST_COLUMNS = 12
"""Columns of one table that are named one by one."""


def print_difference(console: Console, found: Difference) -> None:
    """Print how two runs differ."""
    if found.nothing:
        print_line(console, "the runs are the same")
    for line in found.recipe:
        print_line(console, Text(line, _LINES.get(line[:1], "")))
    versions = ((name, f"{old or '-'} -> {new or '-'}") for name, (old, new) in found.versions.items())
    _print_part(console, "versions", versions)
    _print_part(console, "steps", (row for change in found.tasks for row in _task_rows(change)))
    _print_part(console, "slots", (row for change in found.slots for row in _slot_rows(change)))


def as_json(found: Difference) -> str:
    """Return the same as data; numbers that JSON does not have (infinitely far) are null."""
    return json.dumps(_finite(asdict(found)), allow_nan=False)


def _finite(thing: Any) -> Any:
    match thing:
        case float() if not math.isfinite(thing):
            return None
        case Mapping():
            return {key: _finite(inner) for key, inner in thing.items()}
        case list() | tuple():
            return [_finite(inner) for inner in thing]
    return thing


def _print_part(console: Console, title: str, rows: Iterable[Sequence[str]]) -> None:
    indented = [("", *row) for row in rows]
    if indented:
        print_line(console, Text(title, "bold"))
        print_columns(console, indented)


def _task_rows(change: TaskChange) -> Iterator[Sequence[str]]:
    samples = words.among(change.samples, change.samples)
    for reason in change.reasons:
        yield change.step, samples, _reason(reason)


def _reason(reason: Reason) -> str:
    match reason.kind:
        case "new":
            return "new"
        case "output":
            return "gone"
        case "source":
            return "other files"
        case "parameter":
            return f"{reason.name}: {_value(reason.old)} -> {_value(reason.new)}"
    return f"{reason.kind} {reason.name}: {_value(reason.old)} -> {_value(reason.new)}"


def _value(value: object) -> str:
    return "-" if value is None else str(value)


def _slot_rows(change: SlotChange) -> Iterator[Sequence[str]]:
    if not change.moved:
        yield change.sample, change.slot, change.kind
    for number, (column, moved) in enumerate(change.moved.items()):
        if number == MOST_COLUMNS:
            yield change.sample, change.slot, f"and {len(change.moved) - number:,} more columns (--json)"
            return
        name = f"{change.slot} [{column}]" if column else change.slot
        yield change.sample, name, _moved(moved)


def _moved(moved: Moved) -> str:
    said = [moved.what] if moved.what else []
    if moved.changed is not None:
        said.append(f"{moved.changed:.1%} changed")
    if moved.absolute is not None:
        said.append(f"by {cell(moved.absolute)} at most")
    if moved.relative is not None:
        said.append(f"{cell(moved.relative)} in proportion")
    if moved.ari is not None:
        said.append(f"ARI {moved.ari:.3f}")
    return ", ".join(said)
