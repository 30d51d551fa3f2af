"""Listings: what a run holds, as text, told from its manifest alone.

The form is the one that users know from printing annotated data: a group, then its names with short types
(``<cat>``, ``<f32>``, ``<csc:i32>``, ``<arr:f64(2)>``).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

from spatialrun.slots import COHORT, GROUPS, group_of, name_of
from spatialrun.store.elements import ObjectRef
from spatialrun.store.runs import Run

WIDTH = 100
_NUMBER = re.compile(r"(u?int|float|complex)(\d+)\Z")


def short_type(ref: ObjectRef) -> str:
    """Return an object's type in a few characters; empty for a mapping, whose name says it all."""
    meta = ref.meta
    match ref.kind:
        case "array":
            dtype, lengths = _short_dtype(meta["dtype"]), meta["shape"][1:]
            return f"<arr:{dtype}({_by(lengths)})>" if lengths else f"<{dtype}>"
        case "sparse":
            return f"<{meta['format']}:{_short_dtype(meta['dtype'])}>"
        case "image":
            return f"<img:{_short_dtype(meta['dtype'])}({_by(meta['shape'])})>"
        case "table":
            return f"<table: {_by(meta['shape'])}>"
        case "categorical":
            return "<cat>"
        case "scalar":
            return f"<{meta['dtype']}>"
        case "file":
            return f"<{meta['suffix'].lstrip('.')}>"
        case "mapping":
            return ""
        case kind:
            return f"<{kind}>"


def list_groups(slots: Mapping[str, ObjectRef]) -> dict[str, list[str]]:
    """Return the entries of every group that is not empty, names with types, in AnnData's order of groups."""
    groups: dict[str, list[str]] = {group: [] for group in _ORDER}
    for slot, ref in slots.items():
        if group_of(slot) in groups:
            groups[group_of(slot)].append(f"{name_of(slot)} {short_type(ref)}".rstrip())
    return {group: entries for group, entries in groups.items() if entries}


def size(slots: Mapping[str, ObjectRef]) -> tuple[int, int] | None:
    """Return a sample's numbers of spots and genes; ``None`` where it was not read in the run."""
    if "axes/obs" not in slots or "axes/var" not in slots:
        return None
    return slots["axes/obs"].meta["shape"][0], slots["axes/var"].meta["shape"][0]


def shared_slots(run: Run) -> dict[str, ObjectRef]:
    """Return the slots that every sample that was read has, with their objects in the first of them."""
    read = [slots for sample in run.samples if size(slots := run.slots(sample))]
    first, *rest = read or [{}]
    return {slot: ref for slot, ref in first.items() if all(slot in other for other in rest)}


def describe_size(slots: Mapping[str, ObjectRef]) -> str:
    """Word a sample's size: ``of size 1470 × 35554``, or ``not read``."""
    return f"of size {_by(found)}" if (found := size(slots)) else "not read"


def describe_metadata(run: Run, sample: str) -> str:
    """Word what the recipe says of a sample: ``batch b7, group tumor``."""
    return ", ".join(f"{key} {value}" for key, value in run.samples.get(sample, {}).items())


def describe_sample(run: Run, sample: str, width: int = WIDTH) -> str:
    """Describe one sample: its size, then group by group what it holds."""
    slots = run.slots(sample)
    comma = "" if size(slots) else ","
    return "\n".join([f"annotated data{comma} {describe_size(slots)}", *_lines(slots, width)])


def describe_run(run: Run, width: int = WIDTH) -> str:
    """Describe a run: its samples with sizes and metadata, and what all of them hold."""
    sizes = [size(run.slots(sample)) for sample in run.samples]
    spots = sum(found[0] for found in sizes if found)
    lines = [
        f"experiment of {_count(len(sizes), 'sample')}, {_count(spots, 'spot')}",
        f"run {run.id}: {run.status}",
    ]
    lines += _columns(
        [(sample, describe_metadata(run, sample), describe_size(run.slots(sample))) for sample in run.samples]
    )
    if shared := _lines(shared_slots(run), width):
        lines += ["every sample holds" if len(sizes) > 1 else "it holds", *shared]
    if cohort := _lines(run.slots(COHORT), width):
        lines += ["together they hold", *cohort]
    return "\n".join(lines)


_ORDER = (
    *("obs", "var", "layers", "obsm", "varm", "obsp", "varp", "uns"),
    *(group for group in GROUPS if group in ("images", "figures", "files", "exports")),
)


def _lines(slots: Mapping[str, ObjectRef], width: int) -> list[str]:
    """Set one group a paragraph, wrapped between entries, never within one."""
    groups = list_groups(slots)
    margin = max(map(len, groups), default=0)
    lines = []
    for group, entries in groups.items():
        unbroken = "  ".join(entry.replace(" ", _GLUE) for entry in entries)
        head = f"  {group:{margin}} : "
        text = textwrap.fill(
            unbroken,
            width,
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines.append(text.replace(_GLUE, " "))
    return lines


_GLUE = "\0"


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = (
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True) if width) for row in rows
    )
    return [f"  {line}".rstrip() for line in cells]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _by(lengths: Sequence[int]) -> str:
    return " × ".join(map(str, lengths))  # noqa: RUF001  (a multiplication sign it is)


def _short_dtype(name: str) -> str:
    if name == "string":
        return "o"
    found = _NUMBER.match(name)
    return f"{found[1][0]}{found[2]}" if found else name
