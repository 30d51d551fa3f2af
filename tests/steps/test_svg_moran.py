from __future__ import annotations

import numpy as np
import pytest
from memory import Section

from spatialrun.steps import catalogue
from spatialrun.steps.contract import parameter_names

STEP = catalogue.get("svg.moran")


def test_planted_genes_come_first(section: Section) -> None:
    section.run(catalogue.get("normalize.log"))
    context = section.run(STEP)
    slots = section.slots
    tested, rank, marked = (slots[f"var/moran.{name}"] for name in ("tested", "rank", "svg"))
    planted = np.arange(60) < 20
    assert planted[rank <= 12].all()
    assert marked.sum() >= 12
    assert planted[marked].mean() > 0.9
    assert context.logs[0].startswith("lattice: ")
    assert context.logs[1].startswith(f"tested {tested.sum()} of 60 genes")


def test_genes_of_few_spots_are_not_tested(section: Section) -> None:
    section.run(STEP, layer="counts", min_spots=30)
    seen = np.asarray((section.slots["layers/counts"] > 0).sum(axis=0)).ravel()
    np.testing.assert_array_equal(section.slots["var/moran.tested"], seen >= 30)
    for name in ("z", "pval", "padj", "rank"):
        assert np.isnan(section.slots[f"var/moran.{name}"][seen < 30]).all()


def test_only_what_makes_the_weights_is_early() -> None:
    late = parameter_names(STEP.Params, "late")
    assert late == {"assumption", "alternative", "min_spots", "n_svg", "fdr"}


def test_results_do_not_depend_on_blocks(section: Section, monkeypatch: pytest.MonkeyPatch) -> None:
    section.run(STEP, layer="counts")
    monkeypatch.setattr("spatialrun.steps.blocks.genes_per_block", lambda _: 7)
    section.run(STEP, layer="counts", key_added="again")
    np.testing.assert_array_equal(section.slots["var/moran.z"], section.slots["var/again.z"])
