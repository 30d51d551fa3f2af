"""The engine's side of the contract in memory: enough to run any step type without a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csc_matrix

from spatialrun.methods.checkpoint import UNSAVED, Checkpoint
from spatialrun.slots import COHORT, group_of
from spatialrun.steps.contract import (
    CohortStep,
    Parameters,
    Site,
    StagedStep,
    Step,
    StreamingStep,
    implicit_reads,
)
from spatialrun.values import ColumnStream


@dataclass
class MemoryElement:
    value: Any

    @property
    def meta(self) -> Mapping[str, Any]:
        shape = getattr(self.value, "shape", None)
        return {} if shape is None else {"shape": list(shape), "nnz": getattr(self.value, "nnz", None)}

    @property
    def path(self) -> Path:
        assert isinstance(self.value, Path)
        return self.value

    def read(self) -> Any:
        return self.value

    def columns(self, start: int, stop: int) -> Any:
        return self.value[:, start:stop]

    def level(self, least: float) -> Any:
        return self.value

    def stream(self) -> ColumnStream:
        return ColumnStream.of(csc_matrix(self.value))


@dataclass
class MemoryInputs:
    values: dict[str, Any] = field(default_factory=dict)
    source: Path | None = None
    externals: Mapping[str, Path] = field(default_factory=dict)

    def __getitem__(self, port: str) -> MemoryElement:
        return MemoryElement(self.values[port])

    def __contains__(self, port: object) -> bool:
        return port in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)


@dataclass
class MemoryContext:
    """Files and folders go below ``root``; an export goes to its destination there."""

    root: Path
    destination: str = "export"
    threads: int = 1
    device: str = "cpu"
    checkpoint: Checkpoint = UNSAVED
    logs: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)

    def log(self, message: str) -> None:
        self.logs.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def progress(self, done: int, total: int, unit: str = "") -> None:
        pass

    def measure(self, **values: float) -> None:
        self.measured |= values

    def folder(self, port: str) -> Path:
        folder = self.root / "files" / port
        folder.mkdir(parents=True)
        return folder

    def scratch(self) -> Path:
        folder = self.root / "scratch"
        folder.mkdir(exist_ok=True)
        return folder

    def file(self, port: str) -> Path:
        path = self.root / self.destination
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class Section:
    """One sample: slots that steps fill one after another, checked against what they declare."""

    def __init__(
        self,
        root: Path,
        path: Path | None = None,
        slots: Mapping[str, Any] | None = None,
        threads: int = 1,
    ) -> None:
        self.root = root
        self.threads = threads
        self.path = path
        self.slots: dict[str, Any] = dict(slots or {})
        self.setups: dict[str, dict[str, Any]] = {}

    def site(self, step: Step) -> Site:
        name = step.name.rpartition(".")[2]
        return Site(path=self.path, base=self.root, step=name, declared=frozenset(self.slots))

    def inputs(self, step: Step, params: Parameters) -> MemoryInputs:
        site = self.site(step)
        reads = [*step.reads(params, site), *implicit_reads(step.writes(params, site))]
        assert len({read.port for read in reads}) == len(reads), "a port is used twice"
        missing = [read.slot for read in reads if not read.optional and read.slot not in self.slots]
        assert not missing, f"nothing wrote {missing}"
        values = {read.port: self.slots[read.slot] for read in reads if read.slot in self.slots}
        return MemoryInputs(values, self.path, step.externals(params, site))

    def run(self, step: Step, **params: Any) -> MemoryContext:
        """Run a step type as the engine does: a new context, stages in turn, declared outputs only."""
        model = step.Params(**params)
        inputs = self.inputs(step, model)
        context = MemoryContext(self.root, step.destination(model) or "export", self.threads)
        self.fill(step, model, _stages(step, model, inputs, context))
        return context

    def fill(self, step: Step, params: Parameters, outputs: Mapping[str, Any]) -> None:
        """Take a step's outputs over: all that it declares, and nothing else."""
        writes = {write.port: write.slot for write in step.writes(params, self.site(step))}
        assert set(outputs) == set(writes), "outputs are not what was declared"
        for slot in writes.values():
            assert slot not in self.slots, f"{slot} has two writers"
            _check_length(self.slots | {writes[p]: v for p, v in outputs.items()}, slot)
        self.slots |= {writes[port]: value for port, value in outputs.items()}


def half_of(section: Section) -> Section:
    """Every second spot of a section, its genes in another order."""
    slots = dict(section.slots)
    kept, order = slice(None, None, 2), slice(None, None, -1)
    slots["axes/obs"], slots["axes/var"] = slots["axes/obs"][kept], slots["axes/var"][order]
    slots |= {
        name: layer[kept][:, order].tocsc() for name, layer in slots.items() if name.startswith("layers/")
    }
    slots["obsm/spatial"] = slots["obsm/spatial"][kept]
    slots |= {name: column[kept] for name, column in slots.items() if name.startswith("obs/")}
    return Section(section.root, slots=slots)


class Cohort:
    """Samples by name, on which cohort steps run."""

    def __init__(self, root: Path, members: Mapping[str, Section]) -> None:
        self.root = root
        self.members = dict(members)
        self.together: dict[str, Any] = {}
        """Slots of the cohort itself."""

    def run(self, step: Step, **params: Any) -> MemoryContext:
        """Run a cohort step as the engine does."""
        assert isinstance(step, CohortStep)
        model = step.Params(**params)
        context = MemoryContext(self.root, step.destination(model) or "export")
        name = step.name.rpartition(".")[2]
        site = Site(base=self.root, step=name, declared=frozenset(self.together))
        inputs = {name: member.inputs(step, model) for name, member in self.members.items()}
        if reads := step.cohort_reads(model, site):
            own = {read.port: self.together[read.slot] for read in reads if read.slot in self.together}
            inputs[COHORT] = MemoryInputs(own)
        returned = dict(step.run_cohort(inputs, model, context))
        writes = {write.port: write.slot for write in step.cohort_writes(model, site)}
        outputs = returned.pop(COHORT, {})
        assert set(outputs) == set(writes), "outputs of the cohort are not what was declared"
        self.together |= {writes[port]: value for port, value in outputs.items()}
        for name, member in self.members.items():
            member.fill(step, model, returned.get(name, {}))
        return context


def _stages(step: Step, params: Parameters, inputs: MemoryInputs, context: MemoryContext) -> dict[str, Any]:
    if not isinstance(step, StagedStep):
        return dict(step.run(inputs, params, context))
    setup = MemoryInputs(_stored(step.setup(inputs, params, context)))
    if isinstance(step, StreamingStep):
        shared = step.load(setup, params)
        parts = [step.block(shared, inputs, params, block) for block in step.blocks(setup, inputs, params)]
        setup.values |= {
            f"blocks/{name}": np.concatenate([part[name] for part in parts]) for name in parts[0]
        }
    return _stored(step.combine(setup, inputs, params, context))


def _stored(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs as they come back from a store: streams have become matrices."""
    return {
        port: value.tocsc() if isinstance(value, ColumnStream) else value for port, value in outputs.items()
    }


def _check_length(slots: Mapping[str, Any], slot: str) -> None:
    """Whether an output is as long as the axes that it lies along."""
    axes = {
        "obs": ("obs",),
        "obsm": ("obs",),
        "obsp": ("obs", "obs"),
        "var": ("var",),
        "varm": ("var",),
        "layers": ("obs", "var"),
    }.get(group_of(slot), ())
    lengths = tuple(len(slots[f"axes/{axis}"]) for axis in axes)
    assert slots[slot].shape[: len(lengths)] == lengths if lengths else True, slot
