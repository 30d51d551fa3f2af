"""The catalogue: every step type by its name, loaded when it is asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from spatialrun.steps.contract import Step

STEPS = {
    "annotate.obs": "spatialrun.steps.annotate:AnnotateObs",
    "annotate.var": "spatialrun.steps.annotate:AnnotateVar",
    "compare.labels": "spatialrun.steps.compare:CompareLabels",
    "export.h5ad": "spatialrun.steps.export:ExportH5ad",
    "export.table": "spatialrun.steps.export:ExportTable",
    "genes.select": "spatialrun.steps.genes:GenesSelect",
    "genes.variable": "spatialrun.steps.genes:GenesVariable",
    "normalize.log": "spatialrun.steps.normalize:NormalizeLog",
    "plot.spatial": "spatialrun.steps.plot:PlotSpatial",
    "qc.metrics": "spatialrun.steps.qc:QcMetrics",
    "read.h5ad": "spatialrun.steps.read:ReadH5ad",
    "read.table": "spatialrun.steps.read:ReadTable",
    "read.visium": "spatialrun.steps.read:ReadVisium",
    "simulate.visium": "spatialrun.steps.simulate:SimulateVisium",
    "svg.spatialde": "spatialrun.steps.svg:SvgSpatialde",
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
