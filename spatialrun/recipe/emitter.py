"""A recipe as one text: what was really run, after includes, profiles and overrides.

It stands for itself where the recipe lies: included files are merged into it, and paths are as the recipe itself
would write them. Matrices and variables stay as they are written, so that it is a recipe and not a listing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from spatialrun import words
from spatialrun.errors import RecipeError
from spatialrun.recipe.composer import compose
from spatialrun.recipe.ids import step_ids
from spatialrun.recipe.keys import RECIPE_KEYS
from spatialrun.recipe.model import Recipe
from spatialrun.recipe.nodes import Entry, ListNode, MapNode, Node, ScalarNode
from spatialrun.recipe.paths import rebased
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.redaction import redacted
from spatialrun.recipe.source import Source
from spatialrun.recipe.variables import VariableError, fill_variables
from spatialrun.steps.contract import parameter_names

WIDTH = 100
SHORT = 8
"""Lists and mappings of up to so many single values stand in one line."""
GPU_PATHS = ("python",)
LEFT_OUT = ("include", "profiles")

_YAML_1_1: Any = yaml.resolver.Resolver()
_TEXT = "tag:yaml.org,2002:str"


def emit(recipe: Recipe, asked: Mapping[str, Sequence[str]] = MappingProxyType({})) -> str:
    """Return a recipe as one YAML text, without secrets; a comment says what was asked for on top of its file."""
    root = recipe.root
    entries = {
        key: Entry(root.entries[key].key, _rebased(recipe, key, root.entries[key].value))
        for key in RECIPE_KEYS
        if key in root.entries and key not in LEFT_OUT
    }
    whole = MapNode(root.mark, MappingProxyType(entries))
    events = [
        yaml.StreamStartEvent(),
        yaml.DocumentStartEvent(explicit=False),
        *_events(whole, top=True),
        yaml.DocumentEndEvent(explicit=False),
        yaml.StreamEndEvent(),
    ]
    heading = " ".join(f"# {recipe.file.name} {words.options(asked)}".split())
    return redacted(f"{heading}\n{yaml.emit(events, width=WIDTH, allow_unicode=True)}")


def written(recipe: Recipe) -> dict[str, str]:
    """Return the files that a recipe was made of, numbered, by name; without secrets."""
    return {
        f"{number}-{re.sub(r'[^A-Za-z0-9_.+-]', '_', Path(source.name).name)}": redacted(source.text)
        for number, source in enumerate(recipe.sources, start=1)
    }


def _rebased(recipe: Recipe, key: str, node: Node) -> Node:
    """Return a part of the recipe with the paths in it relative to the recipe's folder."""
    if key == "samples" and isinstance(node, MapNode):
        samples = {name: replace(entry, value=_sample(entry.value)) for name, entry in node.entries.items()}
        return MapNode(node.mark, MappingProxyType(samples))
    paths = {entry.base_id: parameter_names(entry.step.Params, "path") for entry in recipe.steps}
    if key == "defaults":
        return _with_paths(node, {name for names in paths.values() for name in names})
    if key == "gpu":
        return _with_paths(node, GPU_PATHS)
    if key == "steps" and isinstance(node, ListNode):
        ids = step_ids(node)
        items = (_step(step, paths.get(id, frozenset())) for id, step in zip(ids, node.items, strict=True))
        return ListNode(node.mark, tuple(items))
    return node


def _sample(node: Node) -> Node:
    return _with_paths(node, {"path"}) if isinstance(node, MapNode) else _path(node)


def _step(node: Node, paths: Collection[str]) -> Node:
    if not isinstance(node, MapNode):
        return node
    for key, names in {"with": paths, "matrix": paths, "gpu": GPU_PATHS}.items():
        if entry := node.entries.get(key):
            node = node.with_entry(key, replace(entry, value=_with_paths(entry.value, names)))
    return node


def _with_paths(node: Node, names: Collection[str]) -> Node:
    """Return a mapping with the values of some keys, which are paths, made relative to the recipe's folder."""
    if not isinstance(node, MapNode):
        return node
    for name in names:
        if entry := node.entries.get(name):
            node = node.with_entry(name, replace(entry, value=_path(entry.value)))
    return node


def _path(node: Node) -> Node:
    if isinstance(node, ListNode):
        return ListNode(node.mark, tuple(map(_path, node.items)))
    folder = node.mark.source.folder
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str) or not node.text or not folder:
        return node
    try:  # whether a variable makes the path absolute shows only when it is filled
        text = rebased(fill_variables(node.text, os.environ), folder)
    except VariableError:
        text = node.text
    return ScalarNode(node.mark, text, text)


def _events(node: Node, *, top: bool = False) -> Iterator[Any]:
    if isinstance(node, ScalarNode):
        yield _scalar(node)
    elif isinstance(node, ListNode):
        yield yaml.SequenceStartEvent(None, None, True, flow_style=_in_line(node.items))
        for item in node.items:
            yield from _events(item)
        yield yaml.SequenceEndEvent()
    else:
        values = [entry.value for entry in node.entries.values()]
        yield yaml.MappingStartEvent(None, None, True, flow_style=not top and _in_line(values))
        for key, entry in node.entries.items():
            yield yaml.ScalarEvent(None, None, (True, True), key, style="'" if key == "<<" else None)
            yield from _events(entry.value)
        yield yaml.MappingEndEvent()


def _in_line(values: Collection[Node]) -> bool:
    return len(values) <= SHORT and all(isinstance(value, ScalarNode) for value in values)


def _scalar(node: ScalarNode) -> yaml.ScalarEvent:
    if not isinstance(node.value, str):
        text = "null" if node.value is None else node.text
        return yaml.ScalarEvent(None, None, (True, True), text)
    style = None if _is_plain(node.text) else "'"
    return yaml.ScalarEvent(None, None, (True, True), node.text, style=style)


def _is_plain(text: str) -> bool:
    """Whether a text without quotes is read as this text: here, and by readers of YAML 1.1."""
    if _YAML_1_1.resolve(yaml.ScalarNode, text, (True, False)) != _TEXT:
        return False
    try:
        node = compose(Source("", text), Problems())
    except RecipeError:
        return False
    return isinstance(node, ScalarNode) and node.value == text
