"""Reads the tree of a recipe into its model, noting every problem on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from spatialrun.recipe.gpu import Gpu, GpuReader
from spatialrun.recipe.ids import step_ids
from spatialrun.recipe.keys import FORMAT, RECIPE_KEYS, WAIVERS
from spatialrun.recipe.matrix import Matrices, Variant
from spatialrun.recipe.model import Recipe, SampleEntry, StepEntry, find
from spatialrun.recipe.nodes import Entry, ListNode, MapNode, Node, describe, is_null, plain
from spatialrun.recipe.problems import Problems, choices, nearest, unknown
from spatialrun.recipe.samples import SampleReader
from spatialrun.recipe.selection import Selection
from spatialrun.recipe.source import Mark, Source
from spatialrun.recipe.steps import Catalogue, StepReader
from spatialrun.recipe.values import Values
from spatialrun.recipe.version import check_version


class Reader:
    """Reads one recipe; what it cannot read goes to ``problems`` and is left out."""

    def __init__(
        self, root: MapNode, environ: Mapping[str, str], catalogue: Catalogue, problems: Problems
    ) -> None:
        self._root = root
        self._values = Values(environ, problems)
        self._catalogue = catalogue
        self._problems = problems

    def recipe(self, file: Path, base: Path, sources: Sequence[Source], profiles: tuple[str, ...]) -> Recipe:
        """Read the whole recipe, which was composed from these sources with these profiles."""
        self._values.known_keys(self._root, RECIPE_KEYS, "key")
        self._version()
        unsafe = self._unsafe()
        store = self._store()
        samples = self._samples()
        defaults = self._map("defaults")
        steps = self._steps(defaults, samples, GpuReader(self._values, base))
        self._known_defaults(defaults, steps)
        return Recipe(
            file=file,
            base=base,
            text=sources[0].text,
            sources=tuple(sources),
            version=FORMAT,
            store=store,
            samples=MappingProxyType({name: sample for name, sample in samples.items() if sample}),
            steps=steps,
            defaults=MappingProxyType({name: plain(entry.value) for name, entry in defaults.items()}),
            unsafe=unsafe,
            profiles=profiles,
            overrides=(),
            complete=not self._problems,
            root=self._root,
        )

    def _version(self) -> None:
        node = self._required("spatialrun", f"write 'spatialrun: {FORMAT}' as the first line")
        if node is not None:
            check_version(node, self._problems)

    def _unsafe(self) -> frozenset[str]:
        node = self._root.get("unsafe")
        waived = set()
        for name, mark in self._values.names(None if node is None or is_null(node) else node, "unsafe"):
            waived.add(name)
            if name not in WAIVERS:
                what, hint = unknown("waiver", name, WAIVERS), f"there are: {choices(WAIVERS)}"
                self._problems.add("recipe.unknown-key", what, mark, hint=hint)
        return frozenset(waived)

    def _store(self) -> str:
        node = self._required("store", "say where results go, a folder or a URL: 'store: results'")
        return (self._values.target(node, "store") if node is not None else None) or ""

    def _samples(self) -> dict[str, SampleEntry | None]:
        """Read the samples by name; ``None`` for one at fault, so that steps may still name it."""
        hint = "name at least one, with its input: 'samples: {my-sample: {path: my-sample/outs}}'"
        node = self._required("samples", hint)
        entries = self._map("samples")
        if node is not None and (is_null(node) or (isinstance(node, MapNode) and not entries)):
            self._problems.add("recipe.missing-key", "the recipe has no samples", node.mark, hint=hint)
        reader = SampleReader(self._values)
        return {name: reader.read(name, entry) for name, entry in entries.items()}

    def _steps(
        self,
        defaults: Mapping[str, Entry],
        samples: Mapping[str, SampleEntry | None],
        gpu_reader: GpuReader,
    ) -> tuple[StepEntry, ...]:
        gpu = Gpu(**gpu_reader.read(self._root.get("gpu")))
        variants = self._variants()
        faulty = self._repeated(variants) | {variant.base_id for variant in variants if not variant.sound}
        ids: dict[str, list[str]] = {}
        for variant in variants:
            ids.setdefault(variant.base_id, []).append(variant.id)
        selection = Selection(samples, self._values)
        reader = StepReader(self._catalogue, ids, selection, defaults, self._values, gpu, gpu_reader)
        read = []
        for variant in variants:
            before = len(self._problems)
            if (step := reader.read(variant)) is not None:
                read.append(step)
            if len(self._problems) > before:
                faulty.add(variant.base_id)
        # Variants share most faults, and of steps at fault nothing is known: nothing can wait for them.
        read = [step for step in read if step.base_id not in faulty]
        sound = {step.id for step in read}
        return tuple(replace(step, after=tuple(id for id in step.after if id in sound)) for step in read)

    def _variants(self) -> list[Variant]:
        """Return the steps as written, matrices expanded; none where there is no list of them."""
        hint = "write at least one: 'steps: [{uses: read.visium}]'; 'spatialrun steps' lists the step types"
        node = self._required("steps", hint)
        if node is None:
            return []
        if is_null(node) or (isinstance(node, ListNode) and not node.items):
            self._problems.add("recipe.missing-key", "the recipe has no steps", node.mark, hint=hint)
            return []
        if not isinstance(node, ListNode):
            what = f"steps must be a list ('- uses: ...'), found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark)
            return []
        matrices = Matrices(self._problems)
        steps = zip(step_ids(node), node.items, strict=True)
        return [variant for id, item in steps for variant in matrices.variants(id, item)]

    def _repeated(self, variants: Sequence[Variant]) -> set[str]:
        """Note ids that two steps have; return them as they are written."""
        first: dict[str, Mark] = {}
        repeated = set()
        for variant in variants:
            id, node = variant.id, variant.node
            if id and id in first:
                what = f"two steps have the id '{id}'; the first is at {first[id].where()}"
                hint = "give one of them another 'id'"
                self._problems.add("recipe.duplicate", what, find(node, ("id",)), hint=hint, step=id)
                repeated.add(variant.base_id)
            first.setdefault(id, node.mark)
        return repeated

    def _known_defaults(self, defaults: Mapping[str, Entry], steps: tuple[StepEntry, ...]) -> None:
        used = {name for step in steps for name in step.step.Params.model_fields}
        strange = [name for name in defaults if name not in used]
        if not strange:
            return
        # Only now ask the whole catalogue: it has to load every step type.
        known = {p for name in self._catalogue.names() for p in self._catalogue.get(name).Params.model_fields}
        for name in strange:
            if name not in known:
                what = f"no step type has a parameter '{name}'"
                near = nearest(name, sorted(known))
                what += f"; did you mean '{near}'?" if near else ""
                self._problems.add("recipe.unknown-key", what, defaults[name].key)

    def _required(self, key: str, hint: str) -> Node | None:
        node = self._root.get(key)
        if node is None:
            self._problems.add("recipe.missing-key", f"the recipe has no '{key}'", self._root.mark, hint=hint)
        return node

    def _map(self, key: str) -> Mapping[str, Entry]:
        node = self._root.get(key)
        if node is None or isinstance(node, MapNode):
            return node.entries if node else {}
        if not is_null(node):
            what = f"{key} must be a mapping, found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark)
        return {}
