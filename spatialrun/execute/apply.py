"""Applies a graph to a store: decides task by task as inputs become known, runs what is not cached.

A task is decided when the tasks that it needs are done, not before: one that ran again but came to the same
outputs leaves everything after it cached.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from spatialrun.errors import SpatialrunError, StoreError, TaskError, Where
from spatialrun.execute.events import Event, Listener, ignore, one_at_a_time
from spatialrun.execute.local import Executor, InlineExecutor, PoolExecutor
from spatialrun.execute.memory import default_budget
from spatialrun.execute.reliance import Reliance
from spatialrun.execute.spec import TaskResult, TaskSpec, error_from_json, error_to_json
from spatialrun.plan.graph import Graph
from spatialrun.plan.plan import Shapes
from spatialrun.plan.resolver import Decision, Resolver
from spatialrun.plan.task import Task, TaskId
from spatialrun.slots import group_of
from spatialrun.store.attempts import attempt_of
from spatialrun.store.elements import ObjectRef
from spatialrun.store.runs import Run, TaskEntry
from spatialrun.store.store import Store
from spatialrun.store.view import write_view
from spatialrun.version import __version__


@dataclass(frozen=True)
class Options:
    """How to run; nothing here can change a result.

    Attributes
    ----------
    jobs
        Cores to use; all by default.
    memory
        Bytes that the run may use; 70% of what is free by default.
    scheduler
        Address of a dask cluster's scheduler, to compute there; ``DASK_SCHEDULER_ADDRESS`` by default.
    """

    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    memory: int = field(default_factory=default_budget)
    scheduler: str | None = field(default_factory=lambda: os.environ.get("DASK_SCHEDULER_ADDRESS") or None)


@dataclass(frozen=True)
class Outcome:
    """How an ``apply`` ended.

    Attributes
    ----------
    run
        The run; the one before where nothing had to be done.
    changed
        Whether anything was computed or the recipe changed, so that this is a new run.
    errors
        Of the tasks that failed.
    """

    run: Run
    changed: bool
    errors: tuple[SpatialrunError, ...] = ()


def apply(graph: Graph, store: Store, options: Options | None = None, listener: Listener = ignore) -> Outcome:
    """Bring a store up to date with a recipe.

    Failed tasks fail those that need them; all others go on.

    Raises
    ------
    StoreError
        Where the store cannot be written.
    KeyboardInterrupt
        Passed on after what was done is saved.
    """
    created = datetime.now(UTC)
    with Reliance(store, f"{created:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:4]}") as reliance:
        return _Application(graph, store, options or Options(), listener, reliance, created).run()


@contextmanager
def store_faults(url: str) -> Iterator[None]:
    """Turn what the system says against reading or writing a store into a coded error."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            "store.permission",
            f"the store cannot be read or written: {error.strerror or error}",
            where=Where(file=str(error.filename or url)),
            hint="check free space, and the folder's owner and mode, or name another `store:` in the recipe",
        ) from error


