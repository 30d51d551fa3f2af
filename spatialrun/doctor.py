"""A check-up: what is installed, what the machine has, and whether a store does what commits need."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from spatialrun.errors import SpatialrunError, StoreError, UsageError
from spatialrun.execute.machine import cores
from spatialrun.execute.memory import default_budget
from spatialrun.extras import EXTRAS, install
from spatialrun.interpreters import CPU, Device, Interpreters
from spatialrun.store.backend import Backend
from spatialrun.store.store import Store
from spatialrun.version import __version__

Verdict = Literal["ok", "absent", "warning", "fault"]
TORCH = ("torch", "torch_geometric")
"""What the steps compute with that may use a GPU."""
RECIPE_SUFFIXES = (".yaml", ".yml")
MOST_SKEW = 300.0
"""Seconds by which the clocks of this machine and of a store may differ."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    group
        ``installed``, ``machine``, ``interpreters`` or ``store``.
    name, found
        What, and what was found.
    verdict
        ``fault`` where spatialrun cannot work so.
    """

    group: str
    name: str
    found: str
    verdict: Verdict = "ok"


def examine(store: Store | None = None, pythons: Sequence[str] = ()) -> tuple[Check, ...]:
    """Look at the installation, the machine, other interpreters, and a store, in which nothing is left."""
    asked = Interpreters()
    others = (_interpreter(python, asked) for python in pythons)
    return (*_installed(), *_machine(asked), *others, *(_store(store) if store is not None else ()))


def interpreters_of(place: str, profile: str | Sequence[str] = ()) -> tuple[str, ...]:
    """Return the interpreters that a recipe names for steps that may use a GPU; none where it is a store."""
    if not place.endswith(RECIPE_SUFFIXES) or Path(place).is_dir():
        return ()
    from spatialrun.recipe.loader import check

    recipe, _ = check(place, profile=profile)
    steps = recipe.steps if recipe else ()
    return tuple(dict.fromkeys(step.gpu.python for step in steps if step.gpu and step.gpu.python))


def _installed() -> Iterator[Check]:
    yield Check("installed", "spatialrun", __version__)
    yield Check("installed", "python", f"{platform.python_version()}, {sys.executable}")
    with suppress(PackageNotFoundError):
        for line in requires("spatialrun") or ():
            if ";" not in line:
                yield _distribution(_name(line), "fault")
    for extra, name in EXTRAS.items():
        check = _distribution(name, "absent")
        hint = "" if check.verdict == "ok" else f" ({install(extra)})"
        yield Check("installed", f"{extra}: {name}", check.found + hint, check.verdict)


def _distribution(name: str, missing: Verdict) -> Check:
    try:
        return Check("installed", name, version(name))
    except PackageNotFoundError:
        return Check("installed", name, "not installed", missing)


def _name(requirement: str) -> str:
    """Return the name of ``dask[array]>=2025.1``."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _machine(asked: Interpreters) -> Iterator[Check]:
    yield Check("machine", "system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield Check("machine", "cores", str(cores()))
    threads = {name: os.environ[name] for name in _THREADS if name in os.environ}
    said = ", ".join(f"{name}={value}" for name, value in threads.items())
    yield Check("machine", "threads", said or "not limited by the environment")
    yield Check("machine", "memory", f"{default_budget() / 1e9:.1f} GB for a run, unless told otherwise")
    yield _devices(asked)
    yield _writable("kernels", Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent))
    yield _writable("temporary files", Path(tempfile.gettempdir()))


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def _devices(asked: Interpreters) -> Check:
    if find_spec("torch") is None:
        return Check("machine", "devices", "cpu (torch is not installed)")
    try:
        return Check("machine", "devices", _listed(asked.devices(None)))
    except UsageError as error:
        return Check("machine", "devices", f"cpu; {error.what}", "warning")


def _interpreter(python: str, asked: Interpreters) -> Check:
    """Say what another interpreter has, and whether it can compute what this one plans."""
    try:
        asked.check(python)
        found = asked.versions(python, TORCH)
        devices = asked.devices(python)
    except UsageError as error:
        return Check("interpreters", python, error.what, "fault")
    has = [f"{name} {full or 'is not installed'}" for name, full in found.distributions.items()]
    said = [f"python {found.python}", *has, _listed(devices)]
    return Check(
        "interpreters", python, ", ".join(said), "ok" if all(found.distributions.values()) else "warning"
    )


def _listed(devices: Sequence[Device]) -> str:
    return ", ".join([CPU, *(f"{each.name} {each.title} ({each.memory / 1e9:.0f} GB)" for each in devices)])


def _writable(name: str, folder: Path) -> Check:
    if os.access(folder, os.W_OK):
        return Check("machine", name, f"{folder} can be written")
    return Check("machine", name, f"{folder} cannot be written: compiled anew in each process", "warning")


def _store(store: Store) -> Iterator[Check]:
    yield Check("store", "place", store.url)
    probe = f"partial/probe-{uuid.uuid4().hex}"
    backend = store.backend
    try:
        before = time.time()
        first, second = backend.create(probe, b"1"), backend.create(probe, b"2")
        yield Check("store", "writing", "can be written")
        swapped = backend.swap(probe, b"1", b"3") and not backend.swap(probe, b"1", b"4")
        sound = first and not second and swapped and _decides(backend)
        said = "of two writers one is first" if sound else "two writers may both believe to be first"
        yield Check("store", "conditional writes", said, "ok" if sound else "fault")
        written = next(facts.modified for facts in backend.walk("partial") if facts.path == probe)
        yield _clock(written - before)
        if not backend.remote:
            yield _links(store, probe)
    except SpatialrunError as error:
        yield Check("store", "writing", error.what, "fault")
    finally:
        with suppress(SpatialrunError):
            backend.delete(probe)
    last = store.runs.latest()
    yield Check("store", "last run", f"{last.id}: {last.status}" if last else "none yet")


def _decides(backend: Backend) -> bool:
    """Whether it is the place that decides who is first: where it cannot, backends make do with a look before."""
    try:
        backend.check_commit()
    except StoreError as error:
        if error.code != "store.conditional-writes":
            raise
        return False
    return True


def _clock(skew: float) -> Check:
    if abs(skew) > MOST_SKEW:
        said = f"differs from the store's by {skew:.0f} s: ages, and with them gc's grace, are not what they seem"
        return Check("store", "clock", said, "warning")
    return Check("store", "clock", "agrees with the store's")


def _links(store: Store, probe: str) -> Check:
    """Whether two names of one file are one file here."""
    backend, other = store.backend, f"{probe}.link"
    try:
        backend.link(probe, other)
        one, two = (backend.local(path).stat().st_ino for path in (probe, other))
    finally:
        backend.delete(other)
    if one == two:
        return Check("store", "hard links", "views take no room of their own")
    return Check("store", "hard links", "none here: views are copies", "warning")


def is_sound(checks: tuple[Check, ...]) -> bool:
    """Whether nothing stands in the way of a run."""
    return all(check.verdict != "fault" for check in checks)
