"""The executors of one run: this process, its workers or a cluster's, processes for single tasks.

Each is made when it is first needed.
"""

from __future__ import annotations

from typing import Literal

from spatialrun.execute.budget import PROCESS
from spatialrun.execute.events import Listener
from spatialrun.execute.faults import store_faults
from spatialrun.execute.isolated import IsolatedExecutor
from spatialrun.execute.local import Executor, InlineExecutor, PoolExecutor
from spatialrun.execute.options import Options
from spatialrun.execute.queue import Place
from spatialrun.plan.graph import Graph
from spatialrun.store.store import Store


class Executors:
    """Where tasks can be run."""

    def __init__(self, graph: Graph, store: Store, options: Options, listener: Listener) -> None:
        self._graph, self._store, self._options, self._listener = graph, store, options, listener
        self._here: InlineExecutor | None = None
        self._workers: Executor | None = None
        self._isolated: Executor | None = None
        self._writable = False
        self._stopping = False

    @property
    def workers(self) -> Literal["never", "always", "where they pay"]:
        """Whether there are workers to choose, as :class:`~spatialrun.execute.queue.Queue` asks."""
        if self._options.scheduler:
            return "always"
        return "never" if self._store.backend.private else "where they pay"

    @property
    def width(self) -> int:
        """How many tasks may run at a time; as many as a cluster takes is known when the first is there."""
        if self.workers == "always":
            return 1 if self._workers is None else self._workers.width
        return 1 if self.workers == "never" else self._options.jobs

    @property
    def memory(self) -> int | None:
        """Bytes that tasks may use beside this process; the workers of a cluster look after their own."""
        return None if self._options.scheduler else self._options.memory - PROCESS

    @property
    def idle(self) -> int:
        """How many tasks workers could begin at once."""
        return 0 if self._workers is None else self._workers.idle

    def at(self, place: Place) -> Executor:
        """Return the executor of a place.

        Raises
        ------
        StoreError
            Where results cannot be kept: found out before the first task runs, not after it.
        """
        if not self._writable:
            self._check_writable()
            self._writable = True
        executor = self._at(place)
        if self._stopping:  # asked while there was none, or while it was made
            executor.stop()
        return executor

    def release(self) -> None:
        """End workers that wait for a task: a task needs their memory."""
        if isinstance(self._workers, PoolExecutor):
            self._workers.release()

    def stop(self) -> None:
        """Ask tasks that run in blocks, now or later, to begin no more of them."""
        self._stopping = True
        for executor in (self._here, self._workers, self._isolated):
            if executor is not None:
                executor.stop()

    def close(self, *, now: bool) -> None:
        """Let running tasks end (or not, with ``now``) and free everything."""
        for executor in (self._isolated, self._workers):
            if executor is not None:
                executor.close(now=now)

    def _at(self, place: Place) -> Executor:
        if place == "here":
            self._here = self._here or InlineExecutor(self._listener)
            return self._here
        if place == "alone":
            self._isolated = self._isolated or IsolatedExecutor(self._listener, self._options.jobs)
            return self._isolated
        if self._workers is None:
            self._workers = self._cluster() if self._options.scheduler else self._pool()
        return self._workers

    def _pool(self) -> Executor:
        return PoolExecutor(self._listener, self._options.jobs, self._options.jobs)

    def _cluster(self) -> Executor:
        from spatialrun.execute.cluster import ClusterExecutor

        assert self._options.scheduler is not None
        uses = sorted({task.entry.uses for task in self._graph.tasks.values()})
        return ClusterExecutor(self._options.scheduler, self._store, uses, self._listener)

    def _check_writable(self) -> None:
        conditional = "conditional-writes" not in self._graph.recipe.unsafe
        with store_faults(self._store.url):
            self._store.backend.check_commit(conditional=conditional)