class _Application:
    """The state of one ``apply``."""

    def __init__(
        self,
        graph: Graph,
        store: Store,
        options: Options,
        listener: Listener,
        reliance: Reliance,
        created: datetime,
    ) -> None:
        self.graph, self.store, self.options = graph, store, options
        self.listener = one_at_a_time(listener)
        self.reliance, self.created = reliance, created
        self.last = reliance.last
        self.resolver = Resolver(store, self.last, hash_sources=True)
        self.shapes = Shapes(graph)
        self.downstream = graph.downstream()
        self.known: dict[TaskId, Mapping[str, ObjectRef]] = {}
        self.entries: dict[TaskId, TaskEntry] = {}
        self.errors: list[SpatialrunError] = []
        self.running: dict[Future[TaskResult], tuple[Task, Decision, int]] = {}
        self.queue: list[tuple[Task, Decision]] = []
        self.begun: set[TaskId] = set()
        self.mended: Counter[TaskId] = Counter()
        self.waiting: dict[TaskId, list[TaskId]] = {}
        self.executor: Executor | None = None
        self.ready = [task.id for task in graph.tasks.values() if not task.upstream]

    def run(self) -> Outcome:
        """Run to the end."""
        self._tell("run-started", tasks=len(self.graph.tasks), store=self.store.url)
        interrupted = False
        try:
            self._loop()
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            if self.executor is not None:
                self.executor.close(now=interrupted)
            if interrupted:
                self._save_interrupted()
        outcome = self._finish()
        counts = {status: sum(e.status == status for e in self.entries.values()) for status in _STATUSES}
        run = outcome.run
        self._tell("run-finished", run=run.id, status=run.status, changed=outcome.changed, counts=counts)
        return outcome

    def _loop(self) -> None:
        while self.ready or self.queue or self.running:
            while self.ready:
                self._decide(self.graph.tasks[self.ready.pop(0)])
            while self.queue and self._admits(self.queue[0][0]):
                self._start(*self.queue.pop(0))
            if self.running:
                done, _ = wait(self.running, return_when=FIRST_COMPLETED)
                for future in done:
                    task, decision, _ = self.running.pop(future)
                    self._settle(task, decision, future.result())

    def _decide(self, task: Task) -> None:
        self.begun.add(task.id)
        try:
            decision = self.resolver.decide(task, self.known)
        except StoreError:
            raise  # no task could keep its results
        except SpatialrunError as error:
            self._fail(task, None, error.at(step=task.id.step, sample=task.id.sample), {})
            return
        except OSError as problem:
            unreadable = TaskError(
                "task.failed", f"an input cannot be read: {problem}", hint="check the file"
            )
            self._fail(task, None, unreadable.at(step=task.id.step, sample=task.id.sample), {})
            return
        if decision.status == "cached" and not self.reliance.on(decision.outputs.values()):
            decision = self.resolver.decide_anew(task, self.known)
        if decision.status == "cached":
            self._record(task, decision, "cached", decision.outputs, self._last_facts(task, decision))
            self._tell("task-cached", task.id)
        else:
            self.queue.append((task, decision))

    def _admits(self, task: Task) -> bool:
        """Whether a task may begin: a worker is free, and memory is (or nothing else runs)."""
        if not self.running:
            return True
        executor = self._executor()
        needed = self.shapes.memory(task) or 0
        in_use = sum(memory for _, _, memory in self.running.values())
        # The workers of a cluster look after their own memory.
        fits = self.options.scheduler is not None or in_use + needed <= self.options.memory
        return len(self.running) < executor.width and fits

    def _start(self, task: Task, decision: Decision) -> None:
        executor = self._executor()
        memory = self.shapes.memory(task) or 0
        self._tell("task-started", task.id, uses=task.entry.uses, memory=memory)
        future = executor.submit(self._spec(task, decision, executor))
        self.running[future] = (task, decision, memory)

    def _executor(self) -> Executor:
        """Make the executor when the first task needs one: processes only where samples can run side by side."""
        if self.executor is None:
            self._check_writable()
            self.executor = self._cluster() if self.options.scheduler else self._local()
        return self.executor

    def _local(self) -> Executor:
        width = min(self.options.jobs, len(self.graph.recipe.samples))
        inline = width == 1 or self.store.backend.private
        return InlineExecutor(self.listener) if inline else PoolExecutor(self.listener, width)

    def _cluster(self) -> Executor:
        from spatialrun.execute.cluster import ClusterExecutor

        assert self.options.scheduler is not None
        uses = sorted({task.entry.uses for task in self.graph.tasks.values()})
        return ClusterExecutor(self.options.scheduler, self.store, uses, self.listener)

    def _check_writable(self) -> None:
        """Find out before the first task runs, not after it, whether its results can be kept."""
        conditional = "conditional-writes" not in self.graph.recipe.unsafe
        with store_faults(self.store.url):
            self.store.backend.check_commit(conditional=conditional)

    def _spec(self, task: Task, decision: Decision, executor: Executor) -> TaskSpec:
        shape = self.shapes.of_task(task)
        inputs = {
            i.port: self.known[i.producer][i.output].to_json()
            for i in task.inputs
            if i.output in self.known[i.producer]
        }
        assert decision.key is not None
        return TaskSpec(
            store=self.store.url,
            step=task.id.step,
            sample=task.id.sample,
            uses=task.entry.uses,
            params=task.entry.params.model_dump(mode="json"),
            identity=decision.identity,
            key=decision.key,
            stage_keys=decision.stage_keys,
            inputs=inputs,
            writes=tuple(write.port for write in task.writes),
            members=task.members,
            source=str(task.site.path) if task.site.path else None,
            externals={role: str(path) for role, path in task.externals.items()},
            destination=str(task.destination) if task.destination else None,
            shape=(shape.n_obs, shape.n_vars, shape.nnz) if shape else None,
            threads=max(1, self.options.jobs // executor.width),
            memory=self.options.memory // executor.width,
            run=self.reliance.run,
        )

    def _settle(self, task: Task, decision: Decision, result: TaskResult) -> None:
        if result.error is not None:
            error = error_from_json(result.error)
            if not self._mend(task, error):
                self._fail(task, decision, error, result.facts)
            return
        refs = {port: ObjectRef.from_json(ref) for port, ref in result.outputs.items()}
        if not self.reliance.on(refs.values()):  # another's results, which are being deleted
            self.queue.append((task, decision))
            return
        outputs = {write.slot: refs[write.port] for write in task.writes if write.port in refs}
        if task.destination is not None:  # hashed by the process that wrote it
            self.store.sources.recall({"file": task.destination})
        self._record(task, decision, "done", outputs, result.facts)
        facts = {name: result.facts.get(name) for name in ("wall_s", "peak_rss")}
        self._tell("task-done", task.id, **facts)

    def _mend(self, task: Task, error: SpatialrunError) -> bool:
        """Where a task met a damaged object, drop that, have it computed anew, and then the task again."""
        path = (error.where.file or "").removeprefix(f"{self.store.url}/")
        if error.code != "store.corrupt" or not path.startswith("data/"):
            return False
        self.mended[task.id] += 1
        if self.mended[task.id] > MOST_MENDED:
            return False  # it is not the object: the disk, or the step
        self._tell("task-warning", task.id, line=f"{error.what}: it is dropped, and computed anew")
        self.store.drop(path)
        attempt = attempt_of(path)
        maker = next((id for id, outputs in self.known.items() if _holds(outputs, attempt)), None)
        if maker is None:  # it was made in a stage of the task's own, or has been made anew by now
            self.ready.append(task.id)
        else:
            if maker not in self.waiting:
                maker_task = self.graph.tasks[maker]
                self.queue.append((maker_task, self.resolver.decide_anew(maker_task, self.known)))
            self.waiting.setdefault(maker, []).append(task.id)
        return True

    def _record(
        self,
        task: Task,
        decision: Decision,
        status: str,
        outputs: Mapping[str, ObjectRef],
        facts: Mapping[str, Any],
    ) -> None:
        id = task.id
        self.known[id] = outputs
        self.shapes.learn(id.sample, outputs)
        self.entries[id] = TaskEntry(
            id.step, id.sample, task.entry.uses, status, decision.key, decision.identity, outputs, facts
        )
        self.ready += self.waiting.pop(id, ())
        for follower in self.downstream[id]:
            upstream = self.graph.tasks[follower].upstream
            if follower not in self.begun and all(up in self.known for up in upstream):
                self.ready.append(follower)

    def _fail(
        self, task: Task, decision: Decision | None, error: SpatialrunError, facts: Mapping[str, Any]
    ) -> None:
        self.errors.append(error)
        entry = TaskEntry(
            task.id.step,
            task.id.sample,
            task.entry.uses,
            "failed",
            decision.key if decision else None,
            decision.identity if decision else self._last_identity(task.id),
            facts={**facts, "error": error_to_json(error)},
        )
        self.entries[task.id] = entry
        self._tell("task-failed", task.id, error=error_to_json(error))
        self._skip_followers(task.id)

    def _skip_followers(self, failed: TaskId) -> None:
        for id in self.downstream[failed]:
            if id not in self.entries:
                self._skip(id, str(failed))
                self._tell("task-skipped", id, because=str(failed))
                self._skip_followers(id)

    def _skip(self, id: TaskId, because: str) -> None:
        """Note that a task was not come to; what it was last made from stays known, for the next plan."""
        uses, identity = self.graph.tasks[id].entry.uses, self._last_identity(id)
        self.entries[id] = TaskEntry(
            id.step, id.sample, uses, "skipped", identity=identity, facts={"because": because}
        )

    def _last_identity(self, id: TaskId) -> Mapping[str, Any]:
        before = self.last.tasks.get(id) if self.last else None
        return before.identity if before else {}

    def _last_facts(self, task: Task, decision: Decision) -> Mapping[str, Any]:
        """Keep what is known of a cached result's making: its time, its log."""
        before = self.last.tasks.get(task.id) if self.last else None
        if before is not None and before.key == decision.key and before.outputs:
            return before.facts
        record = self.store.actions.get(decision.key) if decision.key else None
        return (
            {k: v for k, v in record.provenance.items() if k not in ("versions", "stages")} if record else {}
        )

    def _finish(self) -> Outcome:
        status = "failed" if self.errors else "done"
        if self.last is not None and status == self.last.status == "done" and self._unchanged(self.last):
            return Outcome(self.last, changed=False)
        return Outcome(self._save(status), changed=True, errors=tuple(self.errors))

    def _unchanged(self, last: Run) -> bool:
        """Whether this run is the last one again: nothing computed, the same results of the same samples."""
        if any(entry.status == "done" for entry in self.entries.values()):
            return False
        now = {(e.step, e.sample, e.key): e.outputs for e in self.entries.values()}
        then = {(e.step, e.sample, e.key): e.outputs for e in last.tasks.values()}
        return now == then and self._samples() == {k: dict(v) for k, v in last.samples.items()}

    def _samples(self) -> dict[str, dict[str, Any]]:
        return {name: dict(sample.metadata) for name, sample in self.graph.recipe.samples.items()}

    def _save_interrupted(self) -> None:
        """Save what there is, unless that is no more than the last run has."""
        if self.last is not None and not any(entry.status == "done" for entry in self.entries.values()):
            return
        for id in self.graph.tasks:
            if id not in self.entries:
                self._skip(id, "interrupted")
        self._save("interrupted")

    def _save(self, status: str) -> Run:
        run = Run(
            id=self.reliance.run,
            created=self.created.isoformat(timespec="seconds"),
            status=status,
            samples=self._samples(),
            tasks={(id.step, id.sample): self.entries[id] for id in self.graph.tasks if id in self.entries},
            versions={"spatialrun": __version__},
            sources=self.store.sources.used,
        )
        with store_faults(self.store.url):
            if not self.store.backend.remote:
                write_view(self.store, run)
            for entry in run.tasks.values():
                for sample, slot, ref in entry.places():
                    if group_of(slot) == "figures":
                        name = slot.replace("/", f"/{sample}/", 1) + ref.meta["suffix"]
                        self.store.backend.link(ref.path, f"runs/{run.id}/{name}")
            self.store.runs.save(run, self.graph.recipe.text)
        return run

    def _tell(self, kind: Any, id: TaskId | None = None, **data: Any) -> None:
        running = [str(task.id) for task, _, _ in self.running.values()]
        self.reliance.tell(total=len(self.graph.tasks), ended=len(self.entries), running=running)
        step, sample = id or ("", "")
        self.listener(Event(kind, step, sample, data))


MOST_MENDED = 3
"""How often a task is tried again because an object that it reads is damaged."""


def _holds(outputs: Mapping[str, ObjectRef], attempt: str) -> bool:
    return any(ref.path and attempt_of(ref.path) == attempt for ref in outputs.values())


_STATUSES = ("done", "cached", "failed", "skipped")
