"""The steps of a recipe: step types with validated parameters, on samples that there are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Protocol

from spatialrun.errors import SpatialrunError
from spatialrun.recipe.keys import STEP_KEYS
from spatialrun.recipe.model import SampleEntry, StepEntry
from spatialrun.recipe.nodes import Entry, ListNode, MapNode, Node, describe, is_null
from spatialrun.recipe.parameters import validate
from spatialrun.recipe.problems import choices, unknown
from spatialrun.recipe.values import Values
from spatialrun.steps.contract import Step, parameter_names


class Catalogue(Protocol):
    """Where step types come from: the module :mod:`spatialrun.steps.catalogue`, or a test's own."""

    def names(self) -> tuple[str, ...]:
        """Return the names of all step types."""

    def get(self, name: str) -> Step:
        """Return a step type by name; ``KeyError`` where there is none."""


class StepReader:
    """Reads steps one by one.

    Parameters
    ----------
    catalogue
        The step types.
    ids
        The ids of all steps of the recipe.
    samples
        The recipe's samples by name; ``None`` for one at fault, which steps may still name.
    defaults
        The recipe's defaults of parameters.
    values
        Takes values from nodes and notes problems.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        ids: Collection[str],
        samples: Mapping[str, SampleEntry | None],
        defaults: Mapping[str, Entry],
        values: Values,
    ) -> None:
        self._catalogue = catalogue
        self._ids = ids
        self._samples = samples
        self._defaults = defaults
        self._values = values
        self._problems = values.problems

    def read(self, id: str, node: Node) -> StepEntry | None:
        """Read one step; ``None`` where it cannot be made out."""
        if not isinstance(node, MapNode):
            what = f"a step is a mapping with the key 'uses', found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark)
            return None
        self._values.known_keys(node, STEP_KEYS, "key of a step", step=id)
        if (own := node.get("id")) and self._values.text(own, "id", step=id):
            self._values.name("step", id, own.mark)
        chosen = self._chosen(node.get("samples"), id)
        after = self._after(node.get("after"), id)
        step = self._step_type(node, id)
        given = self._given(node.get("with"), id)
        if step is None or given is None:
            return None
        known = step.Params.model_fields
        entries = {name: entry for name, entry in self._defaults.items() if name in known} | given
        for name in parameter_names(step.Params, "path") & entries.keys():
            entries[name] = replace(entries[name], value=self._values.filled(entries[name].value, id))
        at = node.entries["uses"].value.mark
        params = validate(step, entries, at=at, step_id=id, problems=self._problems)
        if params is None:
            return None
        where = node.mark.where(step=id)
        return StepEntry(
            id, step.name, step, params, frozenset(given), chosen, after, where, MappingProxyType(entries)
        )

    def _step_type(self, node: MapNode, id: str) -> Step | None:
        uses = node.get("uses")
        if uses is None:
            hint = "'spatialrun steps' lists the step types"
            self._problems.add("recipe.missing-key", "a step has no 'uses'", node.mark, hint=hint, step=id)
            return None
        name = self._values.text(uses, "uses", step=id)
        if name is None:
            return None
        try:
            return self._catalogue.get(name)
        except KeyError:
            valid = self._catalogue.names()
            hint = f"step types: {choices(valid)}"
            self._problems.add(
                "recipe.unknown-step", unknown("step type", name, valid), uses.mark, hint=hint, step=id
            )
        except SpatialrunError as error:
            place = uses.mark.where()
            self._problems.include(error.at(file=place.file, line=place.line, column=place.column, step=id))
        return None

    def _given(self, node: Node | None, id: str) -> dict[str, Entry] | None:
        if node is None or is_null(node):
            return {}
        if isinstance(node, MapNode):
            return dict(node.entries)
        what = f"with must be a mapping of parameters, found {describe(node)}"
        self._problems.add("recipe.wrong-type", what, node.mark, step=id)
        return None

    def _chosen(self, node: Node | None, id: str) -> tuple[str, ...]:
        if isinstance(node, ListNode) and not node.items:
            what = "samples names no sample; leave it out to run on all of them"
            self._problems.add("recipe.missing-key", what, node.mark, step=id)
        chosen = set(self._samples) if node is None else set[str]()
        for name, mark in self._values.names(node, "samples", id):
            found = [sample for sample in self._samples if sample == name or fnmatchcase(sample, name)]
            chosen.update(found)
            if not found:
                what = unknown("sample", name, self._samples)
                hint = f"samples: {choices(self._samples)}"
                self._problems.add("recipe.unknown-sample", what, mark, hint=hint, step=id)
        # Samples at fault are left out, as they are left out of the recipe.
        return tuple(name for name, sample in self._samples.items() if name in chosen and sample is not None)

    def _after(self, node: Node | None, id: str) -> tuple[str, ...]:
        named = [name for name in self._ids if name]
        after = []
        for name, mark in self._values.names(node, "after", id):
            if name not in named:
                what, hint = unknown("step", name, named), f"steps: {choices(named)}"
                self._problems.add("recipe.unknown-step", what, mark, hint=hint, step=id)
            after.append(name)
        return tuple(dict.fromkeys(after))
