"""Overrides: ``--set key.path=value`` as the same edit in the file would be."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType

from spatialrun.errors import RecipeError
from spatialrun.recipe.composer import compose
from spatialrun.recipe.ids import step_ids
from spatialrun.recipe.keys import RECIPE_KEYS, STEP_KEYS
from spatialrun.recipe.merge import spelled_out
from spatialrun.recipe.nodes import Entry, ListNode, MapNode, Node, describe, is_null
from spatialrun.recipe.problems import Problems, choices, unknown
from spatialrun.recipe.source import Mark, Source

_PART = re.compile(r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<plain>[^.='"][^.=]*))(?P<end>[.=])""")

_INSTEAD = {
    "include": "included files are merged before: set what is to change, 'samples.p2.path=outs'",
    "profiles": "choose one with --profile, and set what is to change in the recipe itself",
}


@dataclass(frozen=True)
class Override:
    """One ``--set``: the parts of its key, and the value with a mark that names it in errors."""

    keys: tuple[str, ...]
    value: Node
    mark: Mark

    @classmethod
    def parse(cls, text: str) -> Override:
        """Parse ``key.path=value``: keys with dots may be quoted, the value is YAML.

        Raises
        ------
        RecipeError
            ``recipe.override``
        """
        name = f"--set {text}"
        keys, position, end = [], 0, ""
        while end != "=":
            match = _PART.match(text, position)
            if match is None:
                what = f"'{text}' is not of the form key.path=value"
                raise _error(what, Source(name, text, override=True).mark(), "steps.svg.with.n_svg=800")
            keys.append(match["double"] or match["single"] or match["plain"] or "")
            position, end = match.end(), match["end"]
        source = Source(name, text[position:], override=True)
        duplicates = Problems()
        try:
            value = compose(source, duplicates)
        except RecipeError as error:
            raise _error(f"the value is not plain YAML: {error.what}", source.mark(), None) from None
        for duplicate in duplicates:
            raise _error(duplicate.what, source.mark(), None)
        return cls(tuple(keys), value, source.mark())

    def apply(self, root: MapNode) -> MapNode:
        """Return the recipe's tree with the value in its place.

        Raises
        ------
        RecipeError
            ``recipe.override`` where the key names nothing that a recipe has or takes.
        """
        head, *rest = self.keys
        if head not in RECIPE_KEYS:
            raise self._unknown("key", head, RECIPE_KEYS)
        if head in _INSTEAD:
            raise _error(f"'{head}' cannot be changed from the command line", self.mark, _INSTEAD[head])
        old = root.get(head)
        if head == "steps" and rest:
            new = self._in_steps(old, rest)
        elif head == "samples" and rest:
            new = self._in_samples(old, rest)
        else:
            new = self._put(old, rest)
        return root.with_entry(head, self._entry(root, head, new))

    def _in_steps(self, steps: Node | None, keys: list[str]) -> Node:
        ids = step_ids(steps)
        length = _longest(keys, ids)
        if not isinstance(steps, ListNode) or length == 0:
            raise self._unknown("step", keys[0], ids)
        index, rest = ids.index(".".join(keys[:length])), keys[length:]
        if rest and rest[0] not in STEP_KEYS:
            raise self._unknown("key of a step", rest[0], STEP_KEYS)
        items = list(steps.items)
        items[index] = self._put(items[index], rest)
        return ListNode(steps.mark, tuple(items))

    def _in_samples(self, samples: Node | None, keys: list[str]) -> Node:
        # `p2: outs` is short for `p2: {path: outs}`; spell it out where a key of the sample is to be set.
        if isinstance(samples, MapNode) and (length := _longest(keys, samples.entries)) < len(keys):
            name = ".".join(keys[:length])
            if entry := samples.entries.get(name):
                samples = samples.with_entry(name, replace(entry, value=spelled_out(entry.value)))
        return self._put(samples, keys)

    def _put(self, node: Node | None, keys: list[str]) -> Node:
        """Return ``node`` with the value put under ``keys``, making the mappings that lead to it."""
        if not keys:
            return self.value
        if node is None or is_null(node):
            node = MapNode(self.mark, MappingProxyType({}))
        if not isinstance(node, MapNode):
            raise _error(f"'{keys[0]}' cannot be set in {describe(node)}", self.mark, "set the whole value")
        length = _longest(keys, node.entries) or 1
        key = ".".join(keys[:length])
        return node.with_entry(key, self._entry(node, key, self._put(node.get(key), keys[length:])))

    def _entry(self, node: MapNode, key: str, value: Node) -> Entry:
        old = node.entries.get(key)
        return Entry(old.key if old else self.mark, value)

    def _unknown(self, kind: str, name: str, valid: Collection[str]) -> RecipeError:
        return _error(unknown(kind, name, valid), self.mark, f"there are: {choices(valid)}")


def apply_overrides(root: MapNode, overrides: Iterable[str], problems: Problems) -> MapNode:
    """Return the tree with every override applied in turn; what cannot be applied goes to ``problems``."""
    for text in overrides:
        try:
            root = Override.parse(text).apply(root)
        except RecipeError as problem:
            problems.include(problem)
    return root


def _longest(keys: list[str], names: Collection[str]) -> int:
    """How many leading keys, joined by dots, make up one of ``names``: names may have dots themselves."""
    return next((n for n in range(len(keys), 0, -1) if ".".join(keys[:n]) in names), 0)


def _error(what: str, mark: Mark, hint: str | None) -> RecipeError:
    return RecipeError("recipe.override", what, where=mark.where(), hint=hint)
