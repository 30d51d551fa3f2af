"""Matrices: one step for every combination of parameter values.

``matrix: {n_clusters: [5, 7], seed: [0, 1]}`` on the step ``spagcn`` makes the steps ``spagcn-5-0``,
``spagcn-5-1``, ``spagcn-7-0`` and ``spagcn-7-1``: the id, then the value of each parameter in the order of the
matrix. A parameter with values that cannot stand in a name (lists, paths, text with spaces ...) is numbered
from 1 instead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from spatialrun.recipe.names import is_slot_name
from spatialrun.recipe.nodes import Entry, ListNode, MapNode, Node, ScalarNode, describe, is_null, plain
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.source import Mark

MAX_COMBINATIONS = 1000
"""Steps that all matrices of a recipe make together."""

_LONGEST_PART = 24


@dataclass(frozen=True)
class Combination:
    """One value for each parameter of a matrix.

    Attributes
    ----------
    suffix
        What distinguishes it, in ids and names: ``5-0``.
    entries
        The values by parameter, as the recipe writes them.
    mark
        The place of the matrix.
    """

    suffix: str
    entries: Mapping[str, Entry]
    mark: Mark

    @property
    def values(self) -> Mapping[str, Any]:
        """The values by parameter."""
        return MappingProxyType({name: plain(entry.value) for name, entry in self.entries.items()})

    def suffixed(self, name: str) -> str:
        """Return the name of an output, made this combination's own; a prefix still comes first."""
        return f"{name}-{self.suffix}" if name else f"{self.suffix}."


@dataclass(frozen=True)
class Variant:
    """A step as it will be run: as written, or with one combination of its matrix.

    Attributes
    ----------
    id, base_id
        Its id, and that of the step as written.
    node
        The step as written.
    combination
        What the matrix gives it.
    sound
        Whether nothing is wrong with the matrix. Else the step is read all the same, for its other faults.
    """

    id: str
    base_id: str
    node: Node = field(repr=False)
    combination: Combination | None = None
    sound: bool = True


class Matrices:
    """Expands the steps of a recipe, within one bound for all of them."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._left = MAX_COMBINATIONS

    def variants(self, id: str, node: Node) -> Iterator[Variant]:
        """Yield the variants of a step; one with the first values alone where the matrix is at fault."""
        matrix = node.get("matrix") if isinstance(node, MapNode) else None
        if matrix is None or is_null(matrix):
            yield Variant(id, id, node)
            return
        before = len(self._problems)
        axes = self._axes(matrix, id)
        count = math.prod(len(values) for values in axes.values())
        self._left -= count
        if self._left < 0:
            what = f"more than {MAX_COMBINATIONS:,} combinations in the recipe ({count:,} of this matrix)"
            self._problems.add("recipe.limits", what, matrix.mark, step=id)
        if len(self._problems) > before:
            yield Variant(id, id, node, next(_combinations(axes, matrix.mark)), sound=False)
            return
        for combination in _combinations(axes, matrix.mark):
            yield Variant(f"{id}-{combination.suffix}", id, node, combination)

    def _axes(self, matrix: Node, id: str) -> dict[str, Sequence[Entry]]:
        """Read the values of each parameter; empty where there is nothing to combine."""
        if not isinstance(matrix, MapNode) or not matrix.entries:
            what = f"matrix must map parameters to lists of values, found {describe(matrix)}"
            self._problems.add("recipe.wrong-type", what, matrix.mark, step=id)
            return {}
        axes: dict[str, Sequence[Entry]] = {}
        for name, entry in matrix.entries.items():
            node = entry.value
            items = node.items if isinstance(node, ListNode) else (node,)
            if not isinstance(node, ListNode):
                what = f"{name} must be a list of values, found {describe(node)}"
                self._problems.add("recipe.wrong-type", what, node.mark, step=id)
            elif not items:
                what = f"{name} has no values; leave it out of the matrix"
                self._problems.add("recipe.missing-key", what, node.mark, step=id)
                continue
            self._note_repeated(name, items, id)
            axes[name] = [Entry(entry.key, item) for item in items]
        return axes

    def _note_repeated(self, name: str, items: Sequence[Node], id: str) -> None:
        seen = set()
        for item in items:
            if isinstance(item, ScalarNode):
                if item.text in seen:
                    what = f"the value {describe(item)} of {name} is given twice"
                    self._problems.add("recipe.duplicate", what, item.mark, step=id)
                seen.add(item.text)


def _combinations(axes: Mapping[str, Sequence[Entry]], mark: Mark) -> Iterator[Combination]:
    parts = [_parts(values) for values in axes.values()]
    for chosen in itertools.product(*(range(len(values)) for values in axes.values())):
        suffix = "-".join(part[index] for part, index in zip(parts, chosen, strict=True))
        entries = {name: values[index] for (name, values), index in zip(axes.items(), chosen, strict=True)}
        yield Combination(suffix, MappingProxyType(entries), mark)


def _parts(values: Sequence[Entry]) -> list[str]:
    """Return what stands for each value in a name: the values, or else their numbers."""
    texts = [entry.value.text if isinstance(entry.value, ScalarNode) else "" for entry in values]
    if all(is_slot_name(text) and len(text) <= _LONGEST_PART and text[-1] != "." for text in texts):
        return texts
    return [str(number) for number in range(1, len(values) + 1)]
