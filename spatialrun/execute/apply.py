"""Applies a graph to a store: decides task by task as inputs become known, runs what is not cached.

A task is decided when the tasks that it needs are done, not before: one that ran again but came to the same
outputs leaves everything after it cached.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import sleep
from typing import Any

from spatialrun import words
from spatialrun.errors import SpatialrunError, StoreError, TaskError
from spatialrun.execute.assignment import spec_of, timeout_of
from spatialrun.execute.budget import PROCESS
from spatialrun.execute.devices import Devices
from spatialrun.execute.events import Event, Listener, ignore, one_at_a_time
from spatialrun.execute.executors import Executors
from spatialrun.execute.interrupt import Interrupts
from spatialrun.execute.manifest import Manifest
from spatialrun.execute.mending import Mending, maker_of
from spatialrun.execute.options import Options
from spatialrun.execute.queue import ASSUMED_MEMORY, Queue, Ready
from spatialrun.execute.reliance import Reliance
from spatialrun.execute.sharing import Sharing
from spatialrun.execute.spec import TaskResult, TaskSpec, error_from_json, error_to_json
from spatialrun.execute.tries import Tries
from spatialrun.plan.choice import Choice, everything
from spatialrun.plan.graph import Graph
from spatialrun.plan.plan import Shapes, make_plan
from spatialrun.plan.resolver import Decision, Resolver
from spatialrun.plan.task import Task, TaskId
from spatialrun.steps.contract import StreamingStep
from spatialrun.store.elements import ObjectRef
from spatialrun.store.intents import Intent
from spatialrun.store.runs import Run
from spatialrun.store.sources import parts_of
from spatialrun.store.store import Store

__all__ = ["Options", "Outcome", "apply"]


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

    def __repr__(self) -> str:
        counts = Counter(task.status for task in self.run.tasks.values())
        said = words.listed((number, status) for status, number in counts.items())
        return f"<outcome of run {self.run.id}: {said}{'' if self.changed else '; it was up to date'}>"

    def _repr_html_(self) -> str:
        return self.run._repr_html_()


def apply(
    graph: Graph,
    store: Store,
    options: Options | None = None,
    listener: Listener = ignore,
    choice: Choice | None = None,
) -> Outcome:
    """Bring a store up to date with a recipe, or with what is chosen of it.

    Failed tasks fail those that need them; all others go on, unless the options say otherwise. Of Ctrl-C the
    first lets tasks that run come to their end, those that run in blocks to the end of these, and begins no
    others; the second ends them. Both leave a store to go on with.

    Raises
    ------
    StoreError
        Where the store cannot be written.
    UsageError
        ``select.not-cached`` where a choice of steps alone lacks what they need; nothing is computed then.
    KeyboardInterrupt
        After what was done is saved.
    """
    choice = choice or everything(graph)
    if choice.only:
        make_plan(graph, store, choice, hash_sources=True)
    created = datetime.now(UTC)
    with Reliance(store, _name(created)) as reliance:
        return _Application(graph, store, choice, options or Options(), listener, reliance, created).run()


def _name(created: datetime) -> str:
    """Return a run's name: names sort by time, to the millisecond, and no two are the same."""
    return f"{created:%Y%m%d-%H%M%S}-{created.microsecond // 1000:03d}{uuid.uuid4().hex[:3]}"


@dataclass(frozen=True)
class _Running:
    """A task that was begun: as it was ready, with how many threads, and with how much memory."""

    ready: Ready
    threads: int
    memory: int


