from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lab import Lab
from memory import Cohort, Section, half_of
from pydantic import ValidationError

from spatialrun.errors import DataError, RecipeErrors, StoreError
from spatialrun.experiment import open_experiment
from spatialrun.steps import catalogue
from spatialrun.store.digests import value_digest

MARKERS = catalogue.get("markers.spagcn")
MARKERS_COHORT = catalogue.get("markers.cohort")
METAGENE = catalogue.get("metagene.spagcn")
METAGENE_COHORT = catalogue.get("metagene.cohort")


@pytest.fixture
def normalised(section: Section) -> Section:
    section.run(catalogue.get("normalize.log"))
    return section


def rows(section: Section, domain: str, name: str = "spagcn.markers") -> pd.DataFrame:
    table = section.slots[f"uns/{name}"]
    return table[table["domain"] == domain]


def test_layers_have_their_genes(normalised: Section) -> None:
    """Of the first twenty genes every second one is high in the upper layer, the others in the lower."""
    context = normalised.run(MARKERS, groupby="layer")
    upper = {f"GENE{i}" for i in range(0, 20, 2)}
    found = rows(normalised, "upper")
    assert len(found) >= 2
    assert set(found["gene"]) <= upper
    assert not set(rows(normalised, "lower")["gene"]) & upper
    assert found["fc"].is_monotonic_decreasing
    assert set(found["neighbours"]) == {"lower"}
    assert [line.split()[1] for line in context.logs] == ["lower:", "upper:"]


def test_a_domain_of_three_spots_and_one_far_away(normalised: Section) -> None:
    domains = normalised.slots["obs/layer"].astype(object)
    domains[:3] = "few"
    domains[-16:] = "far"
    normalised.slots["obs/named"] = pd.Categorical(domains)
    normalised.slots["obsm/spatial"][-16:] += 1e6
    context = normalised.run(MARKERS, groupby="named")
    table = normalised.slots["uns/spagcn.markers"]
    assert list(table["domain"].cat.categories) == ["far", "few", "lower", "upper"]
    assert len(rows(normalised, "far")) == 0
    assert "domain far has no neighbouring domain: no markers." in context.logs
    assert any(line.startswith("domain few: ") for line in context.logs)
    context = normalised.run(METAGENE, groupby="named", target_cluster="far")
    assert "domain far has no marker to start from in spagcn.markers" in context.logs
    normalised.run(METAGENE, groupby="named", target_cluster="few")


def test_one_domain(normalised: Section) -> None:
    normalised.slots["obs/one"] = pd.Categorical(["all"] * 96)
    context = normalised.run(MARKERS, groupby="one")
    table = normalised.slots["uns/spagcn.markers"]
    assert len(table) == 0
    assert context.logs == ["domain all has no neighbouring domain: no markers."]
    with pytest.raises(DataError, match="holds all spots"):
        normalised.run(METAGENE, groupby="one", target_cluster="all")


def test_genes_that_are_constant(normalised: Section) -> None:
    normalised.slots["layers/lognorm"] = normalised.slots["layers/lognorm"] * 0
    context = normalised.run(MARKERS, groupby="layer")
    assert len(normalised.slots["uns/spagcn.markers"]) == 0
    assert context.logs[0].startswith("domain lower: 0 markers")


def test_threads_make_no_difference(normalised: Section) -> None:
    loose = {"groupby": "expert", "min_in_group_fraction": 0, "min_fold_change": 1, "max_q": 1}
    normalised.run(MARKERS, **loose)
    normalised.threads = 2
    normalised.run(MARKERS, **loose, key_added="again")
    first, again = (normalised.slots[f"uns/{name}"] for name in ("spagcn.markers", "again"))
    assert len(first) > 20
    assert value_digest(first) == value_digest(again)


