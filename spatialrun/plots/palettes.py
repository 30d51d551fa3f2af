"""Colours: one for every category, the same in every figure, and the default map of continuous values.

``CATEGORICAL`` starts with the colours of Okabe and Ito (2008) that stand apart on a stained section. Each
further one was chosen to be the farthest, in Oklab, from all before it, from paper, from missing values and
from the pink of haematoxylin and eosin, for the worst of normal, deuteranope, protanope and tritanope sight
(Machado et al. 2009). So the first ten or so are safe for everyone; of thirty, no palette is.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

CATEGORICAL: tuple[str, ...] = (
    *("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#f0e442", "#6a391e", "#4e328a", "#964268"),
    *("#92bf91", "#0c3dc9", "#8c59f3", "#7f0b56", "#7290fa", "#c13237", "#90e28f", "#bc3294", "#7fcffb"),
    *("#fa416e", "#e3c327", "#c49db9", "#5d6312", "#bc41c8", "#e08440", "#64eefc", "#466784", "#dbb7d7"),
    *("#7f11ad", "#7f384a", "#693f76"),
)

# Perceptually uniform; its dark end recedes into a stained section, and no stain is as its bright end.
CONTINUOUS = "viridis"

# Spots without a value: lighter than any category, darker than paper.
MISSING = "#d4d4d4"
MISSING_LABEL = "NA"

# Spots that carry no variable at all.
PLAIN = "#3b4a5a"

# Slots beyond the palette repeat it lighter, then darker: share of white or black mixed in.
_SHADES = ((255, 0.0), (255, 0.5), (0, 0.5))

# Names without a number start among the first colours, which are the farthest apart.
_NAMED = 16

_NUMBER = re.compile(r"(\d+)", re.ASCII)
_INTEGER = re.compile(r"-?\d+", re.ASCII)
_ENDING = re.compile(r"\d+$", re.ASCII)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts ``Layer2`` before ``Layer10`` and numbers, negative ones too, before names."""
    if _INTEGER.fullmatch(name):
        return ((0, int(name), name),)
    parts = (part for part in _NUMBER.split(name) if part)
    return tuple((0, int(p), p) if _INTEGER.fullmatch(p) else (1, 0, p.casefold()) for p in parts)


def natural_sort(names: Iterable[str]) -> list[str]:
    """Names without duplicates, in the order in which a person would list them."""
    return sorted(set(names), key=lambda name: (natural_key(name), name))


def categorical(names: Iterable[str]) -> dict[str, str]:
    """A colour for every category, decided by the category's name.

    A name that ends in a number has the colour of that number (``3`` and ``Layer3`` are ``CATEGORICAL[3]``);
    any other has a colour derived from its letters. A domain therefore keeps its colour across samples, runs
    and machines. Only where two names of one set want the same colour does the later one, in natural order,
    move on to the next free one (numbers are served first): draw figures that must agree in every such case
    from the union of their categories.

    Parameters
    ----------
    names
        Categories in any order; duplicates are ignored.

    Returns
    -------
    Category to ``#rrggbb``, in natural order. All colours differ for up to 90 categories; more share colours.
    """
    ordered = natural_sort(names)
    slots = len(CATEGORICAL) * len(_SHADES)
    taken: set[int] = set()
    chosen: dict[str, int] = {}
    for name in sorted(ordered, key=lambda name: not _INTEGER.fullmatch(name)):
        slot = _wanted_slot(name) % slots
        while slot in taken and len(taken) < slots:
            slot = (slot + 1) % slots
        taken.add(slot)
        chosen[name] = slot
    return {name: _slot_color(chosen[name]) for name in ordered}


def _wanted_slot(name: str) -> int:
    number = _ENDING.search(name)
    if number:
        return int(number.group())
    return zlib.crc32(name.encode()) % _NAMED


def _slot_color(slot: int) -> str:
    cycle, index = divmod(slot, len(CATEGORICAL))
    target, share = _SHADES[cycle]
    base = CATEGORICAL[index]
    channels = (int(base[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(c + (target - c) * share):02x}" for c in channels)
