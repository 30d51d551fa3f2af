"""Domains by the linear method: exactly as many as asked, the same for the same seed, close to the experts'."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from heard import Heard
from scipy.sparse import csc_matrix
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from spatialrun.errors import DataError
from spatialrun.methods import multispati
from spatialrun.methods.multispati import Options

SMALL = Options(n_genes=200, n_pcs=30, n_components=10, starts=10)


def found(section, n_clusters=4, **changed):
    return multispati.domains(section.counts, section.spatial, n_clusters, options=SMALL, **changed)


def test_finds_the_layers(section):
    result = found(section)
    assert adjusted_rand_score(section.domain, result.refined) > 0.8
    assert result.embedding.shape == (700, 10)


@pytest.mark.parametrize("embedding", ["multispati", "smoothed", "reduced_rank"])
def test_every_embedding_finds_the_layers(section, embedding):
    options = Options(n_genes=200, n_pcs=30, n_components=10, starts=10, embedding=embedding)
    result = multispati.domains(section.counts, section.spatial, 4, options=options)
    assert adjusted_rand_score(section.domain, result.refined) > 0.75


@pytest.mark.parametrize("n_clusters", [2, 5, 11, 40])
def test_returns_exactly_as_many_domains(section, n_clusters):
    result = found(section, n_clusters)
    for labels in (result.domain, result.refined):
        assert set(labels) == set(range(n_clusters))
    sizes = np.bincount(result.domain)
    assert (np.diff(sizes) <= 0).all(), "numbered by size"


def test_as_many_domains_as_spots(section):
    few = np.arange(60)
    options = Options(n_genes=200, n_pcs=20, n_components=5, starts=3)
    result = multispati.domains(section.counts[few].tocsc(), section.spatial[few], 60, options=options)
    assert len(set(result.domain)) == 60


def test_the_same_seed_gives_the_same_labels_with_any_number_of_threads(section):
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(found(section, seed=3))
    np.testing.assert_array_equal(results[0].domain, results[1].domain)
    np.testing.assert_array_equal(results[0].embedding, results[1].embedding)


def test_marked_genes_are_used(section):
    genes = section.svg
    result = multispati.domains(section.counts, section.spatial, 4, genes=genes, options=SMALL)
    assert adjusted_rand_score(section.domain, result.refined) > 0.8


def test_the_log_says_how_likely_the_mixture_is(section):
    heard = Heard()
    found(section, report=heard)
    assert any("mixture of 4 domains" in line for line in heard.lines)
    assert heard.units == ["starts"]
    assert heard.warnings == []


def test_cohort_gets_one_label_set(section):
    halves = [np.arange(0, 700, 2), np.arange(1, 700, 2)]
    names = pd.Index(section.gene_names)
    order = np.random.default_rng(0).permutation(500)
    parts = multispati.integrate(
        [section.counts[halves[0]].tocsc(), section.counts[halves[1]].tocsc()[:, order]],
        [section.spatial[half] for half in halves],
        [names, names[order]],
        4,
        options=SMALL,
    )
    truth = np.concatenate([section.domain[half] for half in halves])
    labels = np.concatenate([part.refined for part in parts])
    assert adjusted_rand_score(truth, labels) > 0.8
    assert set(np.concatenate([part.domain for part in parts])) == set(range(4))


@pytest.mark.parametrize("n_clusters", [1, 701])
def test_impossible_numbers_of_domains(section, n_clusters):
    with pytest.raises(DataError) as raised:
        found(section, n_clusters)
    assert raised.value.code == "data.values"
    assert raised.value.hint


def test_fewer_spots_than_components(section):
    with pytest.raises(DataError, match="30 principal components asked of 20 spots") as raised:
        multispati.domains(
            section.counts[:20].tocsc(), section.spatial[:20], 3, genes=section.svg, options=SMALL
        )
    assert raised.value.hint


def test_constant_genes():
    counts = csc_matrix(np.ones((50, 40), dtype=np.int32))
    places = np.random.default_rng(0).random((50, 2))
    with pytest.raises(DataError) as raised:
        multispati.domains(counts, places, 3, options=Options(n_genes=40))
    assert raised.value.code == "data.values"


def test_samples_without_shared_genes(section):
    names = pd.Index(section.gene_names)
    with pytest.raises(DataError) as raised:
        multispati.integrate(
            [section.counts] * 2, [section.spatial] * 2, [names, "mouse-" + names], 4, options=SMALL
        )
    assert raised.value.code == "data.empty"
    assert raised.value.hint


def test_coordinates_that_are_not_numbers(section):
    places = section.spatial.copy()
    places[3] = np.nan
    with pytest.raises(DataError) as raised:
        multispati.domains(section.counts, places, 4, options=SMALL)
    assert raised.value.code == "data.coordinates"
