from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from memory import Section

from spatialrun.errors import DataError
from spatialrun.steps import catalogue

STEP = catalogue.get("compare.labels")


def test_tables(section: Section) -> None:
    context = section.run(STEP, labels="layer", annotation="expert", key_added="mine")
    scores = section.slots["uns/mine.scores"]["value"]
    assert context.measured == {name: scores[name] for name in ("ari", "nmi", "n_spots")}
    assert section.slots["uns/mine.scores"].loc["n_unlabelled", "value"] == 10
    assert list(section.slots["uns/mine.domains"].index) == ["lower", "upper"]
    assert section.slots["uns/mine.contingency"].to_numpy().sum() == 86


def test_empty_text_is_no_label(section: Section) -> None:
    section.slots["obs/partly"] = np.where(np.arange(96) < 90, "a", "").astype(object)
    section.run(STEP, labels="partly", annotation="layer")
    assert section.slots["uns/comparison.scores"].loc["n_spots", "value"] == 90


def test_whole_numbers_are_labels(section: Section) -> None:
    section.run(STEP, labels="array_row", annotation="layer")
    assert len(section.slots["uns/comparison.domains"]) == 12


def test_fractions_are_no_labels(section: Section) -> None:
    section.slots["obs/depth"] = np.linspace(0, 1, 96)
    with pytest.raises(DataError, match="fractions"):
        section.run(STEP, labels="depth", annotation="layer")


def test_no_labels_at_all(section: Section) -> None:
    section.slots["obs/none"] = pd.Categorical([None] * 96)
    with pytest.raises(DataError, match="no spot"):
        section.run(STEP, labels="none", annotation="layer")
