"""Reads the tree of a recipe into its model, step by step, noting every problem on the way."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from spatialrun.errors import SpatialrunError
from spatialrun.recipe.ids import step_ids
from spatialrun.recipe.keys import FORMAT, RECIPE_KEYS, RESERVED_SAMPLE_KEYS, SAMPLE_KEYS, STEP_KEYS
from spatialrun.recipe.model import Recipe, SampleEntry, StepEntry
from spatialrun.recipe.nodes import Atom, Entry, ListNode, MapNode, Node, ScalarNode, describe
from spatialrun.recipe.parameters import validate
from spatialrun.recipe.problems import Problems, choices, nearest, unknown
from spatialrun.recipe.source import Mark
from spatialrun.recipe.variables import VariableError, fill_variables
from spatialrun.slots import COHORT, NAME
from spatialrun.steps.contract import Step, parameter_names


class Catalogue(Protocol):
    """Where step types come from: the module :mod:`spatialrun.steps.catalogue`, or a test's own."""

    def names(self) -> tuple[str, ...]:
        """Return the names of all step types."""

    def get(self, name: str) -> Step:
        """Return a step type by name; ``KeyError`` where there is none."""


class Reader:
    """Reads one recipe; what it cannot read goes to ``problems`` and is left out."""

    def __init__(
        self, root: MapNode, environ: Mapping[str, str], catalogue: Catalogue, problems: Problems
    ) -> None:
        self._root = root
        self._environ = environ
        self._catalogue = catalogue
        self._problems = problems

    def recipe(self, file: Path, base: Path, text: str) -> Recipe:
        """Read the whole recipe."""
        self._known_keys(self._root, RECIPE_KEYS, "key")
        self._version()
        store = self._store()
        samples = self._samples()
        defaults = self._map("defaults")
        steps = self._steps(defaults, samples)
        self._known_defaults(defaults, steps)
        return Recipe(
            file=file,
            base=base,
            text=text,
            version=FORMAT,
            store=store,
            samples=MappingProxyType(
                {name: sample for name, sample in samples.items() if sample is not None}
            ),
            steps=steps,
            defaults=MappingProxyType({name: _data(entry.value) for name, entry in defaults.items()}),
            complete=not self._problems,
            root=self._root,
        )

    # -- the top of the recipe

    def _version(self) -> None:
        node = self._required("spatialrun", f"write 'spatialrun: {FORMAT}' as the first line")
        if node is None:
            return
        version = node.value if isinstance(node, ScalarNode) else None
        if not isinstance(version, int) or isinstance(version, bool):
            what = f"spatialrun must be {FORMAT}, the format of the recipe, found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark)
        elif version > FORMAT:
            what = f"this recipe has format {version}; this version of spatialrun reads format {FORMAT}"
            self._problems.add("recipe.out-of-range", what, node.mark, hint="upgrade spatialrun")
        elif version < FORMAT:
            what = f"there is no recipe format {version}; write {FORMAT}"
            self._problems.add("recipe.out-of-range", what, node.mark)

    def _store(self) -> str:
        node = self._required("store", "say where results go, a folder or a URL: 'store: results'")
        return (self._path(node, "store") if node is not None else None) or ""

    def _required(self, key: str, hint: str) -> Node | None:
        node = self._root.get(key)
        if node is None:
            self._problems.add("recipe.missing-key", f"the recipe has no '{key}'", self._root.mark, hint=hint)
        return node

    def _map(self, key: str) -> Mapping[str, Entry]:
        node = self._root.get(key)
        if node is None or isinstance(node, MapNode):
            return node.entries if node else {}
        if not _is_null(node):
            what = f"{key} must be a mapping, found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark)
        return {}

    # -- samples

    def _samples(self) -> dict[str, SampleEntry | None]:
        """Read the samples by name; ``None`` for one at fault, so that steps may still name it."""
        hint = "name at least one, with its input: 'samples: {my-sample: {path: my-sample/outs}}'"
        node = self._required("samples", hint)
        entries = self._map("samples")
        if node is not None and (_is_null(node) or (isinstance(node, MapNode) and not entries)):
            self._problems.add("recipe.missing-key", "the recipe has no samples", node.mark, hint=hint)
        return {name: self._sample(name, entry) for name, entry in entries.items()}

    def _sample(self, name: str, entry: Entry) -> SampleEntry | None:
        before = len(self._problems)
        self._name("sample", name, entry.key)
        node = entry.value
        path: str | None = None
        metadata: dict[str, Atom] = {}
        if isinstance(node, MapNode):
            for key, inner in node.entries.items():
                if key == "path":
                    path = self._path(inner.value, f"path of sample {name}", sample=name)
                elif self._is_metadata(key, inner, node, name) and isinstance(inner.value, ScalarNode):
                    metadata[key] = inner.value.value
        elif isinstance(node, ScalarNode):
            path = self._path(node, f"path of sample {name}", sample=name)
        else:
            what = f"sample {name} must be a path or a mapping with its path, found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark, sample=name)
        if len(self._problems) > before:
            return None
        return SampleEntry(name, path, MappingProxyType(metadata), entry.key.where(sample=name))

    def _is_metadata(self, key: str, entry: Entry, sample: MapNode, name: str) -> bool:
        """Whether a key of a sample is metadata: any is that does not look like a slip for ``path``."""
        if key in RESERVED_SAMPLE_KEYS:
            what = f"'{key}' is not a key that samples take"
            self._problems.add("recipe.unknown-key", what, entry.key, sample=name)
        elif "path" not in sample.entries and nearest(key, SAMPLE_KEYS, cutoff=0.75):
            what = unknown("key", key, SAMPLE_KEYS, of=f"sample {name}")
            self._problems.add("recipe.unknown-key", what, entry.key, sample=name)
        elif not isinstance(entry.value, ScalarNode):
            what = f"{key} of sample {name} must be a single value, found {describe(entry.value)}"
            self._problems.add("recipe.wrong-type", what, entry.value.mark, sample=name)
        else:
            return True
        return False

    # -- steps

    def _steps(
        self, defaults: Mapping[str, Entry], samples: Mapping[str, SampleEntry | None]
    ) -> tuple[StepEntry, ...]:
        hint = "write at least one: 'steps: [{uses: read.visium}]'; 'spatialrun steps' lists the step types"
        node = self._required("steps", hint)
        if node is None:
            return ()
        if _is_null(node) or (isinstance(node, ListNode) and not node.items):
            self._problems.add("recipe.missing-key", "the recipe has no steps", node.mark, hint=hint)
            return ()
        if not isinstance(node, ListNode):
            what = f"steps must be a list ('- uses: ...'), found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark)
            return ()
        ids = step_ids(node)
        first: dict[str, Mark] = {}
        read = []
        for id, item in zip(ids, node.items, strict=True):
            before = len(self._problems)
            if id and id in first:
                what = f"two steps have the id '{id}'; the first is at {first[id].where()}"
                self._problems.add("recipe.duplicate", what, _mark_of(item, "id"), step=id)
            first.setdefault(id, item.mark)
            step = self._step(id, item, ids, defaults, samples)
            if step is not None and len(self._problems) == before:
                read.append(step)
        # Of steps at fault nothing is known, so nothing can wait for them.
        sound = {step.id for step in read}
        return tuple(replace(step, after=tuple(id for id in step.after if id in sound)) for step in read)

    def _step(
        self,
        id: str,
        node: Node,
        ids: Collection[str],
        defaults: Mapping[str, Entry],
        samples: Mapping[str, SampleEntry | None],
    ) -> StepEntry | None:
        if not isinstance(node, MapNode):
            what = f"a step is a mapping with the key 'uses', found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark)
            return None
        self._known_keys(node, STEP_KEYS, "key of a step", step=id)
        if (own := node.get("id")) and self._text(own, "id", step=id):
            self._name("step", id, own.mark)
        chosen = self._chosen_samples(node.get("samples"), samples, id)
        after = self._after(node.get("after"), ids, id)
        step = self._step_type(node, id)
        given = self._given(node.get("with"), id)
        if step is None or given is None:
            return None
        known = step.Params.model_fields
        entries = {name: entry for name, entry in defaults.items() if name in known} | given
        for name in parameter_names(step.Params, "path") & entries.keys():
            entries[name] = replace(entries[name], value=self._filled(entries[name].value, id))
        at = _mark_of(node, "uses")
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
        name = self._text(uses, "uses", step=id)
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
        if node is None or _is_null(node):
            return {}
        if isinstance(node, MapNode):
            return dict(node.entries)
        what = f"with must be a mapping of parameters, found {describe(node)}"
        self._problems.add("recipe.wrong-type", what, node.mark, step=id)
        return None

    def _chosen_samples(
        self, node: Node | None, samples: Mapping[str, SampleEntry | None], id: str
    ) -> tuple[str, ...]:
        chosen = set(samples) if node is None else set[str]()
        for name, mark in self._names(node, "samples", id):
            found = [sample for sample in samples if sample == name or fnmatchcase(sample, name)]
            chosen.update(found)
            if not found:
                what = unknown("sample", name, samples)
                hint = f"samples: {choices(samples)}"
                self._problems.add("recipe.unknown-sample", what, mark, hint=hint, step=id)
        # Samples at fault are left out, as they are left out of the recipe.
        return tuple(name for name, sample in samples.items() if name in chosen and sample is not None)

    def _after(self, node: Node | None, ids: Collection[str], id: str) -> tuple[str, ...]:
        after = []
        for name, mark in self._names(node, "after", id):
            if name not in ids:
                what = unknown("step", name, filter(None, ids))
                self._problems.add("recipe.unknown-step", what, mark, hint=f"steps: {choices(ids)}", step=id)
            after.append(name)
        return tuple(dict.fromkeys(after))

    def _names(self, node: Node | None, key: str, id: str) -> Iterator[tuple[str, Mark]]:
        """Yield the names of a list, or the single name, with their marks."""
        if node is None:
            return
        if isinstance(node, ListNode) and not node.items and key == "samples":
            what = "samples names no sample; leave it out to run on all of them"
            self._problems.add("recipe.missing-key", what, node.mark, step=id)
        for item in node.items if isinstance(node, ListNode) else (node,):
            name = self._text(item, key, step=id)
            if name is not None:
                yield name, item.mark

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

    # -- values

    def _known_keys(
        self, node: MapNode, valid: Collection[str], kind: str, *, step: str | None = None
    ) -> None:
        for key, entry in node.entries.items():
            if key not in valid:
                hint = f"there are: {choices(valid)}"
                self._problems.add(
                    "recipe.unknown-key", unknown(kind, key, valid), entry.key, hint=hint, step=step
                )

    def _name(self, kind: str, name: str, mark: Mark) -> None:
        place = {kind: name}
        if name == COHORT:
            what = f"'{COHORT}' is reserved for what belongs to all samples together"
            self._problems.add("recipe.bad-name", what, mark, **place)
        elif not NAME.match(name):
            what = f"'{name}' cannot name a {kind}"
            hint = "names start with a letter or digit and go on with letters, digits and . _ + -"
            self._problems.add("recipe.bad-name", what, mark, hint=hint, **place)

    def _text(self, node: Node, label: str, **place: str) -> str | None:
        """Return a single value as the text that it was written as: ``151673`` and ``no`` are names too."""
        if isinstance(node, ScalarNode) and node.value is not None:
            return node.text
        self._problems.add(
            "recipe.wrong-type", f"{label} must be text, found {describe(node)}", node.mark, **place
        )
        return None

    def _path(self, node: Node, label: str, **place: str) -> str | None:
        """Return a path or URL, its variables filled; an explicit null is no path."""
        if _is_null(node) and place:
            return None
        text = self._text(node, label, **place)
        if text is None:
            return None
        filled = self._fill(text, node.mark, **place)
        if filled == "":
            self._problems.add("recipe.wrong-type", f"{label} is empty", node.mark, **place)
        return filled

    def _fill(self, text: str, mark: Mark, **place: str) -> str | None:
        try:
            return fill_variables(text, self._environ)
        except VariableError as problem:
            self._problems.add("recipe.variable", str(problem), mark, hint=problem.hint, **place)
            return None

    def _filled(self, node: Node, id: str) -> Node:
        """Return a parameter's node with the variables of its text filled."""
        if isinstance(node, ListNode):
            return ListNode(node.mark, tuple(self._filled(item, id) for item in node.items))
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            text = self._fill(node.text, node.mark, step=id)
            return node if text is None else ScalarNode(node.mark, text, text)
        return node


def _mark_of(node: Node, key: str) -> Mark:
    value = node.get(key) if isinstance(node, MapNode) else None
    return node.mark if value is None else value.mark


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None


def _data(node: Node) -> object:
    if isinstance(node, ListNode):
        return [_data(item) for item in node.items]
    if isinstance(node, MapNode):
        return {key: _data(entry.value) for key, entry in node.entries.items()}
    return node.value
