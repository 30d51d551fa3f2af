"""The narrow contract between a run and its executors: a task as plain data, and its result as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from spatialrun.errors import (
    DataError,
    PluginError,
    RecipeError,
    SpatialrunError,
    StoreError,
    TaskError,
    UsageError,
    Where,
)

_KINDS = {
    kind.__name__: kind for kind in (DataError, PluginError, RecipeError, StoreError, TaskError, UsageError)
}


@dataclass(frozen=True)
class TaskSpec:
    """Everything that a process needs to run one task; survives JSON.

    Attributes
    ----------
    store
        The store's URL.
    step, sample
        The task's name, for messages only.
    uses, params
        Step type and its parameters, complete.
    identity, key, stage_keys
        The final action's identity and key, and the keys of the stages before it.
    inputs
        Port to object (``ObjectRef.to_json``).
    writes
        Declared output ports.
    members
        Of a cohort step, its samples in order; their ports are ``<sample>/<port>``.
    source, externals, destination
        The sample's path, files read outside the store, and the file that an export writes.
    shape
        The sample's size (n_obs, n_vars, nnz), where known.
    threads, memory
        What it may use; never decides a result.
    run
        The run that it is done for, which keeps what it makes until that run is saved.
    timeout_s
        Seconds after which the process that runs it is ended, from when its own code begins there; ``None`` for
        never.
    device
        What it computes on, as torch names it.
    python
        The interpreter that runs it; ``None`` for that of the run.
    most_memory
        Bytes of memory beyond which the process that runs it is ended; ``None`` for any number.
    """

    store: str
    step: str
    sample: str
    uses: str
    params: Mapping[str, Any]
    identity: Mapping[str, Any]
    key: str
    stage_keys: Mapping[str, str]
    inputs: Mapping[str, Mapping[str, Any]]
    writes: tuple[str, ...]
    members: tuple[str, ...]
    source: str | None
    externals: Mapping[str, str]
    destination: str | None
    shape: tuple[int, int, int] | None
    threads: int
    memory: int
    run: str = ""
    timeout_s: float | None = None
    device: str = "cpu"
    python: str | None = None
    most_memory: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TaskSpec:
        """Rebuild a spec from plain data."""
        tuples = {name: tuple(data[name]) for name in ("writes", "members")}
        return cls(**{**data, **tuples, "shape": tuple(data["shape"]) if data["shape"] else None})


@dataclass(frozen=True)
class TaskResult:
    """How a task ended.

    Attributes
    ----------
    outputs
        Port to object (``ObjectRef.to_json``); empty where it failed.
    facts
        Start, wall time, peak memory, log.
    error
        ``None``, or the error as plain data.
    stopped
        Whether it ended before its time because it was asked to; blocks that were done are kept.
    """

    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    stopped: bool = False


def error_to_json(error: SpatialrunError) -> dict[str, Any]:
    """Return an error as plain data."""
    return {
        "kind": type(error).__name__,
        "code": error.code,
        "what": error.what,
        "where": asdict(error.where),
        "hint": error.hint,
    }


def error_from_json(data: Mapping[str, Any]) -> SpatialrunError:
    """Rebuild an error from plain data."""
    kind = _KINDS.get(data["kind"], TaskError)
    return kind(data["code"], data["what"], where=Where(**data["where"]), hint=data["hint"])
