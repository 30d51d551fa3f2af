"""Which samples a step runs on: by name, by pattern, by metadata."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from spatialrun.recipe.model import SampleEntry
from spatialrun.recipe.nodes import Atom, Entry, ListNode, MapNode, Node, ScalarNode, describe, is_null
from spatialrun.recipe.problems import choices, nearest, unknown
from spatialrun.recipe.values import Values

_GLOB = re.compile(r"[*?\[]")


class Selection:
    """Chooses among the samples of a recipe.

    ``p2-t5`` is a name, ``p2-*`` a pattern, ``{group: tumor, batch: [b1, b2]}`` asks for samples with all of
    these (each any of its list), and a list of such chooses what any of them does.

    Parameters
    ----------
    samples
        The samples by name; ``None`` for one at fault, which steps may still name.
    values
        Takes values from nodes and notes problems.
    """

    def __init__(self, samples: Mapping[str, SampleEntry | None], values: Values) -> None:
        self._samples = samples
        self._all_known = all(samples.values())
        self._values = values
        self._problems = values.problems

    def chosen(self, node: Node | None, step: str | None) -> tuple[str, ...]:
        """Return the samples that a step's ``samples`` asks for, in the recipe's order; all by default."""
        if node is None:
            chosen: Collection[str] = self._samples
        else:
            items = node.items if isinstance(node, ListNode) else (node,)
            if not items:
                what = "samples names no sample; leave it out to run on all of them"
                self._problems.add("recipe.missing-key", what, node.mark, step=step)
            chosen = {name for item in items for name in self._of(item, step)}
        # Samples at fault are left out, as they are left out of the recipe.
        return tuple(name for name, sample in self._samples.items() if name in chosen and sample is not None)

    def _of(self, node: Node, step: str | None) -> Collection[str]:
        return self._by_metadata(node, step) if isinstance(node, MapNode) else self._by_name(node, step)

    def _by_name(self, node: Node, step: str | None) -> Collection[str]:
        if not isinstance(node, ScalarNode) or is_null(node):
            what = f"samples must be names, patterns or metadata, found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark, step=step)
            return ()
        name = node.text
        if name in self._samples:
            return (name,)
        if _GLOB.search(name) and (
            found := [sample for sample in self._samples if fnmatchcase(sample, name)]
        ):
            return found
        what, hint = unknown("sample", name, self._samples), f"samples: {choices(self._samples)}"
        self._problems.add("recipe.unknown-sample", what, node.mark, hint=hint, step=step)
        return ()

    def _by_metadata(self, node: MapNode, step: str | None) -> Collection[str]:
        if not node.entries:
            what = "samples asks for no metadata; leave it out to run on all of them"
            self._problems.add("recipe.missing-key", what, node.mark, step=step)
            return ()
        chosen = set(self._samples)
        for key, entry in node.entries.items():
            chosen &= self._with_value(key, entry, step)
        if not chosen and all(self._with_value(key, entry, step) for key, entry in node.entries.items()):
            asked = " and ".join(node.entries)
            what = f"no sample has all of these at once: {asked}"
            self._problems.add("recipe.unknown-sample", what, node.mark, step=step)
        return chosen

    def _with_value(self, key: str, entry: Entry, step: str | None) -> set[str]:
        """Return the samples whose ``key`` is any of the values."""
        node = entry.value
        keys = sorted({key for sample in self._samples.values() if sample for key in sample.metadata})
        if key not in keys and self._all_known:
            near = nearest(key, keys)
            what = f"no sample has '{key}'" + (f"; did you mean '{near}'?" if near else "")
            hint = f"samples have: {choices(keys)}"
            self._problems.add("recipe.unknown-sample", what, entry.key, hint=hint, step=step)
            return set()
        found = set()
        for item in node.items if isinstance(node, ListNode) else (node,):
            if not isinstance(item, ScalarNode):
                what = f"{key} must be a value or a list of values, found {describe(item)}"
                self._problems.add("recipe.wrong-type", what, item.mark, step=step)
                continue
            matching = {name for name, sample in self._samples.items() if sample and _has(sample, key, item)}
            if not matching and self._all_known:
                self._note_no_match(key, item, step)
            found |= matching
        return found

    def _note_no_match(self, key: str, item: ScalarNode, step: str | None) -> None:
        values = dict.fromkeys(
            _text(s.metadata[key]) for s in self._samples.values() if s and key in s.metadata
        )
        near = nearest(item.text, values)
        what = f"no sample has {key} {describe(item)}" + (f"; did you mean '{near}'?" if near else "")
        hint = f"values of {key}: {choices(values)}"
        self._problems.add("recipe.unknown-sample", what, item.mark, hint=hint, step=step)


def _has(sample: SampleEntry, key: str, asked: ScalarNode) -> bool:
    """Whether a sample's metadata has a value, however it was written: ``7``, ``'7'`` and ``7.0`` are one."""
    value = sample.metadata.get(key)
    if isinstance(value, bool) or isinstance(asked.value, bool):
        return _text(value) == _text(asked.value)
    return value == asked.value or (value is not None and _text(value) == asked.text)


def _text(value: Atom) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
