"""Interpreters: what a Python has, versions and devices, asked in a process of its own.

Nothing is imported here to find out. Torch takes seconds and memory, a driver that hangs must not hang the run,
and another interpreter can only be asked.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from spatialrun.errors import UsageError, Where
from spatialrun.version import __version__

ABSENT = "absent"
CPU = "cpu"
AUTO = "auto"
PATIENCE = 120
"""Seconds that an interpreter may take to say what it has."""

_SIGNS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""Files of which one is there where Linux has a driver that torch can compute on."""

# As old a Python as there may be has to be able to read these.
_ASK_VERSIONS = """\
import json, sys
found = {"python": "%d.%d.%d" % sys.version_info[:3], "spatialrun": None, "versions": {}}
if sys.version_info >= (3, 8):
    from importlib.metadata import PackageNotFoundError, version
    for name in sys.argv[1:]:
        try:
            found["versions"][name] = version(name)
        except PackageNotFoundError:
            found["versions"][name] = None
    try:
        from spatialrun.version import __version__
        found["spatialrun"] = __version__
    except ImportError:
        pass
print()
print(json.dumps(found))
"""
_ASK_DEVICES = """\
import json
found = []
try:
    import torch
except ImportError:
    torch = None
if torch is not None:
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        found.append(["cuda:%d" % number, facts.name, facts.total_memory])
    if torch.backends.mps.is_available():
        found.append(["mps", "Apple GPU", torch.mps.recommended_max_memory()])
print()
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Device:
    """A device that an interpreter's torch can compute on.

    Attributes
    ----------
    name
        As torch knows it: ``cuda:0``, ``mps``.
    title
        What it is.
    memory
        Its memory in bytes.
    """

    name: str
    title: str
    memory: int

    @property
    def kind(self) -> str:
        """``cuda`` or ``mps``: what decides the numbers."""
        return kind_of(self.name)


def kind_of(device: str) -> str:
    """Return the kind of a device: ``cuda`` of ``cuda:1``."""
    return device.partition(":")[0]


@dataclass(frozen=True)
class Versions:
    """What an interpreter has.

    Attributes
    ----------
    python
        Its version.
    spatialrun
        Of spatialrun; ``None`` where it cannot import that.
    distributions
        Of those that were asked for; ``None`` of one that it does not have.
    """

    python: str
    spatialrun: str | None
    distributions: Mapping[str, str | None]


class Interpreters:
    """What interpreters have, asked of each once.

    An interpreter is the path of its program; ``None`` for that of this process.
    """

    def __init__(self) -> None:
        self._versions: dict[tuple[str | None, tuple[str, ...]], Versions] = {}
        self._devices: dict[str | None, tuple[Device, ...]] = {}

    def versions(self, python: str | None, names: Sequence[str] = ()) -> Versions:
        """Return an interpreter's versions, and those of some distributions.

        Raises
        ------
        UsageError
            ``interpreter.missing``; ``interpreter.broken`` where it gives no answer.
        """
        key = (python, tuple(names))
        if key not in self._versions:
            self._versions[key] = _here(names) if python is None else _there(python, names)
        return self._versions[key]

    def check(self, python: str | None) -> None:
        """Check that an interpreter can compute what this one plans.

        Raises
        ------
        UsageError
            ``interpreter.missing``, ``interpreter.broken``; ``interpreter.versions`` where it has another
            spatialrun than this one, or none.
        """
        if python is None:
            return
        found = self.versions(python)
        if found.spatialrun != __version__:
            has = f"spatialrun {found.spatialrun}" if found.spatialrun else "no spatialrun"
            raise UsageError(
                "interpreter.versions",
                f"{python} (Python {found.python}) has {has}; this is {__version__}",
                where=Where(file=python),
                hint=f"install spatialrun {__version__} there, with Python 3.11 or newer",
            )

    def devices(self, python: str | None) -> tuple[Device, ...]:
        """Return the devices beside the CPU that an interpreter's torch can compute on, best kind first.

        Where the system has no driver at all none is asked: importing torch takes seconds.

        Raises
        ------
        UsageError
            ``interpreter.missing``; ``interpreter.broken`` where it gives no answer.
        """
        if python not in self._devices:
            answer = _ask(python, _ASK_DEVICES) if _has_a_driver() else []
            self._devices[python] = tuple(Device(*each) for each in answer)
        return self._devices[python]

    def kind(self, python: str | None, device: str) -> str:
        """Return the kind of device that a wish (``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``) comes to.

        Raises
        ------
        UsageError
            As :meth:`devices`, of which ``auto`` alone asks.
        """
        if device != AUTO:
            return kind_of(device)
        return next((found.kind for found in self.devices(python)), CPU)

    def forget_devices(self) -> None:
        """Ask for devices again when they are needed: one may have gone away."""
        self._devices.clear()


def environment(python: str | None) -> dict[str, str]:
    """Return the environment in which an interpreter finds what is its own.

    This one, started anew, can import what can be imported here. Another one must not: it may be of another
    version. For both, the current folder is no place to import from unless it is one already.
    """
    own = dict(os.environ)
    if python is None:
        own["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, sys.path))
    else:
        own.pop("PYTHONHOME", None)
    return own | {"PYTHONSAFEPATH": "1"}


def _has_a_driver() -> bool:
    return sys.platform != "linux" or any(map(os.path.exists, _SIGNS))


def _here(names: Sequence[str]) -> Versions:
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return Versions(platform.python_version(), __version__, found)


def _there(python: str, names: Sequence[str]) -> Versions:
    found = _ask(python, _ASK_VERSIONS, *names)
    return Versions(found["python"], found["spatialrun"], found["versions"])


def _ask(python: str | None, code: str, *arguments: str) -> Any:
    """Run a program in an interpreter and return what it says in its last line."""
    program = sys.executable if python is None else python
    where = Where(file=program)
    try:
        told = subprocess.run(
            [program, "-c", code, *arguments],
            env=environment(python),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            "interpreter.broken",
            f"{program} did not say what it has within {PATIENCE} s",
            where=where,
            hint="a driver that hangs does this: try `nvidia-smi`",
        ) from None
    except OSError as error:
        raise UsageError(
            "interpreter.missing",
            f"{program} cannot be started: {error.strerror or error}",
            where=where,
            hint="name the program itself: `gpu: {python: /opt/envs/cuda/bin/python}`",
        ) from error
    try:
        return json.loads(told.stdout.strip().rpartition("\n")[2])
    except ValueError:
        last = told.stderr.strip().splitlines()[-5:] or [f"exit code {told.returncode}"]
        raise UsageError(
            "interpreter.broken",
            "\n".join([f"{program} does not say what it has", *last]),
            where=where,
            hint="is it a Python, and are its packages whole?",
        ) from None
