from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from memory import MemoryInputs, Section
from pydantic import ValidationError
from scipy.sparse import csc_matrix

from spatialrun.errors import DataError
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Block, Shape, parameter_names
from spatialrun.steps.svg import SvgSpatialde

STEP = catalogue.get("svg.spatialde")
assert isinstance(STEP, SvgSpatialde)


def blocks(n_spots: int, n_genes: int) -> list[Block]:
    inputs = MemoryInputs({"counts": csc_matrix((n_spots, n_genes))})
    return list(STEP.blocks(MemoryInputs(), inputs, STEP.Params()))


def test_planted_genes_come_first(section: Section) -> None:
    context = section.run(STEP)
    rank, tested = section.slots["var/spatialde.rank"], section.slots["var/spatialde.tested"]
    planted = (np.arange(60) < 20) & tested
    assert set(np.flatnonzero(rank <= planted.sum())) == set(np.flatnonzero(planted))
    assert section.slots["var/spatialde.svg"][planted].all()
    assert (section.slots["var/spatialde.log10p"][tested] <= 0).all()
    assert context.logs[0].startswith(f"tested {tested.sum()} of 60 genes")


def test_untested_genes_have_no_values(section: Section) -> None:
    section.run(STEP)
    untested = ~section.slots["var/spatialde.tested"]
    totals = np.asarray(section.slots["layers/counts"].sum(axis=0)).ravel()
    assert list(untested) == list(totals < 10)
    for name in ("pval", "log10p", "padj", "rank", "lengthscale", "m", "alpha"):
        assert np.isnan(section.slots[f"var/spatialde.{name}"][untested]).all(), name
    assert section.slots["var/spatialde.kernel"].isna()[untested].all()
    assert not section.slots["var/spatialde.svg"][untested].any()


def test_table_has_every_tested_gene_and_kernel(section: Section) -> None:
    section.run(STEP)
    table = section.slots["uns/spatialde"]
    assert len(table) == 10 * section.slots["var/spatialde.tested"].sum()
    best = table.loc[table.groupby("gene", observed=True)["log10p"].idxmin()].set_index("gene")
    names = section.slots["axes/var"]
    lengthscales = pd.Series(section.slots["var/spatialde.lengthscale"], index=names)
    assert (best["lengthscale"] == lengthscales[best.index]).all()


def test_late_parameters() -> None:
    assert parameter_names(STEP.Params, "late") == {"n_svg", "fdr"}
    assert parameter_names(STEP.Params, "output_name") == {"key_added"}


def test_at_most_n_svg_genes_are_marked(section: Section) -> None:
    section.run(STEP, n_svg=3)
    assert list(np.sort(section.slots["var/spatialde.rank"][section.slots["var/spatialde.svg"]])) == [1, 2, 3]


def test_kernels_of_the_recipe(section: Section) -> None:
    section.run(STEP, kernel_space={"SE": [100, 300], "PER": [500], "linear": True})
    kernels = section.slots["uns/spatialde"][["kernel", "lengthscale"]].drop_duplicates()
    assert list(kernels["kernel"]) == ["SE", "SE", "PER", "linear"]


def test_totals_are_the_default_size_factors(section: Section) -> None:
    section.run(STEP)
    section.run(STEP, sizefactors="total_counts", key_added="again")
    np.testing.assert_array_equal(section.slots["var/spatialde.log10p"], section.slots["var/again.log10p"])


def test_a_continuous_layer(section: Section) -> None:
    section.run(catalogue.get("normalize.log"))
    section.run(STEP, layer="lognorm", obs_dist="normal", min_counts=0)
    assert np.nanargmin(section.slots["var/spatialde.rank"]) < 20


def test_fractions_are_no_counts(section: Section) -> None:
    section.run(catalogue.get("normalize.log"))
    with pytest.raises(DataError) as error:
        section.run(STEP, layer="lognorm")
    assert error.value.code == "data.counts"


def test_blocks_depend_on_shapes_only() -> None:
    assert blocks(1470, 5000) == [Block(0, 2048), Block(2048, 4096), Block(4096, 5000)]
    assert blocks(500_000, 600)[0] == Block(0, 512)
    assert blocks(100, 1) == [Block(0, 1)]


def test_results_do_not_depend_on_blocks(section: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    section.run(STEP)
    monkeypatch.setattr("spatialrun.steps.blocks.genes_per_block", lambda _: 7)
    section.run(STEP, key_added="again")
    for name in ("log10p", "rank", "alpha"):
        found, expected = (section.slots[f"var/{key}.{name}"] for key in ("again", "spatialde"))
        np.testing.assert_allclose(found, expected, rtol=1e-11, err_msg=name)


def test_nothing_to_test(section: Section) -> None:
    context = section.run(STEP, min_counts=10**6)
    assert np.isnan(section.slots["var/spatialde.rank"]).all()
    assert len(section.slots["uns/spatialde"]) == 0
    assert len(context.warnings) == 1


def test_memory_for_the_benchmark_is_under_a_gigabyte() -> None:
    assert 3e8 < STEP.memory(Shape(1470, 35_554, 3_400_000), STEP.Params()) < 1e9


def test_memory_for_half_a_million_bins_is_under_eight_gigabytes() -> None:
    assert 5e8 < STEP.memory(Shape(500_000, 18_000, 135_000_000), STEP.Params()) < 8e9


@pytest.mark.parametrize(
    "params",
    [
        {"kernel_space": {}},
        {"kernel_space": {"SE": [0]}},
        {"kernel_space": {"RBF": [1]}},
        {"fdr": 0},
        {"n_svg": 0},
    ],
)
def test_impossible_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        STEP.Params(**params)


@pytest.mark.slow
def test_layer_markers_of_cortex(data: Path, section: Section) -> None:
    cortex = Section(section.root, data / "dlpfc_151673/outs")
    cortex.run(catalogue.get("read.visium"))
    cortex.run(STEP)
    ranks = pd.Series(cortex.slots["var/spatialde.rank"], index=cortex.slots["axes/var"])
    markers = ["MOBP", "PLP1", "MBP", "GFAP", "PCP4", "SNAP25", "NEFL"]
    assert (ranks[markers] <= 100).all(), ranks[markers]
