"""Names that become names of files, on any system: of samples, steps and slots."""

from __future__ import annotations

import re

from spatialrun.slots import COHORT, NAME

LONGEST_NAME = 100
"""File systems take 255 bytes; what is put around a name needs some of them."""

_SLOT_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*\Z")
_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)))
)


def fault_of_name(name: str) -> str | None:
    """Return why samples and steps cannot have a name; ``None`` where they can."""
    if name == COHORT:
        return f"'{COHORT}' is reserved for what belongs to all samples together"
    if not NAME.match(name) or ".." in name or name.endswith("."):
        return "names start with a letter or digit and go on with letters, digits and . _ + -, no '..'"
    if len(name) > LONGEST_NAME:
        return f"names have at most {LONGEST_NAME} characters"
    if name.partition(".")[0].casefold() in _DEVICES:
        return "Windows keeps this name for a device"
    return None


def is_slot_name(name: str) -> bool:
    """Whether a recipe may choose ``name`` for a slot that is written."""
    return _SLOT_NAME.match(name) is not None and ".." not in name and len(name) <= LONGEST_NAME


def is_within_group(name: str) -> bool:
    """Whether ``name`` can be that of a slot that is read.

    Columns of other people's files have any name, ``cell type`` too; only what would lead elsewhere as a
    path is refused.
    """
    return not (name.startswith(".") or re.search(r"[/\\\x00-\x1f]|\.\.", name))
