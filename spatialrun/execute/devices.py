"""Devices: which of them a task may be computed on, and what its process sees of them."""

from __future__ import annotations

import os
from itertools import takewhile

from spatialrun.errors import UsageError
from spatialrun.execute.causes import no_device
from spatialrun.execute.spec import TaskSpec
from spatialrun.interpreters import AUTO, CPU, Interpreters, kind_of
from spatialrun.plan.resolver import Decision
from spatialrun.plan.task import Task

_VISIBLE = "CUDA_VISIBLE_DEVICES"
NO_GPU = "no GPU is found: steps that may use one run on the CPU (gpu: {device: cpu} says so beforehand)"


class Devices:
    """The devices of one run.

    Parameters
    ----------
    interpreters
        Who knows them.
    """

    def __init__(self, interpreters: Interpreters) -> None:
        self._interpreters = interpreters
        self._said = False

    def of(self, task: Task, decision: Decision) -> tuple[str, ...]:
        """Return the devices any of which a task may have to itself; none where its step type uses no GPU.

        They are of the kind that is in the task's key. Where none is found any more, its process will say so.
        """
        gpu = task.entry.gpu
        if gpu is None:
            return ()
        kind = decision.identity["numerics"]["device"]
        if kind == CPU or gpu.device not in (AUTO, kind):
            return (CPU if kind == CPU else gpu.device,)
        try:
            found = tuple(each.name for each in self._interpreters.devices(gpu.python) if each.kind == kind)
        except UsageError:
            found = ()
        return found or (kind,)

    def remark(self, task: Task, device: str) -> str | None:
        """Return what is to be said of a task's device: once, that there is none but the CPU."""
        gpu = task.entry.gpu
        if gpu is None or gpu.device != AUTO or device != CPU or self._said:
            return None
        self._said = True
        return NO_GPU

    def forget(self) -> None:
        """Find out anew what there is: a device has failed."""
        self._interpreters.forget_devices()


def variables(spec: TaskSpec) -> dict[str, str]:
    """Return the variables of a task's process, which sees one device and no other: to it ``cuda:3`` is ``cuda``.

    Raises
    ------
    TaskError
        ``task.device-missing`` where it is none of those that this process may see: others have it.
    """
    kind = kind_of(spec.device)
    if kind == CPU:
        return {_VISIBLE: ""}
    if kind != "cuda":
        return {}
    # Without it cuBLAS may come to another sum each time, and torch refuses to be deterministic.
    found = {"CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:8")}
    if kind != spec.device:
        found[_VISIBLE] = _visible(spec, int(spec.device.partition(":")[2]), os.environ.get(_VISIBLE))
    return found


def _visible(spec: TaskSpec, number: int, given: str | None) -> str:
    """Return how CUDA is told of a device, which is numbered among those that this process may see."""
    if given is None:
        return str(number)
    names = (name.strip() for name in given.split(",") if name.strip())
    shown = [*takewhile(lambda name: not name.startswith("-"), names)]  # CUDA reads no further than -1
    if number >= len(shown):
        known = [f"{kind_of(spec.device)}:{each}" for each in range(len(shown))]
        said = " to ".join(dict.fromkeys([known[0], known[-1]])) + " alone" if known else "none"
        raise no_device(spec, f"{_VISIBLE}={given} shows {said}")
    return shown[number]
