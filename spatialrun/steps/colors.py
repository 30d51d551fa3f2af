"""Colours and colour maps as parameters: one that matplotlib does not know is a mistake in the recipe."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator


def _color(name: str) -> str:
    from matplotlib.colors import is_color_like

    if not is_color_like(name):
        raise ValueError(f"no colour {name!r}: give a name, or '#rrggbb'")
    return name


def _color_map(name: str) -> str:
    from matplotlib import colormaps

    if name not in colormaps:
        near = get_close_matches(name, list(colormaps), n=1)
        raise ValueError(f"no colour map {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return name


Color = Annotated[str, AfterValidator(_color)]
ColorMap = Annotated[str, AfterValidator(_color_map)]
