"""Identities: everything that decides a task's outputs, and the key that is made from it.

In an identity: the step type and its version, the stage, the parameters with their defaults (less those that only
name outputs; before the last stage, less the late ones), the digest of every input, the digest of external files,
the versions of the libraries that matter, and the code of a plugin. Nothing else: no names of steps or samples
(but for those that a cohort step joins), no paths, no threads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from spatialrun.interpreters import ABSENT, Interpreters
from spatialrun.plan.task import Task
from spatialrun.steps import catalogue
from spatialrun.steps.contract import StagedStep, Step, StreamingStep, parameter_names
from spatialrun.store.digests import key_digest
from spatialrun.store.entries import TaskEntry

SCHEMA = 1
FINAL = "final"
"""The stage that makes a task's outputs; the only one of a plain step."""


def stages(step: Step) -> tuple[str, ...]:
    """Return a step type's stages in order."""
    if isinstance(step, StreamingStep):
        return ("setup", "blocks", FINAL)
    if isinstance(step, StagedStep):
        return ("setup", FINAL)
    return (FINAL,)


def identity(
    task: Task,
    inputs: Mapping[str, str],
    source: str | None,
    stage: str = FINAL,
    interpreters: Interpreters | None = None,
) -> dict[str, Any]:
    """Return a task's identity at one stage.

    Parameters
    ----------
    task
        The task.
    inputs
        Port to digest of the object that it reads.
    source
        Digest of its external files, if it has any.
    stage
        ``setup``, ``blocks`` or ``final``.
    interpreters
        Who is asked what kind of device, and of libraries, a step that may use a GPU will have.

    Raises
    ------
    UsageError
        Where a step names an interpreter that cannot compute it.
    """
    step = task.step
    kind = type(task.entry.params)
    hidden = parameter_names(kind, "output_name") | parameter_names(kind, "path")
    if stage != FINAL:
        hidden |= parameter_names(kind, "late")
    code = catalogue.code(step.name)
    params = task.entry.params.model_dump(mode="json", exclude=set(hidden))
    # What a cohort step makes may depend on the order of its members, which their sorted ports do not show.
    cohort = {"members": list(task.members)} if task.members else {}
    return cohort | {
        "schema": SCHEMA,
        "step": step.name,
        "version": step.version,
        "stage": stage,
        "params": params,
        "inputs": [[i.port, i.slot, inputs[i.port]] for i in sorted(task.inputs, key=lambda i: i.port)],
        "source": source,
        "numerics": _numerics_of(task, interpreters or Interpreters()),
        **({"code": code} if code else {}),
    }


def action_key(identity: Mapping[str, Any], before: TaskEntry | None = None) -> str:
    """Return the key of an identity; where the last run has the same to the letter, its key is taken over."""
    # Letters tell 1 from 1.0 and from true, which are equal; and writing them takes a fifth of hashing.
    if before is not None and before.key and json.dumps(identity) == json.dumps(before.identity):
        return before.key
    return key_digest("action", identity)


def _numerics_of(task: Task, interpreters: Interpreters) -> dict[str, str]:
    gpu, names = task.entry.gpu, task.step.distributions
    if gpu is None:
        return _numerics(names)
    interpreters.check(gpu.python)
    found = interpreters.versions(gpu.python, names).distributions
    return {"device": interpreters.kind(gpu.python, gpu.device)} | {
        name: ABSENT if full is None else _two(full) for name, full in found.items()
    }


@cache
def _numerics(distributions: tuple[str, ...]) -> dict[str, str]:
    """Return the device kind, and major.minor of the distributions that decide the numbers."""
    return {"device": "cpu"} | {name: _minor(name) for name in distributions}


def _minor(distribution: str) -> str:
    try:
        return _two(version(distribution))
    except PackageNotFoundError:
        return ABSENT


def _two(full: str) -> str:
    return ".".join(full.split(".")[:2])
