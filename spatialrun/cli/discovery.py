"""Inputs below some folders: Space Ranger folders, h5ad files and zarr stores, named for their samples."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spatialrun.errors import SpatialrunError, UsageError
from spatialrun.readers.visium_hd import is_square
from spatialrun.readers.zarr_store import is_store
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Site

MATRICES = tuple(
    f"{kind}_feature_bc_matrix{suffix}" for kind in ("filtered", "raw") for suffix in ("", ".h5")
)
HD = "binned_outputs"
UNTELLING = ("outs", HD)
"""Folders named by Space Ranger, which say nothing about the sample."""
DEEPEST = 8


@dataclass(frozen=True)
class Found:
    """An input that can be read.

    Attributes
    ----------
    name
        The sample's name.
    path
        The folder or file, absolute.
    uses
        The step type that reads it.
    slots
        What it brings.
    """

    name: str
    path: Path
    uses: str
    slots: frozenset[str]


@dataclass(frozen=True)
class Passed:
    """Something that looks like an input but cannot be read, and why."""

    path: Path
    why: str


def find(folders: Iterable[Path]) -> tuple[list[Found], list[Passed]]:
    """Look for inputs below folders, each folder itself included.

    Raises
    ------
    UsageError
        Where a folder does not exist.
    """
    candidates: dict[Path, str] = {}
    found: list[Found] = []
    passed: list[Passed] = []
    for folder in folders:
        if not os.path.exists(folder):  # noqa: PTH110 (`Path.exists` raises where it may not look)
            raise UsageError("usage", f"there is no folder {folder}", hint="check the path")
        absolute = Path(os.path.abspath(folder))  # noqa: PTH100 (keeps links as they are)
        candidates.update(_candidates(absolute, passed))
    names = unique_names(list(candidates))
    for (path, uses), name in zip(candidates.items(), names, strict=True):
        step = catalogue.get(uses)
        try:
            site, params = Site(path=path), step.Params()
            step.externals(params, site)
            slots = frozenset(write.slot for write in step.writes(params, site))
        except SpatialrunError as error:
            passed.append(Passed(path, error.what))
        except OSError as error:
            passed.append(_unreadable(path, error))
        else:
            found.append(Found(name, path, uses, slots))
    return found, passed


def _candidates(folder: Path, passed: list[Passed]) -> Iterator[tuple[Path, str]]:
    """Yield what looks like an input, with the step type that may read it, in the order of the names.

    Folders that cannot be looked into are added to those passed over.
    """

    def holds(path: Path, question: Callable[[Path], bool]) -> bool:
        try:
            return question(path)
        except OSError as error:
            passed.append(_unreadable(path, error))
            return False

    def unlisted(error: OSError) -> None:
        passed.append(_unreadable(Path(error.filename), error))

    if folder.is_dir() and folder.suffix == ".zarr" and holds(folder, is_store):
        yield folder, "read.zarr"
        return
    if folder.is_file():
        if folder.suffix == ".h5ad":
            yield folder, "read.h5ad"
        return
    seen: set[Path] = set()
    for place, folders, files in os.walk(folder, onerror=unlisted, followlinks=True):
        here = Path(place)
        if (real := here.resolve()) in seen:  # links may lead in circles
            folders[:] = []
            continue
        seen.add(real)
        if here.name == HD or is_square(here):
            yield here, "read.visium_hd"
            folders[:] = []
        elif "spatial" in folders and any(name in folders or name in files for name in MATRICES):
            yield here, "read.visium"
            folders[:] = []
        stores = [here / name for name in sorted(folders) if name.endswith(".zarr")]
        deep = len(here.relative_to(folder).parts) >= DEEPEST
        folders[:] = [] if deep else sorted(name for name in folders if holds(here / name, _worth_a_look))
        yield from ((here / name, "read.h5ad") for name in sorted(files) if name.endswith(".h5ad"))
        yield from ((store, "read.zarr") for store in stores if holds(store, is_store))


def _unreadable(path: Path, error: OSError) -> Passed:
    return Passed(path, error.strerror or str(error))


def _worth_a_look(folder: Path) -> bool:
    hidden = folder.name.startswith(".")
    return not hidden and folder.suffix != ".zarr" and not (folder / "store.json").is_file()


def unique_names(paths: list[Path]) -> list[str]:
    """Name samples after their folders; those of one name by as much of the path as tells them apart."""
    parts = [_telling(path) for path in paths]
    names: list[str] = []
    for own in parts:
        alike = [other for other in parts if other[-1] == own[-1]]
        name = next(
            (_joined(own, depth) for depth in range(1, len(own) + 1) if _tells(alike, depth)), own[-1]
        )
        chosen, number = name, 2
        while chosen in names:
            chosen, number = f"{name}-{number}", number + 1
        names.append(chosen)
    return names


def _tells(parts: list[list[str]], depth: int) -> bool:
    """Whether names of so many parts differ."""
    return len({_joined(part, depth) for part in parts}) == len(parts)


def _joined(part: list[str], depth: int) -> str:
    return "-".join(part[-depth:])


def _telling(path: Path) -> list[str]:
    """Return the parts of a path that may name a sample, fit for names."""
    parts = [*path.parent.parts[1:], path.stem if path.suffix in (".h5ad", ".zarr") else path.name]
    named = [_fit(part) for part in parts if part not in UNTELLING]
    return [name for name in named if name] or ["sample"]


def _fit(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", part).strip("-._+")
