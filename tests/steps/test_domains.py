"""Domains of one sample and of a cohort, as steps; what they find is tested beside the methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from memory import Cohort, Section, half_of
from pydantic import ValidationError

from spatialrun.errors import DataError
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Site

MULTISPATI, SPAGCN = catalogue.get("domains.multispati"), catalogue.get("domains.spagcn")
JOINT_MULTISPATI, JOINT_SPAGCN = catalogue.get("integrate.multispati"), catalogue.get("integrate.spagcn")
FEW: dict[str, dict[str, Any]] = {
    "multispati": {"n_clusters": 2, "n_pcs": 12, "n_components": 6},
    "spagcn": {"n_clusters": 2, "num_pcs": 4},
}
"""Parameters for a section of 96 spots and 60 genes."""


@pytest.fixture
def section(section: Section) -> Section:
    """The small section, normalised."""
    section.slots.pop("layers/lognorm", None)
    section.run(catalogue.get("normalize.log"))
    return section


@pytest.fixture
def pair(section: Section) -> Cohort:
    return Cohort(section.root, {"one": section, "half": half_of(section)})


def agreement(section: Section, column: str) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(section.slots["obs/layer"], section.slots[f"obs/{column}"]))


def code(error: pytest.ExceptionInfo[DataError]) -> str:
    return error.value.code


def test_columns_have_the_names_of_the_notebook(section: Section) -> None:
    section.run(SPAGCN, **FEW["spagcn"])
    section.run(MULTISPATI, **FEW["multispati"])
    for column in ("spagcn.domain", "spagcn.refined", "multispati.domain", "multispati.refined"):
        labels = section.slots[f"obs/{column}"]
        assert isinstance(labels, pd.Categorical)
        assert list(labels.categories) == ["0", "1"]
        assert agreement(section, column) > 0.9, column


def test_domains_are_numbered_by_size(section: Section) -> None:
    section.run(MULTISPATI, **FEW["multispati"] | {"n_clusters": 5})
    sizes = np.bincount(section.slots["obs/multispati.domain"].codes)
    assert len(sizes) == 5
    assert (np.diff(sizes) <= 0).all()


def test_marked_genes_are_used(section: Section) -> None:
    section.slots["var/telling"] = np.arange(60) < 20
    section.run(MULTISPATI, **FEW["multispati"], genes="telling")
    assert agreement(section, "multispati.domain") == 1
    section.slots["var/none"] = np.zeros(60, dtype=bool)
    for column, what in (("none", "marks no gene"), ("score.rank", "holds float64")):
        with pytest.raises(DataError, match=what) as error:
            section.run(MULTISPATI, **FEW["multispati"], genes=column, key_added="x", refined_key_added="y")
        assert (code(error), error.value.where.slot) == ("data.values", f"var/{column}")


def test_the_log_has_the_lines_of_the_notebook(section: Section) -> None:
    context = section.run(SPAGCN, **FEW["spagcn"])
    assert context.logs[0] == "calculating adjacency matrix from xy coordinates only."
    assert context.logs[1].startswith("recommended l = ")
    assert "stopping at epoch" in context.logs[2]
    context = section.run(
        SPAGCN, **FEW["spagcn"], histology=True, key_added="with.he", refined_key_added="with.he.refined"
    )
    assert context.logs[0] == "calculating adjacency matrix from spatial coords + histology image."


def test_another_number_of_domains_is_a_warning(section: Section) -> None:
    asked = FEW["spagcn"] | {"n_clusters": 30, "search": "reference"}
    context = section.run(SPAGCN, **asked)
    n_found = len(section.slots["obs/spagcn.domain"].categories)
    assert n_found != 30
    assert any(line.startswith("search_res starting at res = 0.70, step = 0.10") for line in context.logs)
    (warning,) = context.warnings
    assert warning.startswith("n_clusters 30 was asked for, and the reference's search ended at")
    assert f" {n_found} domains" in warning


def test_the_image_is_read_only_where_histology_asks_for_it() -> None:
    def slots(**params: Any) -> list[str]:
        return [read.slot for read in SPAGCN.reads(SPAGCN.Params(**params), Site())]

    assert slots() == ["layers/lognorm", "obsm/spatial"]
    assert slots(histology=True)[2:] == ["images/hires"]
    assert slots(histology=True, channels=["lowres/g"])[2:] == ["images/lowres"]
    assert slots(channels=None) == slots()


def test_channels_are_those_of_one_image(section: Section) -> None:
    for channels in (["hires/r", "lowres/g"], ["hires"], []):
        with pytest.raises(ValidationError, match="channels of one image"):
            SPAGCN.Params(channels=channels)
    with pytest.raises(ValidationError, match="`histology` needs `channels`"):
        SPAGCN.Params(histology=True, channels=None)
    with pytest.raises(DataError, match="no channel 'dapi'") as error:
        section.run(SPAGCN, **FEW["spagcn"], histology=True, channels=["hires/dapi"])
    assert (code(error), error.value.where.slot) == ("data.image", "images/hires")


@pytest.mark.parametrize("step", [MULTISPATI, SPAGCN, JOINT_MULTISPATI, JOINT_SPAGCN])
def test_one_domain_is_no_partition(step: Any) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        step.Params(n_clusters=1)


@pytest.mark.parametrize(("step", "family"), [(MULTISPATI, "multispati"), (SPAGCN, "spagcn")])
def test_impossible_samples(section: Section, step: Any, family: str) -> None:
    with pytest.raises(DataError, match="there are 96 spots") as error:
        section.run(step, **FEW[family] | {"n_clusters": 97})
    assert code(error) == "data.values"
    with pytest.raises(DataError, match=r"components asked of \d\d genes") as error:
        section.run(step, **FEW[family] | {"n_pcs" if family == "multispati" else "num_pcs": 60})
    assert code(error) == "data.values"
    for layer in ("counts", "lognorm"):
        section.slots[f"layers/{layer}"].data[:] = 0
        section.slots[f"layers/{layer}"].eliminate_zeros()
    with pytest.raises(DataError, match="same value in all 96 spots") as error:
        section.run(step, **FEW[family])
    assert code(error) == "data.values"


def test_components_of_components() -> None:
    with pytest.raises(ValidationError, match="n_components 20 are made of only n_pcs 10"):
        MULTISPATI.Params(n_pcs=10)


@pytest.mark.parametrize(("step", "family"), [(JOINT_MULTISPATI, "multispati"), (JOINT_SPAGCN, "spagcn")])
def test_samples_share_domains(pair: Cohort, step: Any, family: str) -> None:
    context = pair.run(step, **FEW[family])
    assert "2 samples share 60 genes." in context.logs
    one, half = (member.slots["obs/integrated"] for member in pair.members.values())
    assert (len(one), len(half)) == (96, 48)
    assert list(one.categories) == list(half.categories) == ["0", "1"]
    assert (np.asarray(one)[::2] == np.asarray(half)).mean() > 0.9
    assert "obs/integrated.refined" in pair.members["half"].slots


def test_a_member_that_lacks_a_domain_has_its_category(pair: Cohort) -> None:
    """So that the third domain has one colour in the figures of all samples."""
    counts = pair.members["one"].slots["layers/counts"].tolil()
    counts[:12] = counts[:12].multiply(0)
    counts[:12, 40:45] = 60
    pair.members["one"].slots["layers/counts"] = counts.tocsc().astype(np.int32)
    pair.run(JOINT_MULTISPATI, **FEW["multispati"] | {"n_clusters": 3})
    half = pair.members["half"].slots["obs/integrated"]
    assert list(half.categories) == ["0", "1", "2"]
    assert set(half) < {"0", "1", "2"}


def test_an_image_that_is_not_the_members(pair: Cohort) -> None:
    far = pair.members["half"].slots
    far["obsm/spatial"] = far["obsm/spatial"] + 10_000
    with pytest.raises(DataError, match="lie outside of the image") as error:
        pair.run(JOINT_SPAGCN, **FEW["spagcn"], histology=True)
    assert (code(error), error.value.where.sample) == ("data.image", "half")


@pytest.mark.parametrize(("step", "family"), [(JOINT_MULTISPATI, "multispati"), (JOINT_SPAGCN, "spagcn")])
def test_samples_without_a_shared_gene(pair: Cohort, step: Any, family: str) -> None:
    genes = pair.members["half"].slots["axes/var"]
    pair.members["half"].slots["axes/var"] = np.array([f"mm10-{gene}" for gene in genes], dtype=object)
    with pytest.raises(DataError, match="share no genes") as error:
        pair.run(step, **FEW[family])
    assert code(error) == "data.empty"


@pytest.mark.parametrize("step", [MULTISPATI, SPAGCN])
def test_the_same_seed_gives_the_same_labels(section: Section, step: Any) -> None:
    family = step.name.partition(".")[2]
    found = []
    for name in "ab":
        section.run(step, **FEW[family], seed=3, key_added=name, refined_key_added=f"{name}.refined")
        found.append(section.slots[f"obs/{name}"].codes)
    np.testing.assert_array_equal(*found)
