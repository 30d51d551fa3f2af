"""Profiles: named changes to a recipe, made when they are asked for.

A profile is a part of a recipe that is laid over the whole: ``store`` and ``unsafe`` replace, ``samples`` and
``defaults`` are merged key by key, and ``steps`` maps ids of steps to what changes in them, their parameters
and matrices merged key by key. Of several profiles the later one wins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from types import MappingProxyType

from spatialrun.errors import RecipeError, SpatialrunError
from spatialrun.recipe.ids import step_ids
from spatialrun.recipe.keys import PROFILE_KEYS, PROFILE_STEP_KEYS
from spatialrun.recipe.merge import PROFILE, STEP, merged
from spatialrun.recipe.names import fault_of_name
from spatialrun.recipe.nodes import Entry, ListNode, MapNode, Node, ScalarNode, describe, is_null
from spatialrun.recipe.problems import Problems, choices, unknown
from spatialrun.recipe.source import Source

MAX_PROFILES = 20
"""Each is checked with the whole recipe."""


class Profiles:
    """The profiles of a recipe.

    Parameters
    ----------
    root
        The recipe's tree.
    problems
        Takes what is wrong with their names.
    """

    def __init__(self, root: MapNode, problems: Problems) -> None:
        node = root.get("profiles")
        self._entries = dict(node.entries) if isinstance(node, MapNode) else {}
        for name, entry in self._entries.items():
            if fault := fault_of_name(name):
                problems.add("recipe.bad-name", f"'{name}' cannot name a profile: {fault}", entry.key)
        if node is not None and len(self._entries) > MAX_PROFILES:
            problems.add("recipe.limits", f"more than {MAX_PROFILES} profiles", node.mark)
            self._entries = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in the order of the file."""
        return tuple(self._entries)

    def apply(self, name: str, root: MapNode, problems: Problems) -> MapNode:
        """Return the tree with a profile laid over it; what is wrong with its keys goes to ``problems``."""
        entry = self._entries.get(name)
        if entry is None:
            where = Source(f"--profile {name}", "", override=True).mark().where()
            what, hint = unknown("profile", name, self._entries), f"there are: {choices(self._entries)}"
            problems.include(RecipeError("recipe.unknown-profile", what, where=where, hint=hint))
            return root
        profile = _known(entry.value, f"profile {name}", PROFILE_KEYS, problems)
        rest = {key: inner for key, inner in profile.entries.items() if key != "steps"}
        whole = merged(root, MapNode(profile.mark, MappingProxyType(rest)), PROFILE)
        assert isinstance(whole, MapNode)
        changes, steps = profile.get("steps"), root.entries.get("steps")
        if changes is None or steps is None or not isinstance(steps.value, ListNode):
            return whole
        changed = _changed(steps.value, changes, f"steps of profile {name}", problems)
        return whole.with_entry("steps", Entry(steps.key, changed))

    def written(self, name: str, problems: Iterable[SpatialrunError]) -> Iterator[SpatialrunError]:
        """Yield those of the problems that lie in what a profile itself writes."""
        places = set(_places(self._entries[name]))
        for problem in problems:
            if (problem.where.file, problem.where.line, problem.where.column) in places:
                yield problem


def _changed(steps: ListNode, changes: Node, label: str, problems: Problems) -> ListNode:
    """Return the steps, each with its changes laid over it."""
    ids, items = step_ids(steps), list(steps.items)
    for id, entry in _mapping(changes, label, problems).entries.items():
        if not id or id not in ids:
            named = [name for name in ids if name]
            what, hint = unknown("step", id, named), f"steps: {choices(named)}"
            problems.add("recipe.unknown-step", what, entry.key, hint=hint)
            continue
        change = _known(entry.value, f"step {id}", PROFILE_STEP_KEYS, problems)
        index = ids.index(id)
        items[index] = _named(id, merged(items[index], change, STEP))
    return ListNode(steps.mark, tuple(items))


def _named(id: str, step: Node) -> Node:
    """Return a step that keeps the id by which the recipe knows it, whatever type it has now."""
    if not isinstance(step, MapNode) or "id" in step.entries:
        return step
    return step.with_entry("id", Entry(step.mark, ScalarNode(step.mark, id, id)))


def _known(node: Node, label: str, valid: Collection[str], problems: Problems) -> MapNode:
    """Return a mapping without the keys that it cannot have, which are noted."""
    whole = _mapping(node, label, problems)
    for key, entry in whole.entries.items():
        if key not in valid:
            what, hint = unknown("key", key, valid, of=label), f"there are: {choices(valid)}"
            problems.add("recipe.unknown-key", what, entry.key, hint=hint)
    known = {key: entry for key, entry in whole.entries.items() if key in valid}
    return MapNode(whole.mark, MappingProxyType(known))


def _mapping(node: Node, label: str, problems: Problems) -> MapNode:
    """Return a mapping, an empty one where it is nothing or something else, which is noted."""
    if isinstance(node, MapNode):
        return node
    if not is_null(node):
        what = f"{label} must be a mapping, found {describe(node)}"
        problems.add("recipe.wrong-type", what, node.mark)
    return MapNode(node.mark, MappingProxyType({}))


def _places(entry: Entry) -> Iterator[tuple[str, int, int]]:
    """Yield file, line and column of every key and value of an entry."""
    node = entry.value
    for mark in (entry.key, node.mark):
        yield mark.source.name, mark.line, mark.column
    inner: Iterable[Entry] = ()
    if isinstance(node, MapNode):
        inner = node.entries.values()
    elif isinstance(node, ListNode):
        inner = (Entry(item.mark, item) for item in node.items)
    for item in inner:
        yield from _places(item)
