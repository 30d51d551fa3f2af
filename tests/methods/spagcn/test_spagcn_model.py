"""SpaGCN's domains: exactly as many as asked, the same for the same seed, one label set for a cohort."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from heard import Heard
from scipy.sparse import csc_matrix
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from spatialrun.errors import DataError
from spatialrun.methods import spagcn
from spatialrun.methods.spagcn import Options

SMALL = Options(num_pcs=20)


def found(section, n_clusters=4, options=SMALL, **changed):
    return spagcn.domains(section.lognorm, section.places, n_clusters, options=options, **changed)


def test_finds_the_layers(section):
    result = found(section)
    assert adjusted_rand_score(section.truth, result.refined) > 0.6
    assert result.embedding.shape == (700, 20)


@pytest.mark.parametrize("n_clusters", [2, 4, 9, 25])
def test_returns_exactly_as_many_domains(section, n_clusters):
    result = found(section, n_clusters)
    for labels in (result.domain, result.refined):
        assert set(labels) == set(range(n_clusters))
    assert (np.diff(np.bincount(result.domain)) <= 0).all()


def test_log_lines_of_the_notebook(section):
    heard = Heard()
    found(section, report=heard)
    lines = heard.lines
    assert lines[0] == "calculating adjacency matrix from xy coordinates only."
    assert re.fullmatch(r"recommended l = \d+\.\d+", lines[1])
    assert re.fullmatch(r"delta_label 0\.\d{6} < tol 0\.005, stopping at epoch (\d+)\.", lines[2])
    assert heard.units == ["starts", "epochs"]
    assert heard.warnings == []


def test_the_references_search(section):
    heard = Heard()
    result = found(section, options=Options(num_pcs=20, search="reference"), report=heard)
    assert "search_res starting at res = 0.70, step = 0.10." in heard.lines
    assert any(re.fullmatch(r"res = 0\.\d\d, n_clusters = \d+\.", line) for line in heard.lines)
    n = len(set(result.domain))
    assert len(heard.warnings) == (n != 4)


def test_the_references_search_says_when_it_ends_elsewhere(section):
    heard = Heard()
    result = found(section, 60, options=Options(num_pcs=20, search="reference"), report=heard)
    n = len(set(result.domain))
    assert n != 60
    assert (
        f"n_clusters 60 was asked for, and the reference's search ended at {n} domains" in heard.warnings[0]
    )


def test_the_same_seed_gives_the_same_labels_with_any_number_of_threads(section):
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(found(section, seed=3))
    np.testing.assert_array_equal(results[0].domain, results[1].domain)
    np.testing.assert_array_equal(results[0].embedding, results[1].embedding)


def test_histology_changes_the_graph(section):
    z = spagcn.histology_coordinate(section.places, section.image, section.scale)
    heard = Heard()
    result = found(section, histology=z, report=heard)
    assert heard.lines[0] == "calculating adjacency matrix from spatial coords + histology image."
    assert not np.array_equal(result.embedding, found(section).embedding)
    assert len(set(result.domain)) == 4


def test_cohort_gets_one_label_set(section):
    halves = [np.arange(0, 350), np.arange(350, 700)]
    order = np.random.default_rng(0).permutation(600)[:550]
    parts = spagcn.integrate(
        [section.lognorm[halves[0]].tocsc(), section.lognorm[halves[1]].tocsc()[:, order]],
        [section.places[half] for half in halves],
        [section.genes, section.genes[order]],
        4,
        options=SMALL,
    )
    assert [len(part.domain) for part in parts] == [350, 350]
    labels = np.concatenate([part.refined for part in parts])
    assert set(np.concatenate([part.domain for part in parts])) == set(range(4))
    assert adjusted_rand_score(section.truth, labels) > 0.5


@pytest.mark.parametrize("n_clusters", [1, 701])
def test_impossible_numbers_of_domains(section, n_clusters):
    with pytest.raises(DataError) as raised:
        found(section, n_clusters)
    assert raised.value.code == "data.values"


def test_fewer_spots_than_components(section):
    with pytest.raises(DataError, match="20 principal components asked of 15 spots"):
        spagcn.domains(section.lognorm[:15].tocsc(), section.places[:15], 3, options=SMALL)


def test_constant_genes():
    constant = csc_matrix(np.full((60, 40), 1.5, dtype=np.float32))
    with pytest.raises(DataError, match="same value") as raised:
        spagcn.domains(constant, np.random.default_rng(0).random((60, 2)), 3, options=SMALL)
    assert raised.value.code == "data.values"


def test_samples_without_shared_genes(section):
    names = pd.Index([f"mouse-{gene}" for gene in section.genes])
    with pytest.raises(DataError) as raised:
        spagcn.integrate([section.lognorm] * 2, [section.places] * 2, [section.genes, names], 4)
    assert raised.value.code == "data.empty"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mean", "spread"), [("dlpfc_151673", 0.536, 0.052), ("dlpfc_151675", 0.513, 0.092)]
)
def test_more_accurate_than_the_reference_and_less_at_the_mercy_of_the_seed(cortex, name, mean, spread):
    own = cortex[name]
    scores = []
    for seed in (0, 1, 2, 100):
        result = spagcn.domains(own.lognorm, own.places, 7, seed=seed)
        assert len(set(result.domain)) == len(set(result.refined)) == 7
        scores.append(adjusted_rand_score(own.truth, result.refined))
    assert np.mean(scores) >= mean
    assert np.ptp(scores) <= spread


@pytest.mark.slow
def test_cohort_gives_the_same_layer_the_same_domain(cortex):
    parts = spagcn.integrate(
        [own.lognorm for own in cortex.values()],
        [own.places for own in cortex.values()],
        [own.genes for own in cortex.values()],
        7,
    )
    truth = np.concatenate([own.truth for own in cortex.values()])
    for name in ("domain", "refined"):
        labels = np.concatenate([getattr(part, name) for part in parts])
        assert len(set(labels)) == 7
        assert adjusted_rand_score(truth, labels) >= 0.45


@pytest.mark.slow
def test_histology_on_cortex(cortex):
    own = cortex["dlpfc_151673"]
    z = spagcn.histology_coordinate(own.places, own.image, own.scale)
    result = spagcn.domains(own.lognorm, own.places, 7, histology=z)
    assert len(set(result.refined)) == 7
    assert adjusted_rand_score(own.truth, result.refined) > 0.4
