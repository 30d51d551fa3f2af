"""Destinations: what is filled into the path of an export, and what is misspelt."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from spatialrun.steps import catalogue

TABLE, MUDATA = catalogue.get("export.table"), catalogue.get("export.h5mu")


@pytest.mark.parametrize(
    "path",
    [
        "{sample}.csv",
        "{sample}/{sample}_svg.csv",
        "plain.csv",
        "${FOLDER}/{sample}.csv",
        "a{1,2}.csv",
        "{}.csv",
        "{a.csv",
    ],
)
def test_paths_that_can_be(path):
    assert TABLE.Params(path=path, what="var").path == path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("{smaple}.csv", r"unknown {smaple}; did you mean {sample}\?"),
        ("{sample}/{SAMPLE}.csv", r"unknown {SAMPLE}; did you mean {sample}\?"),
        ("{ sample }.csv", r"unknown { sample }; did you mean {sample}\?"),
        ("{x}.csv", r"unknown {x}; filled in is {sample}"),
    ],
)
def test_placeholders_that_nobody_fills_in(path, said):
    with pytest.raises(ValidationError, match=said):
        TABLE.Params(path=path, what="var")


def test_exports_of_all_samples_too():
    with pytest.raises(ValidationError, match=r"unknown {smaple}"):
        MUDATA.Params(path="{smaple}.h5mu")
