"""Markers against neighbouring domains; small and lonely domains get empty tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix

from spatialrun.methods import spagcn
from spatialrun.methods.spagcn import Filters, Surroundings
from spatialrun.methods.spagcn.surroundings import neighbours, pairs_within, search_radius

COLUMNS = [
    "gene",
    "pct.in",
    "pct.out",
    "ratio",
    "mean.in",
    "mean.out",
    "fc",
    "p",
    "q",
    "log10.q",
    "neighbours",
]


@pytest.fixture
def places() -> np.ndarray:
    """20 x 30 on a square lattice of 100."""
    row, column = np.divmod(np.arange(600), 30)
    return 100.0 * np.column_stack([column, row])


@pytest.fixture
def stripes(places) -> np.ndarray:
    """Five stripes of 120 spots."""
    return (places[:, 0] // 600).astype(int)


@pytest.fixture
def layer(stripes) -> csc_matrix:
    """Gene k is high in stripe k; the last gene is everywhere alike."""
    rng = np.random.default_rng(0)
    mean = np.column_stack([*(np.where(stripes == k, 8.0, 1.0) for k in range(5)), np.full(600, 4.0)])
    return csc_matrix(np.log1p(rng.poisson(mean)).astype(np.float32))


GENES = ["a", "b", "c", "d", "e", "everywhere"]


def beside(places, codes, target, radius, options):
    return neighbours(
        pairs_within(places, codes, target, radius), dict(enumerate(np.bincount(codes))), options
    )


def test_radius_holds_ten_to_fourteen_spots(places, stripes):
    options = Surroundings()
    target = stripes == 2
    radius = search_radius(places, target, options, lambda _: None)
    distance = np.linalg.norm(places[target][:, None] - places, axis=-1)
    assert 10 <= (distance <= radius).sum(axis=1).mean() <= 14


def test_neighbours_are_the_stripes_beside(places, stripes):
    assert set(beside(places, stripes, 2, 200.0, Surroundings(ratio=0.1))) == {1, 3}
    assert set(beside(places, stripes, 0, 200.0, Surroundings(ratio=0.1))) == {1}


def test_pairs_within_the_radius_are_counted_against_the_size(places, stripes):
    """At 100, every border spot sees one of the next stripe: 20 pairs of 120 spots."""
    assert beside(places, stripes, 0, 100.0, Surroundings(ratio=0.15)) == [1]
    both = beside(places, stripes, 2, 100.0, Surroundings(ratio=0.17))
    assert len(both) == 1, "none is frequent enough: the most frequent one"
    assert len(beside(places, stripes, 2, 200.0, Surroundings(ratio=0.0, num_neighbours=1))) == 1


def test_each_stripe_has_its_gene(places, stripes, layer):
    lines: list[str] = []
    tables = spagcn.markers(layer, places, pd.Categorical(stripes.astype(str)), GENES, log=lines.append)
    assert list(tables) == list("01234")
    for domain, table in tables.items():
        assert list(table.columns) == COLUMNS
        assert list(table["gene"]) == [GENES[int(domain)]]
        assert (table["log10.q"] > 10).all()
    assert any(line.startswith("domain 2: 1 markers against") for line in lines)


def test_sorted_by_fold_change_and_filtered(places, stripes, layer):
    loose = Filters(max_q=1.1, min_in_group_fraction=0, min_in_out_group_ratio=0, min_fold_change=0)
    table = spagcn.markers(layer, places, pd.Categorical(stripes), GENES, filters=loose)["2"]
    assert len(table) == 6
    assert table["fc"].is_monotonic_decreasing
    assert table["q"].le(1).all()
    inside, around = stripes == 2, np.isin(stripes, [int(d) for d in table["neighbours"][0].split(",")])
    column = layer.toarray()[:, 2]
    row = table.set_index("gene").loc["c"]
    assert row["pct.in"] == pytest.approx((column[inside] > 0).mean())
    assert row["fc"] == pytest.approx(np.exp(column[inside].mean() - column[around].mean()))


def test_one_domain_has_no_neighbours(places, layer):
    lines: list[str] = []
    tables = spagcn.markers(layer, places, pd.Categorical(["x"] * 600), GENES, log=lines.append)
    assert len(tables["x"]) == 0
    assert list(tables["x"].columns) == COLUMNS
    assert lines == ["domain x has no neighbouring domain: no markers."]


def test_a_domain_of_three_spots_and_one_far_away(places, stripes, layer):
    domains = stripes.astype(str).astype(object)
    domains[[0, 1, 30]] = "corner"
    far = places.copy()
    far[stripes == 4] += 1e6
    tables = spagcn.markers(layer, far, pd.Categorical(domains), GENES)
    assert len(tables["4"]) == 0
    assert set(tables) == {"0", "1", "2", "3", "4", "corner"}


def test_a_radius_that_no_lattice_has_is_told(places, stripes):
    lines: list[str] = []
    options = Surroundings(num_min=6.01, num_max=6.02)
    search_radius(places[:2], np.array([True, True]), Surroundings(), lines.append)
    search_radius(places, np.ones(600, dtype=bool), options, lines.append)
    assert len(lines) == 2
    assert "no radius holds" in lines[0]


def test_spots_without_a_domain_are_nobodys_surroundings(places, stripes, layer):
    domains = pd.Categorical(np.where(stripes == 3, None, stripes.astype(str)))
    tables = spagcn.markers(layer, places, domains, GENES)
    assert "3" not in tables
    assert tables["2"]["neighbours"].eq("1").all()


@pytest.mark.slow
def test_white_matter_of_cortex(cortex):
    own = cortex["dlpfc_151673"]
    result = spagcn.domains(own.lognorm, own.places, 7)
    domains = pd.Categorical(result.refined.astype(str))
    tables = spagcn.markers(own.lognorm, own.places, domains, own.genes)
    assert len(tables) == 7
    white = pd.Series(own.truth == "WM").groupby(result.refined).mean().idxmax()
    assert {"MOBP", "PLP1", "MBP"} & set(tables[str(white)]["gene"])
