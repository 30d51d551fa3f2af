from __future__ import annotations

import numpy as np
import pytest
from memory import Section
from pydantic import ValidationError

from spatialrun.errors import DataError
from spatialrun.steps import catalogue
from spatialrun.steps.contract import parameter_names

VARIABLE, SELECT = catalogue.get("genes.variable"), catalogue.get("genes.select")


def test_variable_genes(section: Section) -> None:
    section.run(VARIABLE, n_top_genes=12)
    ranks, mask = section.slots["var/vst.hvg.rank"], section.slots["var/vst.hvg"]
    assert sorted(ranks) == list(range(1, 61))
    assert mask.sum() == 12
    assert (mask == (ranks <= 12)).all()
    assert section.slots["var/vst.vars.norm"].argmax() == ranks.argmin()


def test_number_of_genes_is_late() -> None:
    assert parameter_names(VARIABLE.Params, "late") == {"n_top_genes"}


def test_more_genes_than_there_are(section: Section) -> None:
    context = section.run(VARIABLE, n_top_genes=1000)
    assert section.slots["var/vst.hvg"].all()
    assert len(context.warnings) == 1


def test_masks_are_combined(section: Section) -> None:
    section.slots["var/late"] = np.arange(60) >= 30
    section.slots["var/even"] = np.arange(60) % 2 == 0
    context = section.run(SELECT, all_of=["chosen"], any_of=["late"], none_of=["even"], key_added="mine")
    assert list(np.flatnonzero(section.slots["var/mine"])) == [33, 39, 45, 51, 57]
    assert context.logs == ["5 of 60 genes are selected"]


def test_a_column_that_is_no_mask(section: Section) -> None:
    with pytest.raises(DataError, match="float64") as error:
        section.run(SELECT, all_of=["score.rank"])
    assert error.value.code == "data.values"


def test_nothing_to_select_by() -> None:
    with pytest.raises(ValidationError, match="at least one"):
        SELECT.Params()
