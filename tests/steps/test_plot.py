from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from memory import Section
from pydantic import ValidationError

from spatialrun.errors import DataError
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Site
from spatialrun.steps.plot import PlotSpatial
from spatialrun.steps.shown import panels_of

STEP = catalogue.get("plot.spatial")


def slots(declared: set[str], **params: Any) -> set[str]:
    return {read.slot for read in STEP.reads(STEP.Params(**params), Site(declared=frozenset(declared)))}


def shown(section: Section, **params: Any) -> list[tuple[str, str | None]]:
    model = STEP.Params(**params)
    assert isinstance(STEP, PlotSpatial)
    return [(panel.name, panel.label) for panel in panels_of(section.inputs(STEP, model), model)]


def test_a_color_is_a_column_where_there_is_one() -> None:
    assert slots({"obs/CSTB"}, color="CSTB") == {"obsm/spatial", "uns/spatial", "obs/CSTB"}
    assert "layers/counts" in slots(set(), color="CSTB")
    assert "obs/CSTB" not in slots({"obs/CSTB"}, color="gene:CSTB")
    assert "obs/CSTB" in slots(set(), color="obs:CSTB")


def test_genes_come_from_the_best_layer() -> None:
    assert "layers/lognorm" in slots({"layers/lognorm", "layers/counts"}, color="CSTB")
    assert "layers/norm" in slots({"layers/lognorm"}, color="CSTB", layer="norm")
    assert "axes/var" in slots({"layers/lognorm"}, color="CSTB")


def test_the_image_is_the_best_there_is() -> None:
    assert "images/hires" in slots({"images/hires", "images/lowres"})
    assert "images/lowres" in slots({"images/lowres"})
    assert "images/hires" in slots(set(), channels=["hires/r"])
    assert not any(slot.startswith("images/") for slot in slots({"images/hires"}, channels=None))


def test_the_best_genes(section: Section) -> None:
    color = {"top": 3, "by": "score.rank"}
    assert [name for name, _ in shown(section, color=color)] == ["GENE49", "GENE48", "GENE47"]
    first = shown(section, color=color | {"descending": True})[0]
    assert first == ("GENE0", "counts")
    assert len(shown(section, color=color | {"top": 100})) == 50


@pytest.mark.parametrize("name", ["plot.spatial", "plot.cohort", "plot.embedding", "plot.genes"])
def test_a_colour_map_that_is_none_is_a_mistake_of_the_recipe(name: str) -> None:
    """Found before hours of work, not at their end."""
    Params = catalogue.get(name).Params
    needed = {"groupby": "layer"} if name == "plot.genes" else {}
    assert Params(cmap="magma", **needed).model_dump()["cmap"] == "magma"
    with pytest.raises(ValidationError, match="did you mean 'viridis'"):
        Params(cmap="virids", **needed)


def test_a_colour_that_is_none_is_a_mistake_of_the_recipe() -> None:
    STEP.Params(palette={"WM": "navy", "L1": "#ff0000"}, na_color="0.8")
    for wrong in ({"palette": {"WM": "nayv"}}, {"palette": ["#12"]}, {"na_color": "gray80"}):
        with pytest.raises(ValidationError, match="no colour"):
            STEP.Params(**wrong)


def test_panels_in_the_order_of_the_recipe(section: Section) -> None:
    panels = shown(section, color=["GENE3", "layer", "gene:GENE1", "obs:expert"])
    assert [name for name, _ in panels] == ["GENE3", "layer", "GENE1", "expert"]


@pytest.mark.parametrize(("format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_formats(section: Section, format: str, start: bytes) -> None:
    section.run(STEP, color="layer", channels=["hires/r", "hires/g"], format=format, dpi=40)
    figure = section.slots["figures/spatial"]
    assert figure.suffix == f".{format}"
    assert figure.content.startswith(start)


def test_the_notebook_s_call(section: Section) -> None:
    section.run(
        STEP,
        channels=["hires/r", "hires/g", "hires/b"],
        color="GENE7",
        xrange=[100, 600],
        yrange=[100, 900],
        figsize=[5, 5],
        ptsize=15,
    )


def test_without_image_or_scale(section: Section) -> None:
    for slot in ("images/hires", "images/lowres", "uns/spatial"):
        del section.slots[slot]
    section.run(STEP, dpi=40)


def test_the_log_says_how_the_scale_is_known(section: Section) -> None:
    """Spots are 100 pixels apart, and 100 µm."""
    (line,) = section.run(STEP, dpi=40).logs
    assert line.startswith("1 µm per full-resolution pixel: ")
    assert line.endswith("neighbouring spots of Visium are 100 µm apart")
    del section.slots["figures/spatial"], section.slots["uns/spatial"]
    (line,) = section.run(STEP, dpi=40).logs
    assert line.startswith("no scale bar: ")
    del section.slots["figures/spatial"]
    assert section.run(STEP, dpi=40, scale_bar=False).logs == []


def test_unknown_gene(section: Section) -> None:
    with pytest.raises(DataError, match="'MT-CO2'") as error:
        section.run(STEP, color="MT-CO2")
    assert error.value.code == "data.values"
    assert error.value.hint is not None
    assert "MT-CO1" in error.value.hint


def test_unknown_channel(section: Section) -> None:
    with pytest.raises(DataError, match="no channel 'dapi'") as error:
        section.run(STEP, channels=["hires/dapi"])
    assert error.value.code == "data.image"


def test_nothing_is_ranked(section: Section) -> None:
    section.slots["var/score.rank"] = np.full(60, np.nan)
    with pytest.raises(DataError, match="no gene has a rank"):
        section.run(STEP, color={"top": 2, "by": "score.rank"})


@pytest.mark.parametrize(
    "params",
    [
        {"channels": ["hires/r", "lowres/g"]},
        {"channels": ["hires"]},
        {"channels": []},
        {"xrange": [10, 5]},
        {"vmax": "99%"},
        {"color": {"top": 0, "by": "x"}},
        {"format": "jpg"},
        {"colour": "CSTB"},
    ],
)
def test_impossible_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        STEP.Params(**params)
