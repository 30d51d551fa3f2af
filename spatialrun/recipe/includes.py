"""Includes: the files that a recipe takes in, composed and merged into one tree.

``include`` names one file or several, relative to the file that includes them. What they hold comes first:

- ``samples``, ``defaults`` and ``profiles`` are merged key by key; where two files give the same key, the
  including file wins, and of several included files the later one.
- ``steps`` are appended: the included ones, then the file's own.
- any other key (``store`` ...) is the including file's, where it gives one.

Files that are read (samples, parameters that are paths, further includes) are relative to the file that names
them; what is written (the store, exports) goes to places relative to the recipe itself. A file that is reached
by several ways is taken in once.

Includes are local files. They may lie anywhere, since the recipe says where: but a path that stays within the
folder of the recipe, or of the file that includes it, must not leave it through a link. Whoever reads a recipe
that came from elsewhere sees all that it takes in. (Links among the *data* are followed: people link to disks.)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from spatialrun.errors import RecipeError
from spatialrun.recipe.composer import Budget, compose
from spatialrun.recipe.files import read_text
from spatialrun.recipe.merge import RECIPE, merged
from spatialrun.recipe.nodes import Entry, ListNode, MapNode, Node, describe, is_null
from spatialrun.recipe.paths import absolute, is_url
from spatialrun.recipe.problems import Problems, nearest
from spatialrun.recipe.source import Mark, Source
from spatialrun.recipe.values import Values
from spatialrun.recipe.version import check_version

MAX_FILES = 100
MAX_NESTING = 10
"""How many includes may lead from the recipe to a file."""

_Trail = tuple[tuple[str, str], ...]
"""The files that led here, each by its real path and the name that errors give it."""


class Includes:
    """Composes a recipe with all that it includes.

    Attributes
    ----------
    sources
        The texts that were read: the recipe's own first.
    """

    def __init__(self, base: Path, environ: Mapping[str, str], problems: Problems) -> None:
        self.sources: list[Source] = []
        self._base = absolute(base, "")
        self._values = Values(environ, problems)
        self._problems = problems
        self._budget = Budget()
        self._taken: set[str] = set()

    def tree(self, source: Source) -> MapNode | None:
        """Return the tree of a recipe, merged; ``None`` where it, or a file that it includes, cannot be read."""
        real = os.path.realpath(self._base / Path(source.name).name)
        return self._file(source, ((real, source.name),))

    def _file(self, source: Source, trail: _Trail) -> MapNode | None:
        self.sources.append(source)
        self._taken.add(trail[-1][0])
        try:
            root = compose(source, self._problems, self._budget)
        except RecipeError as problem:
            self._problems.include(problem)
            return None
        if not isinstance(root, MapNode):
            empty = is_null(root)
            what = (
                "the recipe is empty" if empty else f"a recipe is a mapping of keys, found {describe(root)}"
            )
            hint = "it starts with 'spatialrun: 1', then 'store', 'samples' and 'steps'"
            self._problems.add("recipe.syntax", what, root.mark, hint=hint)
            return None
        self._check(root)
        return self._with_includes(root, trail)

    def _check(self, root: MapNode) -> None:
        """Note what merging would hide: values that are no mappings, or another format."""
        if version := root.get("spatialrun"):
            check_version(version, self._problems)
        for key in RECIPE:
            if (node := root.get(key)) and not isinstance(node, MapNode) and not is_null(node):
                what = f"{key} must be a mapping, found {describe(node)}"
                self._problems.add("recipe.wrong-type", what, node.mark)
        if (node := root.get("steps")) and not isinstance(node, ListNode) and not is_null(node):
            what = f"steps must be a list ('- uses: ...'), found {describe(node)}"
            self._problems.add("recipe.wrong-type", what, node.mark)

    def _with_includes(self, root: MapNode, trail: _Trail) -> MapNode | None:
        included = root.get("include")
        if included is None or is_null(included):
            return root
        under: MapNode | None = None
        readable = True
        for item in included.items if isinstance(included, ListNode) else (included,):
            before = len(self._problems)
            part = self._included(item, trail)
            if part is not None:
                under = part if under is None else _joined(under, part)
            elif len(self._problems) > before:
                readable = False
        # Without one of its files, nothing true can be said of the rest.
        if not readable:
            return None
        return root if under is None else _joined(under, root)

    def _included(self, node: Node, trail: _Trail) -> MapNode | None:
        """Compose an included file; ``None`` where there is a problem, or it has been taken in before."""
        text = self._values.path(node, "include")
        if not text:
            return None
        try:
            file = self._located(text, node.mark)
            real = os.path.realpath(file)
            if any(real == earlier for earlier, _ in trail):
                circle = " -> ".join([*(name for _, name in trail), self._name(text, trail)])
                raise _refused("recipe.include", f"includes in a circle: {circle}", node.mark)
            if real in self._taken:
                return None
            if len(trail) > MAX_NESTING:
                what = f"includes more than {MAX_NESTING} levels deep"
                raise _refused("recipe.limits", what, node.mark)
            if len(self._taken) > MAX_FILES:
                raise _refused("recipe.limits", f"more than {MAX_FILES} included files", node.mark)
            name = self._name(text, trail)
            folder = os.path.dirname(os.path.expanduser(text))  # noqa: PTH111, PTH120 (text stays text)
            source = Source(name, self._read(file, name, node.mark), folder=folder)
        except RecipeError as problem:
            self._problems.include(problem)
            return None
        return self._file(source, (*trail, (real, name)))

    def _located(self, text: str, mark: Mark) -> Path:
        """Return the file that an include names, where it may lie there."""
        if is_url(text):
            hint = "fetch the file, and include the copy"
            raise _refused("recipe.include", f"{text} is no local file", mark, hint=hint)
        file = absolute(self._base, text)
        for folder in (self._base, absolute(self._base, mark.source.folder)):
            if file.is_relative_to(folder) and not _is_within(file, folder):
                what = f"{text} leaves the folder {folder.name or folder} through a link"
                hint = f"if that is meant, include what it leads to: {os.path.realpath(file)}"
                raise _refused("recipe.include", what, mark, hint=hint)
        return file

    def _name(self, text: str, trail: _Trail) -> str:
        """Name an included file as the user named the recipe: from the same place."""
        return os.path.join(os.path.dirname(trail[0][1]), text)  # noqa: PTH118, PTH120

    def _read(self, file: Path, name: str, mark: Mark) -> str:
        # A pipe would wait for ever. (os.path answers for names that no file can have, too.)
        if os.path.exists(file) and not os.path.isfile(file) and not os.path.isdir(file):  # noqa: PTH110, PTH112, PTH113
            raise _refused("recipe.include", f"{name} is no plain file", mark)
        try:
            return read_text(file, name)
        except RecipeError as problem:
            if problem.where.file is None:
                problem.where = mark.where()
            if problem.code == "recipe.missing" and (near := _nearest_file(file)):
                problem.what += f"; did you mean '{near}'?"
            raise


def _joined(under: MapNode, over: MapNode) -> MapNode:
    """Return the tree of an including file over that of an included one."""
    whole = merged(under, over, RECIPE)
    assert isinstance(whole, MapNode)
    entries = {key: entry for key, entry in whole.entries.items() if key != "include"}
    first, second = under.entries.get("steps"), over.entries.get("steps")
    if first and second and isinstance(first.value, ListNode):
        own = second.value.items if isinstance(second.value, ListNode) else ()
        entries["steps"] = Entry(second.key, ListNode(second.value.mark, first.value.items + own))
    return MapNode(over.mark, MappingProxyType(entries))


def _is_within(file: Path, folder: Path) -> bool:
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))


def _nearest_file(file: Path) -> str | None:
    """Return the name of the file beside one that is missing that was most likely meant."""
    try:
        names = sorted(entry.name for entry in file.parent.iterdir())
    except OSError:
        return None
    return nearest(file.name, names)


def _refused(code: str, what: str, mark: Mark, *, hint: str | None = None) -> RecipeError:
    return RecipeError(code, what, where=mark.where(), hint=hint)