def test_a_metagene_starts_from_the_first_marker(normalised: Section) -> None:
    normalised.run(MARKERS, groupby="layer")
    context = normalised.run(METAGENE, groupby="layer", target_cluster="upper")
    about = normalised.slots["uns/metagene.upper"]
    assert about["formula"].split()[0] == rows(normalised, "upper")["gene"].iloc[0]
    assert context.logs[-2] == f"meta gene: {about['formula']}"
    values, inside = normalised.slots["obs/metagene.upper"], normalised.slots["obs/layer"] == "upper"
    above = values[inside][:, None] - values[~inside]
    assert about["auc"] == pytest.approx((above > 0).mean() + (above == 0).mean() / 2)
    assert about["auc"] > 0.8
    assert values.min() == 0


def test_a_start_gene_of_ones_own(normalised: Section) -> None:
    assert "uns/spagcn.markers" not in normalised.slots
    normalised.run(METAGENE, groupby="layer", target_cluster="lower", start_gene="GENE3", key_added="mine")
    assert normalised.slots["uns/mine"]["formula"].startswith("GENE3")


def test_numbers_name_domains() -> None:
    params = METAGENE.Params(target_cluster=17)
    assert params.target_cluster == "17"
    assert params.key == "metagene.17"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"target_cluster": "middle"}, "no domain 'middle'"),
        ({"target_cluster": "upper", "start_gene": "GENE99"}, "no gene 'GENE99'"),
        ({"target_cluster": "upper", "groupby": "scores"}, "numbers with fractions"),
        ({"target_cluster": "upper", "groupby": "none"}, "no spot has a domain in none"),
    ],
)
def test_metagenes_that_cannot_be(normalised: Section, params: Mapping[str, Any], message: str) -> None:
    normalised.slots["obs/scores"] = np.linspace(0, 1, 96)
    normalised.slots["obs/none"] = pd.Categorical([None] * 96, categories=["upper"])
    with pytest.raises(DataError, match=message) as error:
        normalised.run(METAGENE, **{"groupby": "layer", **params})
    assert error.value.code == "data.values"


@pytest.mark.parametrize(
    "params",
    [{"radius_quantiles": [0.1, 0.1]}, {"num_min": 15}, {"max_q": 0}, {"num_neighbours": 0}],
)
def test_impossible_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MARKERS.Params(**params)


class TestCohort:
    @pytest.fixture
    def cohort(self, normalised: Section) -> Cohort:
        """The section, and every second spot of it with its genes turned round."""
        return Cohort(normalised.root, {"one": normalised, "half": half_of(normalised)})

    def test_markers_are_of_all_spots(self, cohort: Cohort) -> None:
        from spatialrun.methods.spagcn.ranksum import compare

        context = cohort.run(MARKERS_COHORT, groupby="layer", min_fold_change=1)
        table = cohort.together["uns/spagcn.markers"]
        assert context.logs[0] == "2 samples share 60 genes."
        assert set(table["domain"]) == {"upper", "lower"}
        layer = cohort.members["one"].slots["layers/lognorm"]
        upper = np.asarray(cohort.members["one"].slots["obs/layer"] == "upper")
        counted = np.concatenate([np.arange(96), np.arange(0, 96, 2)])
        expected = compare(layer[counted].tocsc(), upper[counted], ~upper[counted])
        own = table[table["domain"] == "upper"].set_index("gene")
        for gene in own.index:
            assert own["mean.in"][gene] == pytest.approx(expected.mean_in[int(gene[4:])])
            assert np.log(own["p"][gene]) == pytest.approx(expected.log_p[int(gene[4:])])

    def test_samples_do_not_border_on_each_other(self, cohort: Cohort) -> None:
        """Both lie at the same places; each holds one domain alone."""
        for name, domain in (("one", "a"), ("half", "b")):
            n = len(cohort.members[name].slots["axes/obs"])
            cohort.members[name].slots["obs/own"] = pd.Categorical([domain] * n)
        context = cohort.run(MARKERS_COHORT, groupby="own")
        assert context.logs[1:] == [
            "domain a has no neighbouring domain: no markers.",
            "domain b has no neighbouring domain: no markers.",
        ]

    def test_one_metagene_for_all(self, cohort: Cohort) -> None:
        cohort.run(MARKERS_COHORT, groupby="layer")
        cohort.run(METAGENE_COHORT, groupby="layer", target_cluster="upper")
        one, half = (member.slots["obs/metagene.upper"] for member in cohort.members.values())
        np.testing.assert_allclose(half, one[::2])
        formula = cohort.together["uns/metagene.upper"]["formula"]
        table = cohort.together["uns/spagcn.markers"]
        assert formula.split()[0] == table[table["domain"] == "upper"]["gene"].iloc[0]

    def test_a_sample_without_domains_is_named(self, cohort: Cohort) -> None:
        cohort.members["half"].slots["obs/layer"] = pd.Categorical([None] * 48, categories=["upper"])
        with pytest.raises(DataError, match="no spot has a domain") as error:
            cohort.run(MARKERS_COHORT, groupby="layer")
        assert error.value.where.sample == "half"


