from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from memory import Section
from pydantic import ValidationError

from spatialrun.errors import DataError
from spatialrun.steps import catalogue

OBS = catalogue.get("annotate.obs")


@pytest.fixture
def labels(section: Section) -> Path:
    path = section.root / "labels.csv"
    path.write_text("barcode,layer10,depth\nBC001-1,L2,3\nBC000-1,,1\nBC005-1,L10,2\nelsewhere,L1,9\n")
    return path


def test_all_columns_of_a_file(section: Section, labels: Path) -> None:
    context = section.run(OBS, table="labels.csv", prefix="expert.")
    column = section.slots["obs/expert.layer10"]
    assert list(column.categories) == ["L2", "L10"]
    assert pd.isna(column[0])
    assert column[1] == "L2"
    assert column.isna().sum() == len(column) - 2
    assert section.slots["obs/expert.depth"][5] == 2
    assert np.isnan(section.slots["obs/expert.depth"][4])
    assert context.logs == ["3 of 96 spots are in the table of 4 rows"]


def test_renamed_columns(section: Section, labels: Path) -> None:
    section.run(OBS, table="labels.csv", columns={"layer10": "truth"}, index="barcode")
    assert "obs/truth" in section.slots
    assert "obs/depth" not in section.slots


def test_a_table_of_the_sample(section: Section) -> None:
    section.run(OBS, slot="uns/notes", columns=["depth"], index="barcode")
    assert list(section.slots["obs/depth"][:2]) == [1.0, 2.5]


def test_genes(section: Section) -> None:
    (section.root / "markers.tsv").write_text("gene\tmarker\nGENE1\tyes\n")
    section.run(catalogue.get("annotate.var"), table="markers.tsv")
    assert section.slots["var/marker"][1] == "yes"


def test_no_spot_matches(section: Section) -> None:
    (section.root / "labels.csv").write_text("barcode,layer\nBC001,L1\n")
    with pytest.raises(DataError, match="none of 96 names") as error:
        section.run(OBS, table="labels.csv")
    assert error.value.code == "data.table"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"table": "labels.csv", "columns": ["layer1"]}, "no column 'layer1'"),
        ({"table": "labels.csv", "index": "spot"}, "'spot'"),
        ({"slot": "uns/notes", "columns": ["dpth"]}, "no column 'dpth'"),
    ],
)
def test_absent_columns(section: Section, labels: Path, params: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        section.run(OBS, **params)
    assert error.value.code == "data.table"


@pytest.mark.parametrize(
    "params", [{}, {"table": "a.csv", "slot": "uns/a"}, {"slot": "uns/notes"}, {"slot": "obs/a"}]
)
def test_impossible_parameters(params: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OBS.Params(**params)
