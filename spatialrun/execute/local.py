"""Local executors: tasks one after another in this process, or side by side in warm processes of their own."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from spatialrun.errors import TaskError, Where
from spatialrun.execute.events import Listener
from spatialrun.execute.spec import TaskResult, TaskSpec, error_to_json
from spatialrun.execute.worker import Worker, WorkerDied, run


class Executor(Protocol):
    """Takes task specs, gives results; at most ``width`` at a time."""

    @property
    def width(self) -> int:
        """How many tasks may run at a time."""

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
        future.set_result(run(spec, self._listener))
        return future

    def close(self, *, now: bool) -> None:
        """Nothing to free."""
        del now


class PoolExecutor:
    """Runs tasks in processes that stay warm for the run; one that dies takes only its own task with it."""

    def __init__(self, listener: Listener, width: int) -> None:
        self.width = width
        self._listener = listener
        self._idle: deque[Worker] = deque()
        self._busy: set[Worker] = set()
        self._closing = False
        self._threads = ThreadPoolExecutor(width, thread_name_prefix="spatialrun-worker")

    def submit(self, spec: TaskSpec) -> Future[TaskResult]:
        """Give a task to an idle worker, else to a new one; if that dies, the result says so."""
        return self._threads.submit(self._run, spec)

    def close(self, *, now: bool) -> None:
        """End the workers."""
        self._closing = now
        if now:
            for worker in list(self._busy):
                worker.kill()
        self._threads.shutdown(cancel_futures=now)
        for worker in self._idle:
            worker.close()

    def _run(self, spec: TaskSpec) -> TaskResult:
        worker = self._idle.pop() if self._idle else Worker()
        self._busy.add(worker)
        if self._closing:  # it was made while the others were being ended
            worker.kill()
        try:
            result = worker.run(spec, self._listener)
        except WorkerDied as death:
            worker.close()
            return _died(spec, str(death))
        except BaseException:  # the listener's
            worker.kill()
            worker.close()
            raise
        finally:
            self._busy.discard(worker)
        self._idle.append(worker)
        return result


def _died(spec: TaskSpec, how: str) -> TaskResult:
    error = TaskError(
        "task.worker-died",
        f"the process that ran {spec.uses} {how}",
        where=Where(step=spec.step, sample=spec.sample),
        hint="if it ran out of memory, give the run more with --memory, or fewer workers with -j 1",
    )
    return TaskResult(error=error_to_json(error))
