from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import Lab
from memory import Section

from spatialrun.errors import DataError, RecipeErrors
from spatialrun.experiment import open_experiment
from spatialrun.steps import catalogue
from spatialrun.store.digests import value_digest

PCA = catalogue.get("embed.pca")
NEIGHBORS = catalogue.get("embed.neighbors")
UMAP = catalogue.get("embed.umap")
LEIDEN = catalogue.get("cluster.leiden")


@pytest.fixture
def embedded(section: Section) -> Section:
    section.run(PCA, layer="counts", n_comps=5)
    section.run(NEIGHBORS, n_neighbors=10)
    return section


def test_components(section: Section) -> None:
    context = section.run(PCA, layer="counts", n_comps=5, mask_var="chosen")
    scores, loadings = section.slots["obsm/pca"], section.slots["varm/pca"]
    assert scores.shape == (96, 5)
    assert scores.dtype == np.float32
    masked = ~section.slots["var/chosen"]
    assert not loadings[masked].any()
    about = section.slots["uns/pca"]
    np.testing.assert_allclose(scores.var(axis=0, ddof=1), about["variance"], rtol=1e-4)
    chosen = section.slots["layers/counts"][:, ~masked].toarray()
    np.testing.assert_allclose(
        about["variance_ratio"], about["variance"] / chosen.var(axis=0, ddof=1).sum(), rtol=1e-6
    )
    assert context.logs[0].startswith("5 components of 20 genes hold")


def test_graph_and_map(embedded: Section) -> None:
    embedded.run(UMAP, maxiter=5)
    assert embedded.slots["obsm/umap"].shape == (96, 2)
    about = embedded.slots["uns/neighbors"]
    assert about["connectivities_key"] == "connectivities"
    assert about["params"] | {"n_neighbors": 10, "use_rep": "pca"} == about["params"]


def test_a_graph_of_another_name(embedded: Section) -> None:
    embedded.run(NEIGHBORS, use_rep="spatial", key_added="near")
    assert embedded.slots["uns/near"]["distances_key"] == "near_distances"
    embedded.run(LEIDEN, neighbors_key="near", resolution=0.1)
    assert embedded.slots["obsp/near_connectivities"].nnz > 0


def test_leiden(embedded: Section) -> None:
    context = embedded.run(LEIDEN, n_clusters=3)
    labels = embedded.slots["obs/leiden"]
    assert list(labels.categories) == ["0", "1", "2"]
    assert "found resolution" in "".join(context.logs)
    assert embedded.slots["uns/leiden"]["modularity"] > 0


def test_a_number_of_clusters_that_is_not_to_be_had(embedded: Section) -> None:
    embedded.slots["obsp/connectivities"] = embedded.slots["obsp/connectivities"] * 0
    context = embedded.run(LEIDEN, n_clusters=3)
    assert "no resolution gave 3 clusters" in context.warnings[0]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_comps": 60}, "60 principal components asked of 60 genes"),
        ({"n_comps": 20, "mask_var": "chosen"}, "asked of 20 genes"),
        ({"mask_var": "score.rank"}, "holds float64, where true or false"),
    ],
)
def test_components_that_there_are_not(section: Section, params: Mapping[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        section.run(PCA, layer="counts", **params)
    assert error.value.code == "data.values"


def test_constant_genes(section: Section) -> None:
    section.slots["layers/counts"] = section.slots["layers/counts"] * 0
    with pytest.raises(DataError, match="all 60 genes have the same value") as error:
        section.run(PCA, layer="counts", n_comps=3)
    assert error.value.where.slot == "layers/counts"


def test_a_mask_without_genes(section: Section) -> None:
    section.slots["var/chosen"] = np.zeros(60, dtype=bool)
    with pytest.raises(DataError, match="marks no gene"):
        section.run(PCA, layer="counts", n_comps=3, mask_var="chosen")


def test_more_components_than_the_array_has(embedded: Section) -> None:
    with pytest.raises(DataError, match="7 components asked of pca, which has 5"):
        embedded.run(NEIGHBORS, n_pcs=7, key_added="again")


STEPS = """\
  - {uses: read.visium, with: {min_spots: 3}}
  - {uses: normalize.log}
  - {uses: embed.pca, with: {n_comps: 10}}
  - {uses: embed.neighbors}
  - {uses: embed.umap, with: {maxiter: 30}}
  - {uses: cluster.leiden}
  - {uses: export.h5ad, with: {path: out.h5ad}}
"""


def test_scanpy_goes_on_from_what_is_stored(lab: Lab) -> None:
    """From the experiment, the view and the export alike."""
    import anndata
    import scanpy

    lab.steps = STEPS
    outcome = lab.apply()
    assert outcome.run.status == "done", outcome.errors
    experiment = open_experiment(lab.store)
    samples = {
        "experiment": experiment["a"],
        "view": anndata.read_zarr(experiment.view / "tables/a"),
        "export": anndata.read_h5ad(lab.root / "out.h5ad"),
    }
    for name, sample in samples.items():
        own, leiden = sample.obsm["umap"], sample.obs["leiden"].copy()
        scanpy.tl.umap(sample, maxiter=30)
        np.testing.assert_array_equal(sample.obsm["X_umap"], own, err_msg=name)
        scanpy.tl.leiden(sample, flavor="igraph", n_iterations=2, directed=False)
        assert sample.obs["leiden"].value_counts().tolist() == leiden.value_counts().tolist(), name
        assert sample.varm["pca"].shape == (sample.n_vars, 10)
    assert "connectivities <csr:f32>" in experiment.describe("a")


def test_unknown_names_are_found_before_anything_runs(lab: Lab) -> None:
    lab.steps = STEPS.replace("embed.neighbors}", "embed.neighbors, with: {use_rep: pcs}}")
    with pytest.raises(RecipeErrors) as error:
        lab.load()
    assert [problem.code for problem in error.value.problems] == ["recipe.unwritten-read"]
    assert "obsm/pcs" in str(error.value)
    assert "obsm/pca" in str(error.value)


def test_cortex_twice_and_with_two_threads(data: Path, section: Section) -> None:
    def digests(threads: int) -> dict[str, str]:
        cortex = Section(section.root, data / "dlpfc_151673/outs", threads=threads)
        cortex.run(catalogue.get("read.visium"), min_spots=3)
        cortex.run(catalogue.get("normalize.log"))
        cortex.run(catalogue.get("genes.variable"))
        before = set(cortex.slots)
        cortex.run(PCA, mask_var="vst.hvg")
        cortex.run(NEIGHBORS)
        cortex.run(UMAP, maxiter=50)
        cortex.run(LEIDEN)
        return {slot: value_digest(value) for slot, value in cortex.slots.items() if slot not in before}

    assert digests(1) == digests(2)
