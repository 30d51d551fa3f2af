"""Merging one piece of a recipe over another: what an including file or a profile adds and changes.

Mappings whose keys are names (samples, what is known of each, defaults, gpu, profiles, a step's parameters) are
merged key by key; any other value, a parameter's mapping too, is replaced whole. Nothing (``null``, or a key
with nothing after it) adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Union

from spatialrun.recipe.nodes import Entry, MapNode, Node, ScalarNode, is_null

Shape = Mapping[str, Union["Shape", None]]
"""The keys of a mapping whose values are mappings to be merged in turn."""

ANY = "*"

SAMPLE: Shape = {}
STEP: Shape = {"with": {}, "matrix": {}, "gpu": {}}
PROFILE: Shape = {"defaults": {}, "gpu": {}, "samples": {ANY: SAMPLE}, "steps": {ANY: STEP}}
RECIPE: Shape = {"defaults": {}, "gpu": {}, "samples": {ANY: SAMPLE}, "profiles": {ANY: PROFILE}}


def merged(under: Node, over: Node, shape: Shape | None) -> Node:
    """Return ``over`` laid over ``under``; what both have keeps the place where it stood first."""
    if shape is SAMPLE:
        under, over = spelled_out(under), spelled_out(over)
    if shape is not None and is_null(over):
        return under
    if shape is None or not isinstance(under, MapNode) or not isinstance(over, MapNode):
        return over
    entries = dict(under.entries)
    for key, entry in over.entries.items():
        if below := entries.get(key):
            inner = merged(below.value, entry.value, shape.get(key, shape.get(ANY)))
            entries[key] = Entry(below.key, inner)
        else:
            entries[key] = entry
    return MapNode(under.mark, MappingProxyType(entries))


def spelled_out(sample: Node) -> Node:
    """Return a sample as a mapping: ``outs`` is short for ``{path: outs}``."""
    if isinstance(sample, ScalarNode) and not is_null(sample):
        return MapNode(sample.mark, MappingProxyType({"path": Entry(sample.mark, sample)}))
    return sample
