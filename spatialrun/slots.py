"""Slots: the named places of a sample, and the unit of dataflow.

A slot is ``group/name``: ``layers/counts``, ``obs/spagcn.domain``, ``images/hires``. The groups are AnnData's,
plus ``axes`` (the names of spots and genes), ``images``, ``figures``, ``files`` (folders that one step writes
for another) and ``exports`` (files outside the store).
"""

from __future__ import annotations

import re

COHORT = "_cohort"
"""The reserved sample that holds what belongs to all samples together."""

GROUPS = (
    "axes",
    "layers",
    "obs",
    "var",
    "obsm",
    "varm",
    "obsp",
    "varp",
    "uns",
    "images",
    "figures",
    "files",
    "exports",
)

AXES_OF_GROUP = {
    "layers": ("axes/obs", "axes/var"),
    "obs": ("axes/obs",),
    "obsm": ("axes/obs",),
    "obsp": ("axes/obs",),
    "var": ("axes/var",),
    "varm": ("axes/var",),
    "varp": ("axes/var",),
}
"""The axes along which a slot of each group lies; a step that writes such a slot reads them implicitly."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*\Z")
"""Names of samples, steps and the slots that recipes choose: they become file names as they are."""


def group_of(slot: str) -> str:
    """Return the group of a slot: ``group_of("obs/leiden") == "obs"``."""
    return slot.partition("/")[0]


def name_of(slot: str) -> str:
    """Return the name of a slot within its group: ``name_of("obs/leiden") == "leiden"``."""
    return slot.partition("/")[2]


def address(sample: str, slot: str, *, seen_from: str) -> str:
    """Name a slot of a sample from where a task stands: its own as they are, another's with the sample.

    ``address("a", "obs/x", seen_from="a") == "obs/x"``; seen from ``_cohort`` it is ``a:obs/x``.
    """
    return slot if sample == seen_from else f"{sample}:{slot}"


def locate(address: str, *, seen_from: str) -> tuple[str, str]:
    """Return the sample and the slot of an address: ``("a", "obs/x")``."""
    sample, colon, slot = address.partition(":")
    # A colon further back belongs to the slot's name: columns of files that are read may have one.
    return (sample, slot) if colon and "/" not in sample else (seen_from, address)


def axes_of(slot: str) -> tuple[str, ...]:
    """Return the axis slots along which ``slot`` lies (none for images, figures, tables in ``uns`` ...)."""
    return AXES_OF_GROUP.get(group_of(slot), ())
