"""Local executors: tasks one after another in this process, or side by side in warm processes of their own."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from spatialrun.errors import TaskError, UsageError, Where
from spatialrun.execute.events import Listener
from spatialrun.execute.heard import Heard
from spatialrun.execute.spec import TaskResult, TaskSpec, error_to_json
from spatialrun.execute.watch import Watch
from spatialrun.execute.worker import Worker, WorkerDied, run


class Executor(Protocol):
    """Takes task specs, gives results; at most ``width`` at a time."""

    @property
    def width(self) -> int:
        """How many tasks may run at a time."""

    def submit(self, spec: TaskSpec) -> Future[TaskResult]:
        """Begin a task."""

    @property
    def idle(self) -> int:
        """How many tasks it could begin at once, without starting a process for them."""

    def stop(self) -> None:
        """Ask tasks that run in blocks to begin no more of them."""

    def close(self, *, now: bool) -> None:
        """Let running tasks end (or not, with ``now``) and free everything."""


class InlineExecutor:
    """Runs each task at once, in this process; its threads are the task's."""

    width = 1
    idle = 1

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._stopping = threading.Event()

    def submit(self, spec: TaskSpec) -> Future[TaskResult]:
        """Run a task and return its result as a future that is done."""
        future: Future[TaskResult] = Future()
        if spec.python is not None:
            future.set_result(TaskResult(error=error_to_json(_unseen(spec))))
            return future
        future.set_result(run(spec, self._listener, stopping=self._stopping.is_set))
        return future

    def stop(self) -> None:
        """Ask the task to begin no more blocks."""
        self._stopping.set()

    def close(self, *, now: bool) -> None:
        """Nothing to free."""
        del now


class PoolExecutor:
    """Runs tasks in processes that stay warm for the run; one that dies takes only its own task with it.

    Parameters
    ----------
    listener
        Told what the tasks tell.
    width
        How many processes there may be.
    threads
        The most that a task may use.
    """

    def __init__(self, listener: Listener, width: int, threads: int) -> None:
        self.width = width
        self._threads_each = threads
        self._listener = listener
        self._idle: deque[Worker] = deque()
        self._busy: set[Worker] = set()
        self._stopping = self._closing = False
        self._threads = ThreadPoolExecutor(width, thread_name_prefix="spatialrun-worker")

    @property
    def idle(self) -> int:
        """How many processes wait for a task."""
        return len(self._idle)

    def submit(self, spec: TaskSpec) -> Future[TaskResult]:
        """Give a task to an idle worker, else to a new one; if that dies, the result says so."""
        return self._threads.submit(self._run, spec)

    def release(self) -> None:
        """End the processes that wait for a task."""
        while self._idle:
            self._idle.pop().close()

    def stop(self) -> None:
        """Ask the workers to begin no more blocks."""
        self._stopping = True
        for worker in list(self._busy):
            worker.stop()

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
        worker = self._idle.pop() if self._idle else Worker(self._threads_each)
        self._busy.add(worker)
        if self._closing:  # it was made while the others were being ended
            worker.kill()
        elif self._stopping:
            worker.stop()
        heard = Heard(spec, self._listener)
        watch = Watch(spec, worker)
        try:
            with watch:
                result = worker.run(spec, heard, watch.begin)
        except WorkerDied as death:
            worker.close()
            return heard.failed(watch.verdict or died(spec, str(death)))
        except BaseException:  # the listener's
            worker.kill()
            worker.close()
            raise
        finally:
            self._busy.discard(worker)
        if watch.verdict is not None:  # it answered at the last moment, and was ended all the same
            worker.close()
        else:
            self._idle.append(worker)
        return result


def _unseen(spec: TaskSpec) -> UsageError:
    return UsageError(
        "interpreter.store",
        f"{spec.python} cannot run {spec.uses}: a store in memory is seen by this process alone",
        where=Where(step=spec.step, sample=spec.sample),
        hint="name a folder or an object store as `store:`",
    )


def died(spec: TaskSpec, how: str) -> TaskError:
    """Return the error about a worker that ended without an answer."""
    return TaskError(
        "task.worker-died",
        f"the process that ran {spec.uses} {how}",
        where=Where(step=spec.step, sample=spec.sample),
        hint="if it ran out of memory, give the run more with --memory, or fewer workers with -j 1",
    )
