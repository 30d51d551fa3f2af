"""The isolated executor: each task in a fresh process, with a device to itself.

For steps that may use a GPU. A driver that crashes, memory that runs out or a library that cannot be imported
costs the process, hence its task, and nothing else; a device is free again when the process is gone. Inputs and
outputs go by way of the store, so the interpreter may be another than the run's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from spatialrun.errors import TaskError, UsageError, Where
from spatialrun.execute import worker
from spatialrun.execute.causes import cause, no_device
from spatialrun.execute.devices import variables
from spatialrun.execute.events import Listener
from spatialrun.execute.heard import Heard
from spatialrun.execute.local import died
from spatialrun.execute.spec import TaskResult, TaskSpec, error_to_json
from spatialrun.execute.versions import minor
from spatialrun.execute.watch import Watch
from spatialrun.execute.worker import Worker, WorkerDied
from spatialrun.interpreters import CPU, kind_of
from spatialrun.steps import catalogue

START = "from spatialrun.execute.isolated import serve; serve()"
MOST = 64
"""Tasks at a time: no machine has more devices."""


class IsolatedExecutor:
    """Runs each task in a process that is made for it; see :class:`spatialrun.execute.local.Executor`.

    Which device is free is the queue's to know.

    Parameters
    ----------
    listener
        Told what the tasks tell, and what their processes print.
    threads
        The most that a task may use.
    """

    width = MOST
    idle = 0

    def __init__(self, listener: Listener, threads: int) -> None:
        self._listener = listener
        self._threads_each = threads
        self._busy: set[Worker] = set()
        self._stopping = self._closing = False
        self._threads = ThreadPoolExecutor(MOST, thread_name_prefix="spatialrun-isolated")

    def submit(self, spec: TaskSpec) -> Future[TaskResult]:
        """Begin a task."""
        return self._threads.submit(self._run, spec)

    def stop(self) -> None:
        """Ask tasks that run in blocks to begin no more of them."""
        self._stopping = True
        for process in list(self._busy):
            process.stop()

    def close(self, *, now: bool) -> None:
        """Let running tasks end, or end them."""
        self._closing = now
        if now:
            for process in list(self._busy):
                process.kill()
        self._threads.shutdown(cancel_futures=now)

    def _run(self, spec: TaskSpec) -> TaskResult:
        heard = Heard(spec, self._listener)
        try:
            process = Worker(
                self._threads_each,
                python=spec.python,
                start=START,
                variables={"PYTHONFAULTHANDLER": "1"} | variables(spec),
                printed=heard.printed,
            )
        except TaskError as missing:
            return heard.failed(missing.at(step=spec.step, sample=spec.sample))
        except OSError as problem:  # it has gone since it was asked what it has
            gone = f"{spec.python} cannot be started: {problem.strerror or problem}"
            return heard.failed(UsageError("interpreter.missing", gone, where=_where(spec)))
        self._busy.add(process)
        if self._closing:  # it was made while the others were being ended
            process.kill()
        elif self._stopping:
            process.stop()
        # Of all devices it sees its own alone.
        own = replace(spec, device=kind_of(spec.device))
        watch = Watch(spec, process)
        try:
            with watch:
                return heard.whole(process.run(own, heard, watch.begin))
        except WorkerDied as death:
            return heard.failed(watch.verdict or _died(spec, str(death), begun=watch.begun))
        finally:
            self._busy.discard(process)
            process.kill()  # what it made is in the store: nothing is lost, and its device is free
            process.close()


def _died(spec: TaskSpec, how: str, *, begun: bool) -> TaskError | UsageError:
    if spec.python is not None and not begun and "exit code" in how:
        return UsageError(
            "interpreter.broken",
            f"{spec.python} cannot run tasks: its process {how}",
            where=_where(spec),
            hint="the log's end says what it cannot import; install it there",
        )
    return died(spec, how)


def _where(spec: TaskSpec) -> Where:
    return Where(step=spec.step, sample=spec.sample)


def serve() -> None:
    """Run the task that comes, in a process of its own, if what it needs is there."""
    worker.serve(_run)


def _run(
    spec: TaskSpec, listener: Listener, stopping: Callable[[], bool], begun: Callable[[], None]
) -> TaskResult:
    try:
        _check(spec)
    except Exception as problem:
        error = cause(problem, spec).at(step=spec.step, sample=spec.sample)
        return TaskResult(error=error_to_json(error))
    return worker.run(spec, listener, stopping, begun)


def _check(spec: TaskSpec) -> None:
    """Check that this interpreter has the step type that was planned, and the device."""
    try:
        step = catalogue.get(spec.uses)
    except KeyError:
        step = None
    planned = spec.identity["version"], spec.identity.get("code", {})
    if step is None or (step.version, dict(catalogue.code(spec.uses))) != planned:
        raise UsageError(
            "interpreter.versions",
            f"{sys.executable} has {'another' if step else 'no'} {spec.uses}",
            hint="install the same versions of spatialrun and of the plugin there",
        )
    here = {name: minor(name) for name in step.distributions}
    if other := [name for name, found in here.items() if found != spec.identity["numerics"][name]]:
        pairs = ", ".join(f"{name} {here[name]}, not {spec.identity['numerics'][name]}" for name in other)
        raise UsageError(
            "interpreter.versions",
            f"{sys.executable} has {pairs} as was planned",
            hint="apply where the versions are the same, or name the interpreter: gpu: {python: ...}",
        )
    if spec.device != CPU and "torch" in step.distributions:
        import torch

        cuda = spec.device != "cuda" or torch.cuda.device_count() > 0
        mps = spec.device != "mps" or torch.backends.mps.is_available()
        if not (cuda and mps):
            raise no_device(spec, f"torch {torch.__version__} finds none")
