"""Runs one task, in whatever process: inputs from the store, the step's stages, outputs into the store."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spatialrun.errors import TaskError
from spatialrun.execute.causes import cause, is_plain
from spatialrun.execute.checkpoint import StoredCheckpoint
from spatialrun.execute.context import StoredInputs, TaskContext
from spatialrun.execute.events import Listener
from spatialrun.execute.memory import Peak, release
from spatialrun.execute.spec import TaskResult, TaskSpec, error_to_json
from spatialrun.execute.streaming import Stopped, stream
from spatialrun.steps import catalogue
from spatialrun.steps.contract import CohortStep, Outputs, Shape, StagedStep, Step, StreamingStep
from spatialrun.store.actions import ActionRecord
from spatialrun.store.attempts import Attempt
from spatialrun.store.elements import ObjectRef, StoredElement
from spatialrun.store.partial import Partial
from spatialrun.store.sources import parts_of
from spatialrun.store.store import Store, open_store
from spatialrun.version import __version__

BLOCKS = "blocks/"
Facts = Callable[[], dict[str, Any]]
"""What is to be said of a task so far: start, wall time, peak memory, log."""


def never() -> bool:
    """Say of a run that nobody can ask it to stop."""
    return False


def perform(
    spec: TaskSpec,
    listener: Listener,
    work: Work,
    into: Store | None = None,
    stopping: Callable[[], bool] = never,
) -> TaskResult:
    """Do a task's work, or a part of it. Errors are returned, not raised: the result crosses processes.

    Parameters
    ----------
    spec, listener
        The task, and who is told of it.
    work
        What to do: :meth:`Runner.run` for all of it.
    into
        Where to commit; the store that holds its inputs by default.
    stopping
        Whether to begin no more of its blocks.
    """
    context = TaskContext(spec, listener)
    started, clock, peak = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter(), Peak()
    peak.start()

    def facts() -> dict[str, Any]:
        return {
            "started": started,
            "wall_s": round(time.perf_counter() - clock, 3),
            "start_rss": peak.begun,
            "peak_rss": peak.read(),
            "log": context.lines,
            **({"measured": context.measured} if context.measured else {}),
        }

    try:
        outputs = work(Runner(spec, context, facts, into, stopping))
    except Stopped:
        return TaskResult(facts=facts(), stopped=True)
    except Exception as problem:
        refused = context.refused(problem)
        error = (refused or cause(problem, spec)).at(step=spec.step, sample=spec.sample)
        if not (refused or is_plain(error, problem)):
            context.lines += traceback.format_exc().splitlines()
        return TaskResult(facts=facts(), error=error_to_json(error))
    finally:
        context.clean()
        release()
    return TaskResult(outputs, facts())


class Runner:
    """One task on its way through the stages."""

    def __init__(
        self,
        spec: TaskSpec,
        context: TaskContext,
        facts: Facts,
        into: Store | None,
        stopping: Callable[[], bool],
    ) -> None:
        self.spec = spec
        self.stopping = stopping
        self.context = context
        self.facts = facts
        home = open_store(spec.store)
        self.store = into or home
        self.step: Step = catalogue.get(spec.uses)
        self.params = self.step.Params.model_validate(spec.params)
        elements = {port: home.element(ObjectRef.from_json(ref)) for port, ref in spec.inputs.items()}
        source = Path(spec.source) if spec.source else None
        self.inputs = StoredInputs(elements, source, {k: Path(v) for k, v in spec.externals.items()})

    def run(self) -> Mapping[str, Mapping[str, Any]]:
        """Run every stage that is not cached, and commit the last; return the outputs."""
        if isinstance(self.step, StagedStep):
            elements = self._stage("setup", self._setup)
            if isinstance(self.step, StreamingStep):
                setup = StoredInputs(elements)
                blocks = self._stage("blocks", lambda: self._blocks(setup))
                elements = elements | {BLOCKS + name: element for name, element in blocks.items()}
            prepared = StoredInputs(elements)
        attempt = self.context.attempt = self.store.attempt(self.spec.run)
        self.context.unfinished = self.store.partial(self.spec.key)
        checkpoint = self.context.checkpoint = StoredCheckpoint(self.context.unfinished)
        try:
            if isinstance(self.step, StagedStep):
                outputs = self.step.combine(prepared, self.inputs, self.params, self.context)
            elif isinstance(self.step, CohortStep):
                outputs = self._cohort(self.step)
            else:
                outputs = self.step.run(self.inputs, self.params, self.context)
            refs = self._written(attempt, outputs)
            record = ActionRecord(
                self.spec.key,
                attempt.id,
                refs,
                self.spec.identity,
                self.facts() | {"versions": _versions(self.step), "stages": dict(self.spec.stage_keys)},
            )
            standing = self.store.actions.commit(attempt, record, replace=self.spec.destination is not None)
            if _digests(standing) != _digests(record):
                self.context.warn(
                    f"{self.spec.uses} came to other results than an earlier computation from the same inputs: "
                    "the earlier results are kept, and both are noted (spatialrun verify)"
                )
        except BaseException:
            attempt.discard()
            raise
        checkpoint.discard()
        self.context.empty_scratch()
        for key in self.spec.stage_keys.values():
            self.store.partial(key).discard()
        return {port: ref.to_json() for port, ref in standing.outputs.items()}

    def setup(self) -> StoredInputs:
        """Return what the step sets up, which is computed where it is not cached."""
        return StoredInputs(self._stage("setup", self._setup))

    def partial(self) -> Partial:
        """Return where the blocks are kept until all are done."""
        return self.store.partial(self.spec.stage_keys["blocks"])

    def blocks_are_committed(self) -> bool:
        """Whether no block has to be computed any more."""
        return self.store.actions.get(self.spec.stage_keys["blocks"]) is not None

    def _cohort(self, step: CohortStep) -> Outputs:
        """Run a cohort step: inputs are handed out by sample, outputs come back as ``<sample>/<port>``."""
        samples: dict[str, dict[str, StoredElement]] = {member: {} for member in self.spec.members}
        for name, element in self.inputs.items():
            sample, _, port = name.partition("/")
            samples.setdefault(sample, {})[port] = element
        externals = self.inputs.externals
        inputs = {sample: StoredInputs(elements, None, externals) for sample, elements in samples.items()}
        returned = step.run_cohort(inputs, self.params, self.context)
        return {
            f"{sample}/{port}": value
            for sample, outputs in returned.items()
            for port, value in outputs.items()
        }

    def _setup(self) -> Outputs:
        assert isinstance(self.step, StagedStep)
        return self.step.setup(self.inputs, self.params, self.context)

    def _blocks(self, setup: StoredInputs) -> Outputs:
        step = self.step
        assert isinstance(step, StreamingStep)
        shape = Shape(*self.spec.shape) if self.spec.shape else None
        # One more than threads: while a block is read or saved, no core is idle. The estimate has room for one.
        in_flight = self.spec.threads + 1 if self.spec.threads > 1 else 1
        if shape is not None:
            room = self.spec.memory - step.memory(shape, self.params)
            in_flight = min(in_flight, 1 + room // max(step.block_memory(shape, self.params), 1))
        return stream(
            step,
            setup,
            self.inputs,
            self.params,
            self.partial(),
            self.context,
            in_flight=max(1, in_flight),
            stopping=self.stopping,
        )

    def _stage(self, stage: str, compute: Callable[[], Outputs]) -> dict[str, Any]:
        """Return the elements of an early stage: from its record, else computed and committed."""
        key = self.spec.stage_keys[stage]
        record = self.store.actions.get(key)
        if record is None or self.store.intents.rely(self.spec.run, [record.attempt]):
            self.context.unfinished = self.store.partial(key)
            outputs = compute()
            attempt = self.store.attempt(self.spec.run)
            try:
                refs = {name: attempt.write(name, value) for name, value in outputs.items()}
                identity = {"step": self.spec.uses, "stage": stage}
                record = ActionRecord(key, attempt.id, refs, identity, self.facts())
                record = self.store.actions.commit(attempt, record)
            except BaseException:
                attempt.discard()
                raise
            self.context.empty_scratch()
        return {name: self.store.element(ref) for name, ref in record.outputs.items()}

    def _written(self, attempt: Attempt, outputs: Outputs) -> dict[str, ObjectRef]:
        """Write the outputs, folders and exports; refuse any that was not declared, or is missing."""
        _check_ports(self.spec, set(outputs))
        refs: dict[str, ObjectRef] = {}
        for port, value in outputs.items():
            if port in self.context.folders:
                refs[port] = attempt.seal_folder(port)
            elif isinstance(value, Path):
                refs[port] = self._exported()
            else:
                refs[port] = attempt.write(port, value)
        return refs

    def _exported(self) -> ObjectRef:
        """Give the export its name; it stays outside the store, which keeps its digest."""
        files = parts_of(self.context.publish())
        digest = self.store.sources.digest(files)
        return ObjectRef(digest, "", "export", {"size": sum(file.stat().st_size for file in files.values())})


Work = Callable[[Runner], Mapping[str, Mapping[str, Any]]]
"""A task's work, or a part of it; what it returns crosses processes, and is plain data by name."""


def _check_ports(spec: TaskSpec, found: set[str]) -> None:
    missing, extra = set(spec.writes) - found, found - set(spec.writes)
    if missing or extra:
        said = [f"did not return {', '.join(sorted(missing))}"] if missing else []
        said += [f"returned {', '.join(sorted(extra))}, which it had not declared"] if extra else []
        raise TaskError(
            "task.outputs",
            f"{spec.uses} {' and '.join(said)}",
            hint="this is a fault of the step type; please report it",
        )


def _digests(record: ActionRecord) -> dict[str, str]:
    return {port: ref.digest for port, ref in record.outputs.items()}


def _versions(step: Step) -> Mapping[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"spatialrun": __version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", *step.distributions):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
