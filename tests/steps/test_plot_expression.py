from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from memory import Section
from pydantic import ValidationError

from spatialrun.errors import DataError
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Site
from spatialrun.steps.plot_expression import _summary

EMBEDDING = catalogue.get("plot.embedding")
GENES = catalogue.get("plot.genes")


@pytest.fixture
def mapped(section: Section) -> Section:
    """The section with a map of three dimensions, and markers of its layers."""
    section.slots["obsm/umap"] = np.column_stack([section.slots["obsm/spatial"], np.arange(96)])
    section.slots["uns/spagcn.markers"] = pd.DataFrame(
        {
            "domain": pd.Categorical(["upper", "upper", "lower"], ["lower", "none", "upper"]),
            "gene": pd.Categorical(["GENE0", "GENE2", "GENE1"]),
        }
    )
    return section


def read(step: Any, declared: set[str], **params: Any) -> set[str]:
    return {r.slot for r in step.reads(step.Params(**params), Site(declared=frozenset(declared)))}


def test_colours_are_read_as_for_tissue() -> None:
    assert read(EMBEDDING, {"obs/leiden"}, color="leiden") == {"obsm/umap", "obs/leiden"}
    assert read(EMBEDDING, {"layers/lognorm"}, color="CSTB", basis="pca") == {
        "obsm/pca",
        "axes/var",
        "layers/lognorm",
    }


@pytest.mark.parametrize(("format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_maps(mapped: Section, format: str, start: bytes) -> None:
    mapped.run(EMBEDDING, color=["layer", "GENE3"], components=[3, 1], format=format, dpi=40)
    figure = mapped.slots["figures/embedding"]
    assert figure.content.startswith(start)
    if format == "svg":
        for text in (b"UMAP 3", b"UMAP 1", b"GENE3", b"upper"):
            assert text in figure.content


def test_components_that_the_map_lacks(mapped: Section) -> None:
    with pytest.raises(DataError, match="4 components asked of umap, which has 3"):
        mapped.run(EMBEDDING, components=[1, 4])


@pytest.mark.parametrize("kind", ["dotplot", "matrix"])
def test_first_markers_of_each_domain(mapped: Section, kind: str) -> None:
    mapped.run(GENES, groupby="layer", n_genes=1, kind=kind, layer="counts", format="svg")
    content = mapped.slots["figures/genes"].content
    assert b">GENE0<" in content
    assert b">GENE1<" in content
    assert b">GENE2<" not in content
    assert b">none<" not in content, "a domain without markers has no bracket"


def test_what_is_drawn(mapped: Section) -> None:
    params = GENES.Params(groupby="layer", genes=["GENE2"], layer="counts")
    shown = _summary(
        mapped.inputs(GENES, params), "layers/counts", mapped.slots["obs/layer"], {"": ("GENE2",)}, True
    )
    counts = mapped.slots["layers/counts"].toarray()[:, 2]
    upper = np.asarray(mapped.slots["obs/layer"] == "upper")
    np.testing.assert_allclose(shown.means[:, 0], [counts[~upper].mean(), counts[upper].mean()])
    np.testing.assert_allclose(
        shown.fractions[:, 0], [(counts[~upper] > 0).mean(), (counts[upper] > 0).mean()]
    )
    assert shown.domains == ["lower", "upper"]


def test_groups_of_genes_of_ones_own(mapped: Section) -> None:
    assert "uns/spagcn.markers" not in read(GENES, set(), genes=["CSTB"])
    mapped.run(GENES, groupby="expert", genes={"myelin": ["GENE1", "GENE5"], "none": []}, format="svg")
    assert b"myelin" in mapped.slots["figures/genes"].content


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"genes": ["gene1x"]}, "no gene is called 'gene1x'"),
        ({"markers": "notes"}, "notes is no table of markers"),
        ({"markers": "empty"}, "no domain has a marker in empty"),
        ({"groupby": "depth"}, "numbers with fractions"),
    ],
)
def test_genes_that_cannot_be_drawn(mapped: Section, params: Mapping[str, Any], message: str) -> None:
    mapped.slots["uns/empty"] = mapped.slots["uns/spagcn.markers"].head(0)
    mapped.slots["obs/depth"] = np.linspace(0, 1, 96)
    with pytest.raises(DataError, match=message):
        mapped.run(GENES, **{"groupby": "layer", **params})


@pytest.mark.parametrize("params", [{"components": [1, 1]}, {"components": [0, 1]}, {"ptsize": 0}])
def test_impossible_maps(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EMBEDDING.Params(**params)


@pytest.mark.parametrize("params", [{"genes": []}, {"genes": {"a": []}}, {"dot_max": 0}, {"kind": "heatmap"}])
def test_impossible_figures_of_genes(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GENES.Params(**params)
