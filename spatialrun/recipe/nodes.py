"""The tree of a recipe: scalars, lists and mappings, each with its place. Immutable, so that overrides copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from spatialrun.recipe.source import Mark

Atom = str | int | float | bool | None


@dataclass(frozen=True, slots=True, eq=False)
class ScalarNode:
    """A single value; ``text`` is as written, ``value`` what it means."""

    mark: Mark
    text: str
    value: Atom


@dataclass(frozen=True, slots=True, eq=False)
class ListNode:
    """A list."""

    mark: Mark
    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class MapNode:
    """A mapping; its keys are text."""

    mark: Mark
    entries: Mapping[str, Entry]

    def get(self, key: str) -> Node | None:
        """Return the value of a key; ``None`` where it is absent."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value

    def with_entry(self, key: str, entry: Entry) -> MapNode:
        """Return a copy with one entry added or replaced."""
        return MapNode(self.mark, MappingProxyType({**self.entries, key: entry}))


Node = ScalarNode | ListNode | MapNode


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One entry of a mapping: where its key stands, and its value."""

    key: Mark
    value: Node


def describe(node: Node) -> str:
    """Say what was found: ``'a'``, ``3``, ``nothing``, ``a list``, ``a mapping``."""
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a mapping"
    if node.value is None:
        return "nothing"
    text = node.text if len(node.text) <= 60 else node.text[:57] + "..."
    return f"'{text}'" if isinstance(node.value, str) else text


def is_null(node: Node) -> bool:
    """Whether a node is an explicit or empty null."""
    return isinstance(node, ScalarNode) and node.value is None


def plain(node: Node) -> Any:
    """Return a node as plain data."""
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    if isinstance(node, MapNode):
        return {key: plain(entry.value) for key, entry in node.entries.items()}
    return node.value
