"""The catalogue: every step type by its name, loaded when it is asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from spatialrun.steps.contract import Step

STEPS = {
    "normalize.log": "spatialrun.steps.normalize:NormalizeLog",
    "qc.metrics": "spatialrun.steps.qc:QcMetrics",
}
"""Name of a step type to the place of its class."""


def names() -> tuple[str, ...]:
    """Names of all step types, sorted."""
    return tuple(sorted(STEPS))


@cache
def get(name: str) -> Step:
    """The step type of a name; always the same instance.

    Raises
    ------
    KeyError
        No step type has that name.
    """
    module, _, kind = STEPS[name].partition(":")
    step: Step = getattr(import_module(module), kind)()
    return step


def all_steps() -> tuple[Step, ...]:
    """All step types, by name."""
    return tuple(get(name) for name in names())
