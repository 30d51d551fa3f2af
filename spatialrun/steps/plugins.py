"""Plugins: step types that other packages add through the entry-point group ``spatialrun.steps``.

An entry point's name is the step type's, its value the place of the class. Nothing is asked of the installed
packages until a name is wanted that no built-in step type has, or all names are listed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from spatialrun.errors import PluginError
from spatialrun.steps.contract import Step
from spatialrun.store.digests import file_digest, key_digest

GROUP = "spatialrun.steps"


@cache
def found() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Return the entry points of all plugins by name; more than one where distributions clash."""
    by_name: dict[str, tuple[EntryPoint, ...]] = {}
    for entry in entry_points(group=GROUP):
        by_name[entry.name] = (*by_name.get(entry.name, ()), entry)
    return by_name


def load(name: str) -> Step:
    """Return the step type that a plugin gives a name.

    Raises
    ------
    KeyError
        No plugin gives that name.
    PluginError
        ``plugin.clash`` where several do, ``plugin.broken`` where it does not give a step type.
    """
    entry, *others = found()[name]
    if others:
        raise clash(name, *map(distribution, (entry, *others)))
    try:
        step = entry.load()()
    except Exception as problem:  # whatever a stranger's module does when it is imported
        raise _broken(entry, f"{type(problem).__name__}: {problem}") from problem
    if not isinstance(step, Step):
        raise _broken(entry, f"{entry.value} is no step type: derive it from spatialrun.steps.contract.Step")
    if step.name != name:
        raise _broken(entry, f"{entry.value} has the name {step.name!r}")
    return step


@cache
def code(name: str) -> Mapping[str, str]:
    """Return the digest of a plugin's code by its distribution; empty for a name that no plugin gives.

    The code is what the distribution's RECORD lists, so that it is the same wherever it was installed; of an
    editable installation, the ``*.py`` files of the package as they are now.
    """
    return {distribution(entry): key_digest("code", _files(entry)) for entry in found().get(name, ())}


def distribution(entry: EntryPoint) -> str:
    """Return the name of the distribution that an entry point belongs to."""
    return entry.dist.name if entry.dist else entry.module


def clash(name: str, *distributions: str) -> PluginError:
    """Return the error about a name that more than one distribution gives."""
    givers = " and ".join(distributions)
    return PluginError(
        "plugin.clash",
        f"{givers} both have a step type {name!r}",
        hint=f"uninstall one of them: pip uninstall {distributions[-1]}",
    )


def _broken(entry: EntryPoint, why: str) -> PluginError:
    plugin = distribution(entry)
    return PluginError(
        "plugin.broken",
        f"the plugin {plugin} does not give the step type {entry.name!r}: {why}",
        hint=f"upgrade it or ask its authors: pip install --upgrade {plugin}",
    )


def _files(entry: EntryPoint) -> dict[str, str]:
    """Return the digests of a plugin's files by their paths within it."""
    recorded = {} if entry.dist is None or _is_editable(entry.dist) else _recorded(entry.dist)
    return recorded or _sources(entry.module)


def _is_editable(distribution: Distribution) -> bool:
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


def _recorded(distribution: Distribution) -> dict[str, str]:
    """Return what RECORD says of a distribution's own files: not of its metadata, not of scripts outside."""
    return {
        str(file): file.hash.value
        for file in distribution.files or ()
        if file.hash and file.parts[0] != ".." and not file.parts[0].endswith(".dist-info")
    }


def _sources(module: str) -> dict[str, str]:
    """Return the digests of the sources of the outermost regular package that holds a module."""
    parts = module.split(".")
    specs = (find_spec(".".join(parts[: depth + 1])) for depth in range(len(parts)))
    origin = next((Path(spec.origin) for spec in specs if spec and spec.origin), None)
    if origin is None:
        return {}
    root = origin.parent
    files = root.rglob("*.py") if origin.name == "__init__.py" else [origin]
    return {file.relative_to(root).as_posix(): file_digest(file) for file in files}