STEPS = """\
  - {uses: read.visium, with: {min_spots: 3}}
  - {uses: normalize.log}
  - {uses: domains.multispati, with: {n_clusters: 3, n_pcs: 20, starts: 10}}
  - {uses: markers.spagcn, with: {groupby: multispati.refined, min_in_group_fraction: 0.1}}
  - {uses: metagene.spagcn, with: {groupby: multispati.refined, target_cluster: 0}}
  - {uses: plot.spatial, with: {color: metagene.0, dpi: 40}}
"""


def test_through_the_engine(lab: Lab) -> None:
    lab.steps = STEPS
    outcome = lab.apply()
    assert outcome.run.status == "done", outcome.errors
    experiment = open_experiment(lab.store)
    own = experiment.markers("a", 0)
    assert own.columns[0] == "gene"
    assert own["fc"].is_monotonic_decreasing
    assert sum(len(experiment.markers("a", domain)) for domain in range(3)) == len(
        experiment.table("a", "spagcn.markers")
    )
    with pytest.raises(StoreError, match="no domain '3'") as error:
        experiment.markers("a", 3)
    assert error.value.code == "store.unknown-name"
    with pytest.raises(StoreError, match="no table of domains 'var'"):
        experiment.markers("a", 0, "var")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("groupby: multispati.refined, min", "groupby: multispati.refind, min", "obs/multispati.refined"),
        ("target_cluster: 0}", "target_cluster: 0, key_svg: markers}", None),
        ("color: metagene.0", "color: 'obs:metagene.1'", "obs/metagene.0"),
    ],
)
def test_mistakes_of_a_recipe(lab: Lab, old: str, new: str, said: str | None) -> None:
    lab.steps = STEPS
    lab.edit(old, new)
    if said is None:  # a table that nobody writes is none to start from
        lab.load()
        return
    with pytest.raises(RecipeErrors) as error:
        lab.load()
    (problem,) = error.value.problems
    assert problem.code == "recipe.unwritten-read"
    assert said in str(problem)
    assert problem.where.line is not None


def test_white_matter_of_cortex(data: Path, section: Section) -> None:
    """Layers that experts drew: WM has the genes of myelin, and a metagene that tells it from all else."""
    cortex = Section(section.root, data / "dlpfc_151673/outs")
    cortex.run(catalogue.get("read.visium"), min_spots=3)
    cortex.run(catalogue.get("normalize.log"))
    cortex.run(catalogue.get("annotate.obs"), table=str(data / "dlpfc_151673/labels.csv"))
    cortex.run(MARKERS, groupby="layer")
    white = rows(cortex, "WM")
    assert {"MOBP", "PLP1", "MBP"} <= set(white["gene"])
    assert len(cortex.slots["uns/spagcn.markers"]["domain"].cat.categories) == 7
    cortex.run(METAGENE, groupby="layer", target_cluster="WM")
    assert cortex.slots["uns/metagene.WM"]["auc"] >= 0.95
    cortex.run(catalogue.get("plot.spatial"), color="metagene.WM")
