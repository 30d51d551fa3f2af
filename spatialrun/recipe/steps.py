"""The steps of a recipe: step types with validated parameters, on samples that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from spatialrun.errors import SpatialrunError
from spatialrun.recipe.gpu import Gpu, GpuReader
from spatialrun.recipe.keys import STEP_KEYS
from spatialrun.recipe.matrix import Combination, Variant
from spatialrun.recipe.model import StepEntry
from spatialrun.recipe.names import fault_of_name
from spatialrun.recipe.nodes import Entry, MapNode, Node, ScalarNode, describe, is_null
from spatialrun.recipe.parameters import validate
from spatialrun.recipe.problems import choices, unknown
from spatialrun.recipe.selection import Selection
from spatialrun.recipe.slots import check_slots
from spatialrun.recipe.values import Values
from spatialrun.steps.contract import Step, parameter_names

MAX_RETRIES = 100


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
        The ids of all steps as the recipe writes them, each with the ids of its variants.
    selection
        Chooses among the recipe's samples.
    defaults
        The recipe's defaults of parameters.
    values
        Takes values from nodes and notes problems.
    gpu
        How steps that may use a GPU are run, where they do not say.
    gpu_reader
        Reads what they say.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        ids: Mapping[str, Sequence[str]],
        selection: Selection,
        defaults: Mapping[str, Entry],
        values: Values,
        gpu: Gpu,
        gpu_reader: GpuReader,
    ) -> None:
        self._catalogue = catalogue
        self._ids = ids
        self._selection = selection
        self._defaults = defaults
        self._values = values
        self._gpu = gpu
        self._gpu_reader = gpu_reader
        self._problems = values.problems

    def read(self, variant: Variant) -> StepEntry | None:
        """Read one step; ``None`` where it cannot be made out."""
        node, id = variant.node, variant.id
        if not isinstance(node, MapNode):
            what = f"a step is a mapping with the key 'uses', found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark)
            return None
        self._values.known_keys(node, STEP_KEYS, "key of a step", step=id)
        self._check_id(node, variant)
        chosen = self._selection.chosen(node.get("samples"), id)
        after = self._after(node.get("after"), id)
        retries = self._retries(node.get("retries"), id)
        timeout_s = self._timeout(node.get("timeout"), id)
        step = self._step_type(node, id)
        given = self._given(node, variant)
        if step is None or given is None:
            return None
        gpu = self._how(node.get("gpu"), step, id)
        entries = self._entries(step, given, variant)
        at = node.entries["uses"].value.mark
        params = validate(step, entries, at=at, step_id=id, problems=self._problems)
        if params is None:
            return None
        check_slots(step, params, entries, at=at, step_id=id, problems=self._problems)
        return StepEntry(
            id=id,
            uses=step.name,
            step=step,
            params=params,
            given=frozenset(given),
            samples=chosen,
            after=after,
            where=node.mark.where(step=id),
            base_id=variant.base_id,
            matrix=variant.combination.values if variant.combination else None,
            retries=retries,
            timeout_s=timeout_s,
            gpu=gpu,
            entries=MappingProxyType(entries),
        )

    def _check_id(self, node: MapNode, variant: Variant) -> None:
        own = node.get("id")
        if own is not None and self._values.text(own, "id", step=variant.id):
            self._values.name("step", variant.base_id, own.mark)
        if variant.combination and not fault_of_name(variant.base_id):
            self._values.name("step", variant.id, variant.combination.mark)

    def _entries(self, step: Step, given: Mapping[str, Entry], variant: Variant) -> dict[str, Entry]:
        """Return the parameters that the recipe gives a step: its defaults, then the step's own."""
        known = step.Params.model_fields
        entries = {name: entry for name, entry in self._defaults.items() if name in known} | dict(given)
        for name in parameter_names(step.Params, "path") & entries.keys():
            entries[name] = replace(entries[name], value=self._values.filled(entries[name].value, variant.id))
        if variant.combination:
            # Every combination writes outputs of its own.
            for name in parameter_names(step.Params, "output_name") - variant.combination.entries.keys():
                entries |= _suffixed(name, entries.get(name), known[name].default, variant.combination)
        return entries

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

    def _given(self, node: MapNode, variant: Variant) -> dict[str, Entry] | None:
        """Return the parameters of ``with`` and of the matrix."""
        given = node.get("with")
        if given is not None and not is_null(given) and not isinstance(given, MapNode):
            what = f"with must be a mapping of parameters, found {describe(given)}"
            self._problems.add("recipe.wrong-type", what, given.mark, step=variant.id)
            return None
        entries = dict(given.entries) if isinstance(given, MapNode) else {}
        for name, entry in variant.combination.entries.items() if variant.combination else ():
            if name in entries:
                what = f"{name} stands in 'with' (line {entries[name].key.line}) and in 'matrix'"
                self._problems.add("recipe.duplicate", what, entry.key, step=variant.id)
            entries[name] = entry
        return entries

    def _after(self, node: Node | None, id: str) -> tuple[str, ...]:
        known = {name: ids for name, ids in self._ids.items() if name}
        known |= {id: [id] for ids in known.values() for id in ids}
        after: list[str] = []
        for name, mark in self._values.names(node, "after", step=id):
            if name not in known:
                what, hint = unknown("step", name, known), f"steps: {choices(known)}"
                self._problems.add("recipe.unknown-step", what, mark, hint=hint, step=id)
            after += known.get(name, ())
        return tuple(dict.fromkeys(after))

    def _retries(self, node: Node | None, id: str) -> int | None:
        if node is None or is_null(node):
            return None
        return self._values.whole_number(node, "retries", most=MAX_RETRIES, step=id)

    def _how(self, node: Node | None, step: Step, id: str) -> Gpu | None:
        own = self._gpu_reader.read(node, step=id)
        if step.resource == "gpu":
            return replace(self._gpu, **own)
        if node is not None and not is_null(node):
            what = f"{step.name} uses no GPU, so it takes no 'gpu'"
            self._problems.add("recipe.unknown-key", what, node.mark, step=id)
        return None

    def _timeout(self, node: Node | None, id: str) -> float | None:
        if node is None or is_null(node):
            return None
        return self._values.duration(node, "timeout", step=id)


def _suffixed(name: str, given: Entry | None, default: object, combination: Combination) -> dict[str, Entry]:
    """Return the entry of an output's name with the combination's suffix; none where it is no text."""
    if given is None:
        if not isinstance(default, str):
            return {}
        given = Entry(combination.mark, ScalarNode(combination.mark, default, default))
    node = given.value
    if not isinstance(node, ScalarNode) or is_null(node):
        return {}
    text = combination.suffixed(node.text)
    return {name: replace(given, value=ScalarNode(node.mark, text, text))}
