"""Versions: what must be the same wherever the tasks of one run are computed."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from spatialrun.errors import PluginError
from spatialrun.steps import catalogue
from spatialrun.version import __version__

ALWAYS = ("numpy", "scipy", "zarr")
ABSENT = "absent"


def found(uses: Iterable[str]) -> dict[str, str]:
    """Return the versions that decide what step types compute, as this process has them.

    Of Python and of libraries it is major.minor, as in the keys; of spatialrun the whole; of a plugin the digest
    of its code. Libraries of steps that may use a GPU are left out: the process of each task compares its own.
    """
    names = set(ALWAYS)
    code: dict[str, str] = {}
    for name in uses:
        try:
            step = catalogue.get(name)
            names.update(step.distributions if step.resource == "cpu" else ())
        except (KeyError, PluginError):
            code[name] = ABSENT
        code.update(catalogue.code(name))
    libraries = {name: minor(name) for name in sorted(names)}
    return {"spatialrun": __version__, "python": _two(platform.python_version())} | libraries | code


def listed(versions: Mapping[str, str]) -> str:
    """Return versions in a line; of a plugin's digest, as much as tells it from another."""
    return ", ".join(f"{name} {value[:12]}" for name, value in versions.items())


@cache
def minor(distribution: str) -> str:
    """Return major.minor of a distribution; ``absent`` where it is not installed.

    Looked up once in a process, which has imported what it has: a look takes 10 ms, and every block asks.
    """
    try:
        return _two(version(distribution))
    except PackageNotFoundError:
        return ABSENT


def _two(text: str) -> str:
    return ".".join(text.split(".")[:2])