class _Application:
    """The state of one ``apply``."""

    def __init__(
        self,
        graph: Graph,
        store: Store,
        choice: Choice,
        options: Options,
        listener: Listener,
        reliance: Reliance,
        created: datetime,
    ) -> None:
        self.graph, self.store, self.choice, self.options = graph, store, choice, options
        self.listener = one_at_a_time(listener)
        self.reliance, self.created = reliance, created
        self.last = reliance.last
        self.resolver = Resolver(store, self.last, choice, hash_sources=True, run=reliance.run)
        self.shapes = Shapes(graph)
        self.devices = Devices(self.resolver.interpreters)
        self.downstream = graph.downstream()
        self.known: dict[TaskId, Mapping[str, ObjectRef]] = {}
        self.manifest = Manifest(graph, store, self.last, choice)
        self.errors: dict[TaskId, SpatialrunError] = {}
        self.tries = Tries(self.options)
        self.running: dict[Future[TaskResult], _Running] = {}
        self.executors = Executors(graph, store, options, self.listener)
        self.queue = Queue(self.executors.memory, self.executors.workers, process=PROCESS)
        self.mending = Mending(store)
        self.sharing = Sharing(store, reliance.run, self._tell_of_another)
        self.begun: set[TaskId] = set()
        self.ready = [task.id for task in graph.tasks.values() if not task.upstream]
        self.interrupts = Interrupts(self._stop)

    def run(self) -> Outcome:
        """Run to the end."""
        self._tell("run-started", tasks=len(self.choice.tasks), store=self.store.url)
        interrupted = True
        try:
            with self.interrupts:
                self._loop()
            interrupted = self.interrupts.asked and len(self.manifest) < len(self.graph.tasks)
        except Exception:
            interrupted = False
            raise
        finally:
            self.executors.close(now=interrupted)
            self.sharing.close()
            if interrupted:
                self._save_interrupted()
        if interrupted:
            raise KeyboardInterrupt
        return self._finish()

    def _loop(self) -> None:
        while True:
            while self.ready and not self.interrupts.asked:
                self._decide(self.graph.tasks[self.ready.pop(0)])
            for ready in self.sharing.due():
                self._await_turn(ready.task, ready.decision)
            self._start_what_fits()
            if self.ready and not self.interrupts.asked:
                continue  # what another run has made meanwhile
            if self.running:
                done, _ = wait(self.running, timeout=self.sharing.pause, return_when=FIRST_COMPLETED)
                for future in done:
                    ready = self.running.pop(future).ready
                    self.sharing.give_back(ready)
                    self._settle(ready, future.result())
            elif self.sharing and not self.halted:
                sleep(self.sharing.pause or 0.0)
            else:
                return

    @property
    def halted(self) -> bool:
        """Whether no more tasks are to be begun."""
        return self.interrupts.asked or (bool(self.errors) and not self.options.keep_going)

    def _decide(self, task: Task) -> None:
        """Take the results of a task that are there already; else let it wait for its turn."""
        self.begun.add(task.id)
        decision = self._decision(task)
        if decision is None:
            return
        if decision.status == "cached":
            self._take_cached(task, decision)
        elif task.id not in self.choice.tasks:
            self._leave(task.id)
        else:
            self._await_turn(task, decision)

    def _decision(self, task: Task) -> Decision | None:
        """Decide on a task, relying on its results where they are there; ``None`` where that fails it."""
        try:
            decision = self.resolver.decide(task, self.known)
        except StoreError:
            raise  # no task could keep its results
        except SpatialrunError as error:
            self._fail(task, None, error.at(step=task.id.step, sample=task.id.sample), {})
            return None
        except OSError as problem:
            unreadable = TaskError(
                "task.failed", f"an input cannot be read: {problem}", hint="check the file"
            )
            self._fail(task, None, unreadable.at(step=task.id.step, sample=task.id.sample), {})
            return None
        if decision.status == "cached" and not self.reliance.on(decision.outputs.values()):
            return self.resolver.decide_anew(task, self.known)
        return decision

    def _take_cached(self, task: Task, decision: Decision) -> None:
        self.manifest.cached(task, decision)
        self._know(task, decision.outputs)
        if task.id in self.choice.tasks:
            self._tell("task-cached", task.id)

    def _await_turn(self, task: Task, decision: Decision) -> None:
        memory = self.shapes.memory(task)
        needed = ASSUMED_MEMORY if memory is None else memory
        devices = () if self.options.scheduler else self.devices.of(task, decision)
        isolated = timeout_of(task, self.options) is not None
        self.queue.add(Ready(task, decision, needed, isolated=isolated, devices=devices))

    def _start_what_fits(self) -> None:
        """Begin all that may begin now; one that runs in this process is over when this returns."""
        while not self.halted:
            running = [replace(each.ready, memory=each.memory) for each in self.running.values()]
            width, idle = self.executors.width, self.executors.idle
            found = self.queue.take(running, width=width, idle=idle)
            if found is None:
                return
            ready, place = found
            spare = self.queue.spare(running, idle=idle, place=place) - ready.memory
            if spare < 0 and not running:
                self.executors.release()
            executor = self.executors.at(place)
            if not self.sharing.take(ready) or self._made_meanwhile(ready):
                continue
            if self.interrupts.asked:  # meanwhile: to make an executor may take long
                self.sharing.give_back(ready)
                self.queue.add(ready)
                return
            free = self.options.jobs - sum(each.threads for each in self.running.values())
            together = self.queue.together(running, width=width)
            threads = max(1, free // together)
            memory = ready.memory + min(self._of_use(ready, threads), max(0, spare) // together)
            self._tell("task-started", ready.task.id, uses=ready.task.entry.uses, memory=ready.memory)
            self._remark(ready)
            future = executor.submit(self._spec(ready, threads, memory))
            self.running[future] = _Running(ready, threads, memory)
            if future.done():
                return

    def _remark(self, ready: Ready) -> None:
        """Say that a task has no GPU, if that has not been said."""
        device = ready.devices[0] if ready.devices else ""
        if remark := self.devices.remark(ready.task, device):
            self.tries.say(ready.task, f"warning: {remark}")
            self._tell("task-warning", ready.task.id, line=remark)

    def _made_meanwhile(self, ready: Ready) -> bool:
        """Take the results of a task that another run has made since it was decided on, if there are any."""
        task = ready.task
        if self.store.actions.read(str(ready.decision.key)) is None:
            return False
        decision = self._decision(task)
        if decision is not None and decision.status != "cached":
            return False  # an export that was altered; results that are about to be deleted
        self.sharing.give_back(ready)
        if decision is not None:
            self._take_cached(task, decision)
        return True

    def _of_use(self, ready: Ready, threads: int) -> int:
        """Return the bytes that a task can use beyond what it needs: those of more blocks at a time."""
        step, shape = ready.task.step, self.shapes.of_task(ready.task)
        if shape is None or not isinstance(step, StreamingStep):
            return 0
        return threads * step.block_memory(shape, ready.task.entry.params)

    def _spec(self, ready: Ready, threads: int, memory: int) -> TaskSpec:
        return spec_of(
            ready,
            self.known,
            self.shapes.of_task(ready.task),
            store=self.store.url,
            run=self.reliance.run,
            threads=threads,
            memory=memory,
            options=self.options,
        )

    def _settle(self, ready: Ready, result: TaskResult) -> None:
        task, decision = ready.task, ready.decision
        if result.stopped:
            return
        if result.error is not None:
            error = error_from_json(result.error)
            if error.code == "task.device-lost":
                self.devices.forget()
            if not self._mend(task, error) and not self._try_again(ready, error, result.facts):
                self._fail(task, decision, error, self.tries.log(task, result.facts))
            return
        refs = {port: ObjectRef.from_json(ref) for port, ref in result.outputs.items()}
        if not self.reliance.on(refs.values()):  # another's results, which are being deleted
            self.queue.add(ready)
            return
        outputs = {write.slot: refs[write.port] for write in task.writes if write.port in refs}
        if task.destination is not None:  # hashed by the process that wrote it
            self.store.sources.recall(parts_of(task.destination))
        facts = self.tries.log(task, result.facts)
        self.manifest.done(task, decision, outputs, facts)
        self._know(task, outputs)
        self._tell("task-done", task.id, **{name: facts.get(name) for name in ("wall_s", "peak_rss")})

    def _mend(self, task: Task, error: SpatialrunError) -> bool:
        """Where a task met a damaged object, have that computed anew, and then the task again."""
        attempt = self.mending.drop(task.id, error)
        if attempt is None:
            return False
        self._tell("task-warning", task.id, line=f"{error.what}: it is dropped, and computed anew")
        maker = maker_of(attempt, self.known)
        if maker is None:  # it was made in a stage of the task's own, or has been made anew by now
            self.ready.append(task.id)
        elif self.mending.wait(task.id, maker):
            again = self.graph.tasks[maker]
            self._await_turn(again, self.resolver.decide_anew(again, self.known))
        return True

    def _try_again(self, ready: Ready, error: SpatialrunError, facts: Mapping[str, Any]) -> bool:
        """Put a task that failed back into the queue, if it has a try left and another may end otherwise."""
        task = ready.task
        if self.halted or not self.tries.again(task, error, facts.get("log", ())):
            return False
        counted = {"number": self.tries.failed(task) + 1, "of": self.tries.allowed(task)}
        self._tell("task-retried", task.id, error=error_to_json(error), **counted)
        self._await_turn(task, ready.decision)
        return True

    def _know(self, task: Task, outputs: Mapping[str, ObjectRef]) -> None:
        """Take the outputs of a task that is done or cached; what waited for them may be decided."""
        self.known[task.id] = outputs
        self.shapes.learn(task.id.sample, outputs)
        self.ready += self.mending.made(task.id)
        for follower in self.downstream[task.id]:
            upstream = self.graph.tasks[follower].upstream
            if follower not in self.begun and all(up in self.known for up in upstream):
                self.ready.append(follower)

    def _fail(
        self, task: Task, decision: Decision | None, error: SpatialrunError, facts: Mapping[str, Any]
    ) -> None:
        if (
            task.id not in self.choice.tasks
        ):  # its files cannot be read: nothing that was chosen waits for that
            self._leave(task.id)
            return
        self.errors[task.id] = error
        self.manifest.failed(task, decision, error, facts)
        self._tell("task-failed", task.id, error=error_to_json(error))
        for follower in self.downstream[task.id]:
            self._skip(follower, str(task.id))

    def _skip(self, id: TaskId, because: str) -> None:
        """Leave out a task, and those that need it."""
        if id not in self.manifest:
            self.manifest.skipped(self.graph.tasks[id], because)
            if id in self.choice.tasks:
                self._tell("task-skipped", id, because=because)
            for follower in self.downstream[id]:
                self._skip(follower, str(id))

    def _leave(self, id: TaskId) -> None:
        """Leave out a task that is neither chosen nor cached, and those that need it."""
        if id not in self.manifest:
            self.manifest.unselected(self.graph.tasks[id])
            for follower in self.downstream[id]:
                if self.choice.only and follower in self.choice.tasks:
                    error = self.choice.not_cached([id]).at(step=follower.step, sample=follower.sample)
                    self._fail(self.graph.tasks[follower], None, error, {})
                else:
                    self._leave(follower)

    def _stop(self) -> None:
        """Let what runs come to its end."""
        self.executors.stop()
        self._tell("run-stopping", running=len(self.running))

    def _finish(self) -> Outcome:
        status = "failed" if self.errors else "done"
        for ready in (*self.queue, *self.sharing):  # the first failure kept it from being begun
            self._skip(ready.task.id, str(next(iter(self.errors))))
        same = self.last is not None and status == self.last.status == "done" and self.manifest.unchanged
        if same and self.last is not None:
            outcome = Outcome(self.last, changed=False)
        else:
            outcome = Outcome(self._save(status), changed=True, errors=self._errors())
        self._tell_end(outcome.run, changed=outcome.changed)
        return outcome

    def _errors(self) -> tuple[SpatialrunError, ...]:
        """Return what failed, in the recipe's order."""
        return tuple(self.errors[id] for id in self.graph.tasks if id in self.errors)

    def _save_interrupted(self) -> None:
        """Save what there is, unless that is no more than the last run has."""
        if self.last is None or self.manifest.counts["done"]:
            self.manifest.skip_the_rest("interrupted")
            self._tell_end(self._save("interrupted"), changed=True)

    def _save(self, status: str) -> Run:
        return self.manifest.save(self.reliance.run, self.created, status)

    def _tell_end(self, run: Run, *, changed: bool) -> None:
        counts = self.manifest.counts
        self._tell("run-finished", run=run.id, status=run.status, changed=changed, counts=counts)

    def _tell_of_another(self, ready: Ready, other: Intent | None) -> None:
        who = {"run": other.run, "host": other.host, "pid": other.pid} if other else {"run": None}
        self._tell("task-waiting", ready.task.id, **who)

    def _tell(self, kind: Any, id: TaskId | None = None, **data: Any) -> None:
        # A copy: the interrupt, which has a thread of its own, tells too.
        running = [str(each.ready.task.id) for each in self.running.copy().values()]
        self.reliance.tell(total=len(self.graph.tasks), ended=len(self.manifest), running=running)
        step, sample = id or ("", "")
        self.listener(Event(kind, step, sample, data))
