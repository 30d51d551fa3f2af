"""``plot.cohort``: every sample in one figure, with one scale of colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from memory import Cohort, Section, half_of

import spatialrun.plots.spatial
from spatialrun.errors import DataError
from spatialrun.plots import palettes
from spatialrun.steps import catalogue

STEP = catalogue.get("plot.cohort")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was drawn, before it became a file."""
    drawn: list[Any] = []
    panels = spatialrun.plots.spatial.panels

    def noted(*args: Any, **options: Any) -> Any:
        drawn.append(panels(*args, **options))
        return drawn[-1]

    monkeypatch.setattr(spatialrun.plots.spatial, "panels", noted)
    return drawn


@pytest.fixture
def cohort(section: Section) -> Cohort:
    return Cohort(section.root, {"one": section, "half": half_of(section)})


def colors(figure: Any, panel: int) -> set[str]:
    (spots,) = (c for c in figure.axes[panel].collections if isinstance(c, PathCollection))
    return {to_hex(color) for color in spots.get_facecolors()}


def test_samples_beside_each_other_with_one_key(cohort: Cohort, figures: list[Any]) -> None:
    cohort.run(STEP, color="GENE3", dpi=40)
    assert cohort.together["figures/cohort"].content.startswith(b"\x89PNG")
    (figure,) = figures
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "half", ""]
    highest = max(member.slots["layers/counts"][:, gene].max() for member, gene in _gene3(cohort))
    assert figure.axes[2].get_ylim() == (0, highest)


def test_the_key_says_what_is_drawn_where_no_title_does(cohort: Cohort, figures: list[Any]) -> None:
    cohort.run(STEP, color="GENE3", dpi=40)
    cohort.run(STEP, color="GENE3", title="{sample}: {color}", dpi=40)
    cohort.run(STEP, color="layer", dpi=40)
    cohort.run(STEP, color="layer", label="layers", dpi=40)
    cohort.run(STEP, dpi=40)
    gene, titled, column, labelled, plain = figures
    assert gene.axes[2].get_ylabel() == "GENE3, counts"
    assert titled.axes[2].get_ylabel() == "counts"
    assert column.legends[0].get_title().get_text() == "layer"
    assert labelled.legends[0].get_title().get_text() == "layers"
    assert plain.legends == []


def _gene3(cohort: Cohort) -> list[tuple[Section, int]]:
    return [
        (member, int(np.flatnonzero(member.slots["axes/var"] == "GENE3")[0]))
        for member in cohort.members.values()
    ]


def test_a_domain_has_one_colour_wherever_it_is(cohort: Cohort, figures: list[Any]) -> None:
    """Shared domains by number, of which the second sample has two; alone it has the same colours."""
    one, half = cohort.members.values()
    names = [str(number) for number in range(5)]
    one.slots["obs/integrated"] = pd.Categorical(np.resize(names, 96), names)
    half.slots["obs/integrated"] = pd.Categorical(np.resize(["1", "4"], 48), names)
    cohort.run(STEP, color="integrated", dpi=40)
    half.run(catalogue.get("plot.spatial"), color="integrated", dpi=40)
    together, alone = figures
    expected = {palettes.CATEGORICAL[1], palettes.CATEGORICAL[4]}
    assert colors(together, 1) == colors(alone, 0) == expected
    assert expected < colors(together, 0)
    assert len(together.legends) == 1


def test_a_gene_that_one_sample_lacks_is_missing_there(cohort: Cohort, figures: list[Any]) -> None:
    half = cohort.members["half"]
    half.slots["axes/var"] = np.where(half.slots["axes/var"] == "GENE3", "OTHER", half.slots["axes/var"])
    context = cohort.run(STEP, color="GENE3", dpi=40)
    assert context.warnings == ["half has no gene GENE3: its spots are drawn without a value"]
    assert colors(figures[0], 1) == {palettes.MISSING}


def test_a_gene_that_no_sample_has(cohort: Cohort) -> None:
    with pytest.raises(DataError, match="'GENE333'") as error:
        cohort.run(STEP, color="GENE333")
    assert error.value.hint is not None


def test_plain_spots(cohort: Cohort, figures: list[Any]) -> None:
    cohort.run(STEP, dpi=40)
    assert not figures[0].legends
