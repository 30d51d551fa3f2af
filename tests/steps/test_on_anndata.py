"""Step types called on an AnnData: the numbers of a recipe, and clear words where something is lacking."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from lab import Lab
from memory import Section

import spatialrun.steps
from spatialrun.errors import DataError, UsageError
from spatialrun.experiment import open_experiment
from spatialrun.slots import group_of, name_of
from spatialrun.steps import catalogue
from spatialrun.steps.on_anndata import StepFunction
from spatialrun.store.digests import value_digest

STEPS = """\
  - {id: read, uses: read.visium, with: {min_spots: 3}}
  - {id: log, uses: normalize.log}
  - {id: svg, uses: svg.spatialde, with: {n_svg: 10, kernel_space: {SE: [300, 600]}}}
  - {id: variable, uses: genes.variable, with: {n_top_genes: 50}}
  - {id: pca, uses: embed.pca, with: {n_comps: 5, mask_var: vst.hvg}}
  - {id: domains, uses: domains.spagcn, with: {n_clusters: 3, num_pcs: 10, histology: true, max_epochs: 20}}
  - {id: markers, uses: markers.spagcn, with: {min_fold_change: 1.1, min_in_group_fraction: 0.1}}
  - {id: metagene, uses: metagene.spagcn, with: {target_cluster: 0, max_iter: 2}}
  - {id: map, uses: plot.spatial, with: {color: spagcn.refined, dpi: 60}}
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory, sections):
    """A recipe's run."""
    lab = Lab(tmp_path_factory.mktemp("direct") / "lab", {"a": sections["a"]}, STEPS)
    outcome = lab.apply()
    assert outcome.run.status == "done", outcome.errors
    return lab, outcome.run


def test_the_same_numbers_as_by_a_recipe(whole):
    """From what was read alone, every step after another: all slots have the digests of the run."""
    lab, run = whole
    full = open_experiment(lab.store)["a"]
    read = set(run.tasks["read", "a"].outputs)
    adata = AnnData(
        obs=full.obs[[c for c in full.obs if f"obs/{c}" in read]],
        var=full.var[[c for c in full.var if f"var/{c}" in read]],
        obsm={"spatial": full.obsm["spatial"]},
        uns={"spatial": full.uns["spatial"]},
        layers={"counts": full.layers["counts"].tocsr()},
    )
    steps = spatialrun.steps
    assert steps.normalize.log(adata) is None
    steps.svg.spatialde(adata, n_svg=10, kernel_space={"SE": [300, 600]}, threads=2)
    steps.genes.variable(adata, n_top_genes=50)
    steps.embed.pca(adata, n_comps=5, mask_var="vst.hvg")
    steps.domains.spagcn(adata, n_clusters=3, num_pcs=10, histology=True, max_epochs=20)
    steps.markers.spagcn(adata, min_fold_change=1.1, min_in_group_fraction=0.1)
    steps.metagene.spagcn(adata, target_cluster="0", max_iter=2)
    figure = steps.plot.spatial(adata, color="spagcn.refined", dpi=60)
    compared = 0
    for slot, ref in run.slots("a").items():
        group, name = group_of(slot), name_of(slot)
        if group in ("obs", "var"):
            value = getattr(adata, group)[name]
            value = value.array if isinstance(value.dtype, pd.CategoricalDtype) else value.to_numpy()
        elif group == "figures":
            value = figure
        elif slot in read or group not in ("layers", "obsm", "varm", "uns"):
            continue
        else:
            value = getattr(adata, group)[name]
        assert value_digest(value) == ref.digest, slot
        compared += slot not in read
    assert compared >= 25


@pytest.fixture
def adata(section: Section) -> AnnData:
    slots = section.slots
    return AnnData(
        X=slots["layers/counts"].astype(np.float32),
        obs=pd.DataFrame({"layer": slots["obs/layer"]}, index=slots["axes/obs"]),
        var=pd.DataFrame(index=slots["axes/var"]),
        obsm={"spatial": slots["obsm/spatial"]},
    )


def test_x_is_a_layer_too(adata: AnnData) -> None:
    spatialrun.steps.markers.spagcn(adata, groupby="layer", layer="X", min_fold_change=2)
    assert len(adata.uns["spagcn.markers"]) > 0


def test_what_is_lacking_is_said(adata: AnnData) -> None:
    with pytest.raises(DataError, match=r"svg\.spatialde needs layers/counts") as error:
        spatialrun.steps.svg.spatialde(adata)
    assert error.value.hint == "layers has: X; layer='X' takes adata.X"
    with pytest.raises(DataError, match="needs obs/layr") as error:
        spatialrun.steps.markers.spagcn(adata, groupby="layr", layer="X")
    assert error.value.hint == "did you mean 'layer'?"
    assert set(adata.obs) == {"layer"}


def test_parameters_are_checked(adata: AnnData) -> None:
    with pytest.raises(UsageError, match=r"n_svgs: .*did you mean n_svg") as error:
        spatialrun.steps.svg.spatialde(adata, n_svgs=3)
    assert error.value.hint == "help(spatialrun.steps.svg.spatialde)"
    with pytest.raises(UsageError, match="fdr: "):
        spatialrun.steps.svg.spatialde(adata, fdr=2)


def test_of_several_sections_one_is_named(adata: AnnData) -> None:
    pixels = np.full((40, 40, 3), 0.5, dtype=np.float32)
    section = {"images": {"hires": pixels}, "scalefactors": {"tissue_hires_scalef": 0.03}}
    adata.uns["spatial"] = {"one": section, "two": section}
    with pytest.raises(DataError, match="needs images/hires"):
        spatialrun.steps.domains.spagcn(adata, layer="X", histology=True, n_clusters=2, num_pcs=5)
    spatialrun.steps.domains.spagcn(
        adata, layer="X", histology=True, n_clusters=2, num_pcs=5, library="two", max_epochs=3
    )
    assert set(adata.obs["spagcn.refined"]) == {"0", "1"}


def test_every_step_of_one_sample_is_a_function() -> None:
    for name in catalogue.names():
        family, _, own = name.partition(".")
        step = catalogue.get(name)
        if step.scope == "cohort" or family in ("read", "simulate", "export"):
            with pytest.raises(UsageError, match=name):
                StepFunction(step)
            continue
        function = getattr(getattr(spatialrun.steps, family), own)
        assert next(iter(inspect.signature(function).parameters)) == "adata"
        assert set(step.Params.model_fields) < set(inspect.signature(function).parameters)
        assert all(f"\n{name}\n    " in function.__doc__ for name in step.Params.model_fields)


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match=r"did you mean svg\.spatialde"):
        spatialrun.steps.svg.spatialed  # noqa: B018
    with pytest.raises(AttributeError):
        spatialrun.steps.nothing  # noqa: B018
