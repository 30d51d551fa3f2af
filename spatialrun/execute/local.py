"""Local executors: tasks one after another in this process, or side by side in a pool of warm processes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from typing import Any, Protocol

from spatialrun.errors import TaskError, Where
from spatialrun.execute.events import Event, Listener
from spatialrun.execute.spec import TaskResult, TaskSpec, error_to_json


class Executor(Protocol):
    """Takes task specs, gives results; at most ``width`` at a time."""

    width: int

    def submit(self, spec: TaskSpec) -> Future[TaskResult]:
        """Begin a task."""

    def close(self, *, now: bool) -> None:
        """Let running tasks end (or not, with ``now``) and free everything."""


class InlineExecutor:
    """Runs each task at once, in this process; its threads are the task's."""

    width = 1

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def submit(self, spec: TaskSpec) -> Future[TaskResult]:
        """Run a task and return its result as a future that is done."""
        future: Future[TaskResult] = Future()
        future.set_result(_run(spec, self._listener))
        return future

    def close(self, *, now: bool) -> None:
        """Nothing to free."""
        del now


class PoolExecutor:
    """Runs tasks in a pool of processes that stay warm for the run."""

    def __init__(self, listener: Listener, width: int) -> None:
        import multiprocessing

        self.width = width
        context = multiprocessing.get_context("spawn")
        self._events = context.SimpleQueue()
        self._pool = ProcessPoolExecutor(
            width, mp_context=context, initializer=_start_worker, initargs=(self._events, os.getpid())
        )
        self._relay = threading.Thread(target=_relay, args=(self._events.get, listener), daemon=True)
        self._relay.start()

    def submit(self, spec: TaskSpec) -> Future[TaskResult]:
        """Give a task to a worker; one whose worker dies ends with an error of its own."""
        outer: Future[TaskResult] = Future()
        try:
            inner = self._pool.submit(_run_in_worker, spec.to_json())
        except BrokenProcessPool:
            outer.set_result(_died(spec))
            return outer

        def settle(done: Future[TaskResult]) -> None:
            error = done.exception()
            outer.set_result(done.result() if error is None else _died(spec))

        inner.add_done_callback(settle)
        return outer

    def close(self, *, now: bool) -> None:
        """End the workers."""
        if now:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
        self._pool.shutdown(wait=not now, cancel_futures=True)
        self._events.put(None)
        self._relay.join(timeout=5)


_worker_events: Any = None


def _start_worker(events: Any, parent: int) -> None:
    global _worker_events
    _worker_events = events
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    """End this worker when the process that started it is gone: nobody would read its answer."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _run_in_worker(data: dict[str, Any]) -> TaskResult:
    return _run(TaskSpec.from_json(data), _worker_events.put)


def _run(spec: TaskSpec, listener: Listener) -> TaskResult:
    from spatialrun.execute.task import run_task

    with blas_in_one_thread():
        return run_task(spec, listener)


def blas_in_one_thread() -> AbstractContextManager[Any]:
    """Keep BLAS to one thread: sums are then made in one order, whatever the number of cores."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits


def _relay(receive: Callable[[], Event | None], listener: Listener) -> None:
    while (event := receive()) is not None:
        listener(event)


def _died(spec: TaskSpec) -> TaskResult:
    error = TaskError(
        "task.worker-died",
        f"the process that ran {spec.uses} ended without an answer",
        where=Where(step=spec.step, sample=spec.sample),
        hint="it was killed or ran out of memory; give the run more with --memory, or fewer workers with -j 1",
    )
    return TaskResult(error=error_to_json(error))
