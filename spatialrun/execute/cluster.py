"""The cluster executor: tasks, and the gene blocks of streaming tasks, on the workers of a dask cluster.

A plain task is one job of the cluster. One with a timeout, or that may use a GPU, runs in a process that its
worker starts and can end; where a GPU was planned, the worker is one with the resource ``GPU``, if there is such.
A streaming task is prepared by one job, its blocks are a job each, and a last job joins and commits them. Only
specs and small answers travel; results go by way of the store. A worker that is lost therefore costs the parts
that it was computing, no more: the cluster gives them to another.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialrun.errors import StoreError, TaskError, UsageError, Where
from spatialrun.execute import cluster_worker as worker
from spatialrun.execute import versions
from spatialrun.execute.events import Event, Listener
from spatialrun.execute.spec import TaskResult, TaskSpec, error_from_json, error_to_json
from spatialrun.execute.watch import too_late
from spatialrun.interpreters import CPU
from spatialrun.steps import catalogue
from spatialrun.store.store import Store

if TYPE_CHECKING:
    from distributed import Client
    from distributed import Future as Job

LEAST_WIDTH = 8
"""Tasks that are given to however small a cluster: one that adapts to its work grows only when work waits."""
MOST_WIDTH = 1000
CONNECT_TIMEOUT = 30
ANSWER = 10
"""Seconds that the kilobyte which a part answers may take from its worker."""
LOOK_EVERY = 10
"""Seconds between two looks at whether the cluster, which may shrink and grow, has workers at all."""
GPU = "GPU"
"""The resource of workers that have one: ``dask worker --resources GPU=1``."""


class ClusterExecutor:
    """Runs tasks on a dask cluster; see :class:`spatialrun.execute.local.Executor`.

    Parameters
    ----------
    address
        The scheduler's (``tcp://host:8786``), or the path of its scheduler file (``scheduler.json``).
    store
        The run's store; all workers must see it.
    uses
        The step types that may be asked for.
    listener
        Told what the tasks tell.

    Raises
    ------
    UsageError
        ``cluster.no-client``, ``cluster.unreachable``, ``cluster.versions``.
    StoreError
        ``cluster.store``.
    """

    def __init__(self, address: str, store: Store, uses: Sequence[str], listener: Listener) -> None:
        self._address = address
        self._listener = listener
        self._jobs: set[Job] = set()
        self._turn = threading.Lock()
        self._width = LEAST_WIDTH
        self._client = _connect(address)
        try:
            self._greet(store, uses)
        except BaseException:
            self._client.close()
            raise
        self._threads = ThreadPoolExecutor(MOST_WIDTH, thread_name_prefix="spatialrun-cluster")
        self._closed = threading.Event()
        threading.Thread(target=self._tell_of_waiting, name="spatialrun-lookout", daemon=True).start()

    @property
    def width(self) -> int:
        """How many tasks may be given to the cluster as it is now, or was when it last answered."""
        with suppress(
            OSError, TimeoutError
        ):  # a cluster that is gone fails the tasks that it had, not the run
            threads: int = sum(self._client.nthreads().values())
            self._width = min(max(threads, LEAST_WIDTH), MOST_WIDTH)
        return self._width

    @property
    def idle(self) -> int:
        """How many tasks it takes at once: its workers are there already."""
        return self.width

    def submit(self, spec: TaskSpec) -> Future[TaskResult]:
        """Begin a task."""
        # A job is one thread's work: the cluster's workers know how many they have.
        return self._threads.submit(self._run, replace(spec, threads=1))

    def stop(self) -> None:
        """Nothing to ask: what the cluster computes it computes to its end."""

    def close(self, *, now: bool) -> None:
        """Let go of the cluster; with ``now``, parts that have begun end by themselves and are kept."""
        self._closed.set()
        if now:
            with self._turn, suppress(Exception):  # the cluster may be what went away
                self._client.cancel(list(self._jobs), force=True)
        self._threads.shutdown(cancel_futures=now)
        with suppress(Exception):
            self._client.close()

    def _greet(self, store: Store, uses: Sequence[str]) -> None:
        """Ask every worker whether it sees the store and has the versions of this process."""
        if store.backend.private:
            raise StoreError(
                "cluster.store",
                "a store in memory is seen by this process alone",
                where=Where(file=store.url),
                hint="name a shared folder or an object store as `store:`",
            )
        probe = f"partial/probe-{uuid.uuid4().hex}"
        store.backend.put(probe, b"")
        try:
            answers = self._client.run(worker.greet, store.url, probe, uses, versions.found(uses))
        except ModuleNotFoundError as error:
            raise _without_spatialrun(error, uses) from error
        finally:
            store.backend.delete(probe)
        for answer in answers.values():
            if answer is not None:
                raise error_from_json(answer)

    def _tell_of_waiting(self) -> None:
        """Warn, once each time, where parts wait and there is no worker: one may come, or never."""
        told = False
        while not self._closed.wait(LOOK_EVERY):
            try:
                waiting = bool(self._jobs) and not self._client.nthreads()
            except Exception:  # a cluster that is gone is said by the tasks that it had
                continue
            if waiting and not told:
                line = f"the cluster at {self._address} has no worker: the run waits until one comes"
                self._listener(Event("task-warning", data={"line": line}))
            told = waiting

    def _run(self, spec: TaskSpec) -> TaskResult:
        """Run a task part by part; the first that fails ends it."""
        clock = time.perf_counter()
        done: list[TaskResult] = []
        try:
            with closing(self._parts(spec)) as parts:
                for result in parts:
                    done.append(_limit_named(spec, result))
                    if result.error is not None:
                        break
        except _TooLateError:
            done.append(TaskResult(error=error_to_json(too_late(spec))))
        except (Exception, asyncio.CancelledError) as problem:
            done.append(TaskResult(error=error_to_json(self._lost(spec, problem))))
        return replace(done[-1], facts=_together(done) | {"wall_s": round(time.perf_counter() - clock, 3)})

    def _parts(self, spec: TaskSpec) -> Generator[TaskResult]:
        """Yield the results of a task's parts as they come, the whole task's last."""
        text, wanted = json.dumps(spec.to_json()), versions.found([spec.uses])
        if catalogue.get(spec.uses).resource == "gpu":
            yield from self._each(worker.isolate, [text], wanted, resources=self._gpu(spec))
            return
        if "blocks" in spec.stage_keys:
            (prepared,) = self._each(worker.prepare, [text], wanted)
            # The time of a task runs from when the cluster begins it, not while it waits for a worker.
            begun = time.monotonic() - prepared.facts.get("wall_s", 0.0)
            yield prepared
            left = _time_left(spec, begun)
            yield from self._blocks(spec, list(prepared.outputs.values()), text, wanted, left)
            text = json.dumps(replace(spec, timeout_s=_time_left(spec, begun)).to_json())
        yield from self._each(worker.finish, [text], wanted)

    def _blocks(
        self,
        spec: TaskSpec,
        blocks: Sequence[Mapping[str, int]],
        text: str,
        wanted: Mapping[str, str],
        seconds: float | None,
    ) -> Generator[TaskResult]:
        """Yield the results of blocks as they come, telling of the progress."""
        results = self._each(worker.compute, blocks, text, wanted, seconds=seconds)
        for number, result in enumerate(results, 1):
            progress = {"done": number, "total": len(blocks), "unit": "blocks"}
            self._listener(Event("task-progress", spec.step, spec.sample, progress))
            yield result

    def _gpu(self, spec: TaskSpec) -> dict[str, int] | None:
        """Return what a task that may use a GPU asks of its worker."""
        if spec.device == CPU:
            return None
        found = self._client.run(worker.resources, on_error="ignore")
        return {GPU: 1} if any(GPU in each for each in found.values()) else None

    def _each(
        self,
        part: Callable[..., worker.Answer],
        things: Sequence[Any],
        *same: Any,
        seconds: float | None = None,
        resources: Mapping[str, int] | None = None,
    ) -> Generator[TaskResult]:
        """Run a part for each of some things; yield the results as they come, and pass on what the parts tell.

        Raises
        ------
        _TooLateError
            Where that takes longer; what has not begun then does not.
        """
        from distributed import as_completed

        def submit(thing: Any) -> Job:
            return self._client.submit(part, thing, *same, pure=False, resources=resources)

        jobs = {submit(thing): thing for thing in things}
        done = as_completed(list(jobs), loop=self._client.loop, timeout=seconds)
        with self._held(jobs):
            for job in _in_time(done, seconds):
                try:
                    answer = job.result(timeout=ANSWER)
                except TimeoutError:
                    if job.status == "error":
                        raise
                    # Its worker died before it could be asked, which dask may wait for without end.
                    again = submit(jobs[job])
                    jobs[again] = jobs[job]
                    with self._turn:
                        self._jobs.add(again)
                    done.add(again)
                    job.release()
                    continue
                job.release()  # what is no longer held is not computed again when its worker is lost
                for event in answer["events"]:
                    self._listener(Event(**event))
                yield TaskResult(**answer["result"])

    @contextmanager
    def _held(self, jobs: Collection[Job]) -> Iterator[None]:
        """Know of jobs while they are waited for; take back those that are left then."""
        with self._turn:
            self._jobs.update(jobs)
        try:
            yield
        finally:
            with self._turn:
                self._jobs.difference_update(jobs)
            with suppress(Exception):  # the cluster may be what went away
                self._client.cancel([job for job in jobs if not job.done()])

    def _lost(self, spec: TaskSpec, problem: BaseException) -> TaskError:
        """Return the error about a part that got no answer."""
        from distributed import KilledWorker

        where = Where(step=spec.step, sample=spec.sample)
        if isinstance(problem, KilledWorker):
            return TaskError(
                "task.worker-died",
                f"the workers that ran {spec.uses} died, one after another",
                where=where,
                hint="if they ran out of memory, give each more (dask worker --memory-limit), or fewer threads",
            )
        return TaskError(
            "cluster.lost",
            f"the cluster at {self._address} gave no answer about {spec.uses}: {_words(problem)}",
            where=where,
            hint="apply again to go on when it is back: what was done is kept",
        )


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "cluster.no-client",
            "the package distributed, which talks to dask clusters, is not installed",
            hint="pip install 'spatialrun[dask]'",
        ) from error
    try:
        # The file is read here: the client would wait for one that is not there for ever.
        place = json.loads(Path(address).read_text())["address"] if address.endswith(".json") else address
        return Client(place, timeout=CONNECT_TIMEOUT, set_as_default=False)
    except (OSError, ValueError, LookupError, TypeError) as error:  # a TimeoutError is an OSError
        raise UsageError(
            "cluster.unreachable",
            f"no dask scheduler answers at {address}: {_words(error)}",
            hint="check the address that `dask scheduler` printed, and that this machine may reach it",
        ) from error


def _without_spatialrun(error: ModuleNotFoundError, uses: Sequence[str]) -> UsageError:
    return UsageError(
        "cluster.versions",
        f"a worker of the cluster cannot import spatialrun: {error}\n"
        f"here:   {versions.listed(versions.found(uses))}\nworker: spatialrun {versions.ABSENT}",
        hint="install spatialrun, in the same version, in the workers' environment",
    )


def _together(parts: Sequence[TaskResult]) -> dict[str, Any]:
    """Return the facts of a task from those of its parts; of a part that was ended only its log is known."""
    facts = [part.facts for part in parts if part.facts]
    whole = [fact for fact in facts if "started" in fact]
    known = {"log": [line for fact in facts for line in fact["log"]]} if facts else {}
    if whole:
        known |= {"started": whole[0]["started"], "peak_rss": max(fact["peak_rss"] for fact in whole)}
    return known | {name: facts[-1][name] for name in ("measured",) if facts and name in facts[-1]}


class _TooLateError(Exception):
    """A task took longer than it may."""


def _in_time(jobs: Iterator[Job], seconds: float | None) -> Iterator[Job]:
    """Yield jobs as they come, for so long."""
    while True:
        try:
            job = next(jobs, None)
        except TimeoutError:
            if seconds is None:
                raise
            raise _TooLateError from None
        if job is None:
            return
        yield job


def _time_left(spec: TaskSpec, begun: float) -> float | None:
    """Return the seconds that are left to a task that was begun then; a moment where there are none."""
    return None if spec.timeout_s is None else max(0.001, spec.timeout_s - (time.monotonic() - begun))


def _limit_named(spec: TaskSpec, result: TaskResult) -> TaskResult:
    """Return a result whose error names the task's own timeout, not what was left of it to the part."""
    if result.error is None or result.error["code"] != "task.timeout":
        return result
    return replace(result, error=error_to_json(too_late(spec)))


def _words(problem: BaseException) -> str:
    return str(problem) or type(problem).__name__
