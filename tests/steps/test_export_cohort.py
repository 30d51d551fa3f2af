from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from memory import Cohort, Section, half_of
from profiler import frames_held
from pydantic import ValidationError
from spatialdata_environment import succeed

from spatialrun.steps import catalogue

H5MU, SPATIALDATA, VITESSCE = (
    catalogue.get(f"export.{name}") for name in ("h5mu", "spatialdata", "vitessce")
)


@pytest.fixture
def cohort(section: Section) -> Cohort:
    half = half_of(section)
    half.slots["obs/only_here"] = np.arange(48) % 2 == 0
    del half.slots["images/lowres"]
    return Cohort(section.root, {"one": section, "half": half})


def test_h5mu_opens_in_mudata(cohort: Cohort) -> None:
    import mudata

    cohort.run(H5MU, path="out/all.h5mu")
    with mudata.set_options(pull_on_update=False):
        data = mudata.read_h5mu(cohort.root / "out/all.h5mu")
    joined = data["spatial-bin"]
    one, half = cohort.members["one"].slots, cohort.members["half"].slots
    assert joined.shape == (96 + 48, 60)
    assert list(joined.obs["sample"].value_counts()[["one", "half"]]) == [96, 48]
    assert joined.obs_names[96] == f"half:{half['axes/obs'][0]}"
    # The half has its genes in another order.
    np.testing.assert_array_equal(joined.X[:96].toarray(), one["layers/counts"].toarray())
    np.testing.assert_array_equal(joined.X[96:].toarray(), one["layers/counts"][::2].toarray())
    assert list(joined.uns["spatial"]) == ["half", "one"]
    assert joined.uns["spatial"]["one"]["images"]["hires"].shape == (130, 130, 3)
    assert list(joined.uns["one"]["notes"]["domain"]) == ["b", "a"]
    assert isinstance(joined.obs["expert"].dtype, pd.CategoricalDtype)
    assert joined.obs["only_here"].isna().sum() == 96


def test_h5mu_is_the_same_though_a_profiler_looks_on(cohort: Cohort) -> None:
    def written(name: str) -> bytes:
        cohort.run(H5MU, path=f"{name}.h5mu")
        return (cohort.root / f"{name}.h5mu").read_bytes()

    alone = written("alone")
    with frames_held():
        assert [written(f"watched{n}") == alone for n in range(6)] == [True] * 6


def test_columns_of_genes_that_differ_are_kept_for_each(cohort: Cohort) -> None:
    import mudata

    half = cohort.members["half"].slots
    for name in ("gene_ids", "chosen"):  # as its genes are ordered
        half[f"var/{name}"] = half[f"var/{name}"][::-1]
    del half["var/score.rank"]
    half["var/chosen"] = ~half["var/chosen"]
    cohort.run(H5MU, path="all.h5mu", modality="rna")
    with mudata.set_options(pull_on_update=False):
        var = mudata.read_h5mu(cohort.root / "all.h5mu")["rna"].var
    assert set(var) == {"gene_ids", "one:chosen", "half:chosen", "one:score.rank"}
    assert (var["one:chosen"] != var["half:chosen"]).all()


def test_a_view_of_every_sample(cohort: Cohort) -> None:
    cohort.run(
        VITESSCE, path="out/view.json", data="all.zarr", groups=["layer", "only_here"], image_key="lowres"
    )
    view = json.loads((cohort.root / "out/view.json").read_text())
    one, half = (dataset["files"][0] for dataset in view["datasets"])
    assert one["url"] == half["url"] == "http://localhost:9000/all.zarr"
    assert one["options"]["image"]["path"] == "images/one_lowres"
    assert "image" not in half["options"]
    assert [group["name"] for group in one["options"]["obsSets"]["obsSets"]] == ["layer"]
    assert [group["name"] for group in half["options"]["obsSets"]["obsSets"]] == ["layer", "only_here"]


@pytest.mark.parametrize(
    ("step", "params"),
    [
        (H5MU, {"path": "a.h5ad"}),
        (SPATIALDATA, {"path": "a"}),
        (VITESSCE, {"path": "a.json", "data": "a.zarr", "url": "javascript:alert(1)"}),
    ],
)
def test_impossible_parameters(step, params) -> None:
    with pytest.raises(ValidationError):
        step.Params(**params)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_others_open_what_is_written(cohort: Cohort, spatialdata_python: str | Path) -> None:
    """spatialdata, squidpy and vitessce themselves; what is written agrees with the slots."""
    root = cohort.root
    cohort.run(SPATIALDATA, path="out/all.zarr")
    cohort.run(VITESSCE, path="out/view.json", data="all.zarr", groups=["layer"])
    section = cohort.members["one"]
    section.run(catalogue.get("export.h5ad"), path="out/one.h5ad")
    script = Path(__file__).with_name("open_exports.py")
    exports = [root / "out" / name for name in ("all.zarr", "one.h5ad", "view.json", "found.json")]
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    succeed(spatialdata_python, script, *exports, cwd=elsewhere)
    assert (root / "out/scatter.png").is_file()
    assert list(elsewhere.iterdir()) == []
    found = json.loads(exports[-1].read_text())
    assert found["systems"] == ["half", "one"]
    for name, member in cohort.members.items():
        n = len(member.slots["axes/obs"])
        sample = found["samples"][name]
        assert (sample["shape"], sample["joined"]) == ([n, 60], n)
        assert sample["circles"] == [n, 30.0]
        assert sample["centre"] == list(member.slots["obsm/spatial"][5])
        assert sample["scalef"] == pytest.approx(0.1)
    # Layers are neighbours of themselves.
    enrichment = np.array(found["enrichment"])
    assert (np.diag(enrichment) > 0).all()
    assert enrichment[0, 1] < 0
    written = json.loads((root / "out/view.json").read_text())
    for part in ("version", "datasets", "layout"):
        assert found["view"][part] == written[part]
