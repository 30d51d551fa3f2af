"""The validated recipe: what the planner works from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatialrun.errors import Where
from spatialrun.recipe.gpu import Gpu
from spatialrun.recipe.nodes import Atom, Entry, ListNode, MapNode, Node
from spatialrun.recipe.paths import absolute, is_url
from spatialrun.recipe.source import Mark, Source
from spatialrun.steps.contract import Parameters, Step


@dataclass(frozen=True)
class SampleEntry:
    """One sample of a recipe.

    Attributes
    ----------
    name
        Its name.
    path
        Its input, with variables filled, relative to the recipe's folder; ``None`` where the recipe gives none.
    metadata
        Everything else that the recipe says of it: batch, group ...
    where
        The place of its name.
    """

    name: str
    path: str | None
    metadata: Mapping[str, Atom]
    where: Where

    def resolve(self, base: Path) -> Path | None:
        """Return ``path`` made absolute from the recipe's folder."""
        return None if self.path is None else absolute(base, self.path)


@dataclass(frozen=True)
class StepEntry:
    """One step of a recipe.

    Attributes
    ----------
    id
        As given, else generated (see :func:`spatialrun.recipe.ids.step_ids`).
    uses, step
        The step type's name, and the step type.
    params
        Every parameter, validated: as given, else the recipe's default, else the step type's.
    given
        Names of the parameters that the step itself gives.
    samples
        The samples it runs on, in the recipe's order; of a cohort step, the members of the cohort.
    after
        Ids of the steps that it asks to come after.
    where
        The place of the step.
    base_id
        The id of the step as the recipe writes it: other than ``id`` where a matrix makes several of it.
    matrix
        The values of the parameters that the matrix varies, by name; ``None`` without a matrix.
    retries
        How often a task is tried again when it fails; ``None`` where the step does not say.
    timeout_s
        How many seconds a task may take; ``None`` where the step does not say.
    gpu
        How a task is run, of a step type that may use a GPU; ``None`` of any other.
    """

    id: str
    uses: str
    step: Step
    params: Parameters
    given: frozenset[str]
    samples: tuple[str, ...]
    after: tuple[str, ...]
    where: Where
    base_id: str
    matrix: Mapping[str, Any] | None
    retries: int | None
    timeout_s: float | None
    gpu: Gpu | None
    entries: Mapping[str, Entry] = field(repr=False, compare=False)
    """The parameters that the recipe gives, in ``with`` or in ``defaults``, as nodes."""

    @property
    def scope(self) -> str:
        """``sample`` (one task per sample) or ``cohort`` (one task for all of ``samples``)."""
        return self.step.scope

    def where_of(self, parameter: str, *inner: str | int) -> Where:
        """Return the place of a parameter's value, or within it; the step's own where it is not given."""
        entry = self.entries.get(parameter)
        return self.where if entry is None else find(entry.value, inner).where(step=self.id)


@dataclass(frozen=True)
class Recipe:
    """A validated recipe.

    Attributes
    ----------
    file
        The file, as it was named.
    base
        The recipe's folder, absolute: paths in the recipe are relative to it.
    text
        The source as written; overrides are not in it, nor what it includes.
    sources
        The texts of the recipe and of every included file, each with the name that errors give it.
    version
        The recipe's format.
    store
        Where results are kept, as written with variables filled.
    samples, steps
        By name, and in the order of the file.
    defaults
        Values for parameters that steps do not give.
    unsafe
        Promises of a store that the recipe does without: ``conditional-writes``.
    profiles
        The profiles that were asked for, in order.
    overrides
        The edits that were asked for on top of these, as ``key.path=value``.
    complete
        Whether this is all that the file holds. A recipe with problems is incomplete: it lacks the steps and
        samples that are at fault, so a slot that nothing in it writes may have a writer all the same.
    """

    file: Path
    base: Path
    text: str = field(repr=False)
    sources: tuple[Source, ...] = field(repr=False, compare=False)
    version: int
    store: str
    samples: Mapping[str, SampleEntry]
    steps: tuple[StepEntry, ...]
    defaults: Mapping[str, object]
    unsafe: frozenset[str]
    profiles: tuple[str, ...]
    overrides: tuple[str, ...]
    complete: bool
    root: MapNode = field(repr=False, compare=False)
    """The tree of the recipe: includes, profiles and overrides applied, matrices as they are written."""

    @property
    def store_url(self) -> str | None:
        """The store's URL; ``None`` where it is a local folder."""
        return self.store if is_url(self.store) else None

    @property
    def store_path(self) -> Path | None:
        """The store's folder, absolute; ``None`` where it is a URL."""
        return None if self.store_url else absolute(self.base, self.store)

    def step(self, id: str) -> StepEntry:
        """Return a step by its id; ``KeyError`` where there is none."""
        for entry in self.steps:
            if entry.id == id:
                return entry
        raise KeyError(id)

    def where(self, *path: str | int) -> Where:
        """Return the place of a value, ``where("steps", 2, "with", "layer")``, or of what would hold it."""
        return find(self.root, path).where()


def find(node: Node, path: tuple[str | int, ...]) -> Mark:
    """Return the mark of the node at the end of ``path``, or of the last one on the way that exists."""
    for part in path:
        if isinstance(node, MapNode) and part in node.entries:
            node = node.entries[str(part)].value
        elif isinstance(node, ListNode) and isinstance(part, int) and 0 <= part < len(node.items):
            node = node.items[part]
        else:
            break
    return node.mark
