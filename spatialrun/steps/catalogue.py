"""The catalogue: every step type by its name, built in or from a plugin, loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from spatialrun.errors import PluginError
from spatialrun.steps import plugins
from spatialrun.steps.contract import Step

STEPS = {
    "annotate.obs": "spatialrun.steps.annotate:AnnotateObs",
    "annotate.var": "spatialrun.steps.annotate:AnnotateVar",
    "cluster.leiden": "spatialrun.steps.cluster:ClusterLeiden",
    "compare.labels": "spatialrun.steps.compare:CompareLabels",
    "domains.deepst": "spatialrun.steps.deepst:DomainsDeepst",
    "domains.multispati": "spatialrun.steps.domains:DomainsMultispati",
    "domains.spagcn": "spatialrun.steps.domains:DomainsSpagcn",
    "embed.image": "spatialrun.steps.image:EmbedImage",
    "embed.neighbors": "spatialrun.steps.embed:EmbedNeighbors",
    "embed.pca": "spatialrun.steps.embed:EmbedPca",
    "embed.umap": "spatialrun.steps.embed:EmbedUmap",
    "export.files": "spatialrun.steps.export:ExportFiles",
    "export.h5ad": "spatialrun.steps.export:ExportH5ad",
    "export.h5mu": "spatialrun.steps.export_cohort:ExportH5mu",
    "export.image": "spatialrun.steps.export:ExportImage",
    "export.spatialdata": "spatialrun.steps.export_cohort:ExportSpatialdata",
    "export.table": "spatialrun.steps.export:ExportTable",
    "export.vitessce": "spatialrun.steps.export_cohort:ExportVitessce",
    "genes.select": "spatialrun.steps.genes:GenesSelect",
    "genes.variable": "spatialrun.steps.genes:GenesVariable",
    "integrate.deepst": "spatialrun.steps.deepst:IntegrateDeepst",
    "integrate.multispati": "spatialrun.steps.integrate:IntegrateMultispati",
    "integrate.spagcn": "spatialrun.steps.integrate:IntegrateSpagcn",
    "markers.cohort": "spatialrun.steps.markers:MarkersCohort",
    "markers.spagcn": "spatialrun.steps.markers:MarkersSpagcn",
    "metagene.cohort": "spatialrun.steps.markers:MetageneCohort",
    "metagene.spagcn": "spatialrun.steps.markers:MetageneSpagcn",
    "normalize.log": "spatialrun.steps.normalize:NormalizeLog",
    "plot.cohort": "spatialrun.steps.plot:PlotCohort",
    "plot.embedding": "spatialrun.steps.plot_expression:PlotEmbedding",
    "plot.genes": "spatialrun.steps.plot_expression:PlotGenes",
    "plot.spatial": "spatialrun.steps.plot:PlotSpatial",
    "qc.metrics": "spatialrun.steps.qc:QcMetrics",
    "read.h5ad": "spatialrun.steps.read:ReadH5ad",
    "read.table": "spatialrun.steps.read:ReadTable",
    "read.visium": "spatialrun.steps.read:ReadVisium",
    "read.visium_hd": "spatialrun.steps.read:ReadVisiumHd",
    "read.zarr": "spatialrun.steps.read:ReadZarr",
    "simulate.cohort": "spatialrun.steps.simulate:SimulateCohort",
    "simulate.visium": "spatialrun.steps.simulate:SimulateVisium",
    "simulate.visium_hd": "spatialrun.steps.simulate:SimulateVisiumHd",
    "svg.moran": "spatialrun.steps.moran:SvgMoran",
    "svg.spatialde": "spatialrun.steps.svg:SvgSpatialde",
}
"""Name of a built-in step type to the place of its class."""


def names() -> tuple[str, ...]:
    """Names of all step types, sorted."""
    return tuple(sorted({*STEPS, *plugins.found()}))


@cache
def get(name: str) -> Step:
    """The step type of a name; always the same instance.

    Raises
    ------
    KeyError
        No step type has that name.
    PluginError
        A plugin that should have it is broken.
    """
    if name not in STEPS:
        return plugins.load(name)
    module, _, kind = STEPS[name].partition(":")
    step: Step = getattr(import_module(module), kind)()
    return step


def all_steps() -> tuple[Step, ...]:
    """All step types that can be had, by name."""
    broken = faults()
    return tuple(get(name) for name in names() if name in STEPS or name not in broken)


def faults() -> Mapping[str, PluginError]:
    """What is wrong with the installed plugins, by name of the step type; none may replace a built-in one."""
    faults: dict[str, PluginError] = {}
    for name, entries in plugins.found().items():
        if name in STEPS:
            faults[name] = plugins.clash(name, "spatialrun", *map(plugins.distribution, entries))
            continue
        try:
            get(name)
        except PluginError as error:
            faults[name] = error
    return faults


def code(name: str) -> Mapping[str, str]:
    """Digest of a plugin's code by its distribution; empty for a built-in step type, which has its version."""
    return {} if name in STEPS else plugins.code(name)
