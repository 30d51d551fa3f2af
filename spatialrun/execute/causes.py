"""Causes: what stopped a step, in the house's words.

Torch tells most of what can go wrong with a device by a RuntimeError, so its text has to be read; and it must not
be imported for that.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from pathlib import Path

from spatialrun.errors import SpatialrunError, TaskError
from spatialrun.execute.spec import TaskSpec
from spatialrun.extras import extra_of, install

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""How the system refuses to write where a disk is full, or somebody's share of it."""
_FULL = tuple(map(os.strerror, FULL))
_NO_HOST_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")
_NO_DEVICE_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
_NO_DEVICE = (
    "No CUDA GPUs are available",
    "Found no NVIDIA driver",
    "Torch not compiled with CUDA enabled",
    "no CUDA-capable device",
    "invalid device ordinal",
    "PyTorch is not linked with support for mps",
)
_DEVICE_FAILED = ("CUDA error", "CUDA driver error", "CUBLAS_STATUS", "CUDNN_STATUS", "NVML", "MPS backend")


def cause(problem: Exception, spec: TaskSpec) -> SpatialrunError:
    """Return the coded error about an exception that ended a step."""
    if isinstance(problem, SpatialrunError):
        return problem
    if isinstance(problem, ImportError):
        return _not_imported(problem, spec)
    if isinstance(problem, MemoryError) or _says(problem, _NO_HOST_MEMORY):
        hint = "give it more with --memory, or run it where there is more"
        return TaskError("task.memory", f"{spec.uses} ran out of memory", hint=hint)
    if isinstance(problem, OSError) and (problem.errno in FULL or _says(problem, _FULL)):
        return _disk_full(problem, spec)
    if isinstance(problem, (RuntimeError, AssertionError)) and (found := _of_device(problem, spec)):
        return found
    return TaskError(
        "task.failed",
        f"{spec.uses} stopped: {_words(problem)}",
        hint="the traceback is in the task's log (spatialrun log); please report it",
    )


def is_plain(error: SpatialrunError, problem: Exception) -> bool:
    """Whether an error says all that there is to know, so that a traceback would only hide it."""
    if isinstance(problem, ModuleNotFoundError) and error.code == "task.missing-package":
        return extra_of((problem.name or "").partition(".")[0]) is not None
    return isinstance(problem, SpatialrunError)


def no_device(spec: TaskSpec, found: str) -> TaskError:
    """Return the error about a device that is not there."""
    return TaskError(
        "task.device-missing",
        f"{spec.uses} is to run on {spec.device}, and {found}",
        hint="`spatialrun doctor` lists the devices; gpu: {device: auto} takes the CPU where there is none",
    )


def _not_imported(problem: ImportError, spec: TaskSpec) -> TaskError:
    package = (problem.name or "").partition(".")[0]
    if isinstance(problem, ModuleNotFoundError) and package:
        extra = extra_of(package)
        hint = f"install it there: {install(extra) if extra else f'pip install {package}'}"
        if spec.python or package.startswith("torch"):
            hint += "; or name an interpreter that has it: gpu: {python: ...}"
        return TaskError(
            "task.missing-package",
            f"{spec.uses} needs {package}, which {sys.executable} does not have",
            hint=hint,
        )
    return TaskError(
        "task.import",
        f"{spec.uses} cannot import what it needs in {sys.executable}: {_words(problem)}",
        hint="a package there is broken, or does not fit another: install it again",
    )


def _disk_full(problem: OSError, spec: TaskSpec) -> TaskError:
    """Return the error about files that a step itself writes: in the store, or beside one that is remote."""
    if problem.filename:
        place = str(Path(problem.filename).parent)
    else:
        place = tempfile.gettempdir() if "://" in spec.store else spec.store
    return TaskError(
        "task.disk-full",
        f"{spec.uses} has no space to write to in {place}: {problem.strerror or _words(problem)}",
        hint=f"make room in {place}, or keep the store (`store:`) or temporary files (TMPDIR) elsewhere",
    )


def _of_device(problem: Exception, spec: TaskSpec) -> TaskError | None:
    if type(problem).__name__ == "OutOfMemoryError" or _says(problem, _NO_DEVICE_MEMORY):
        return TaskError(
            "task.device-memory",
            f"{spec.uses} needs more memory than {spec.device} has free: {_words(problem)}",
            hint="free the device, take a larger one, or compute on the CPU: gpu: {device: cpu}",
        )
    if _says(problem, _NO_DEVICE):
        return no_device(spec, f"there is none: {_words(problem)}")
    if type(problem).__name__ == "AcceleratorError" or _says(problem, _DEVICE_FAILED):
        return TaskError(
            "task.device-lost",
            f"{spec.device} failed under {spec.uses}: {_words(problem)}",
            hint="`nvidia-smi` and the system's log say more; `retries` of the step tries it again",
        )
    return None


def _says(problem: Exception, texts: tuple[str, ...]) -> bool:
    said = str(problem)
    return any(text in said for text in texts)


def _words(problem: Exception) -> str:
    """Return an exception in its first line: torch appends pages of advice."""
    return f"{type(problem).__name__}: {str(problem).strip().partition(chr(10))[0]}"
