"""Standardised expression is sparse up to a constant of the gene."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csc_matrix, random

from spatialrun.errors import DataError
from spatialrun.methods.multispati.expression import CLIP, lognorm, standardised, variable_genes


def dense_z(X: np.ndarray) -> np.ndarray:
    z = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)
    return np.clip(z, -CLIP, CLIP)


@pytest.fixture
def values() -> csc_matrix:
    rng = np.random.default_rng(0)
    drawn = random(400, 30, density=0.2, random_state=rng, data_rvs=lambda n: rng.gamma(0.3, 4.0, n))
    return csc_matrix(drawn)


def test_stored_values_are_clipped_z_scores_less_that_of_zero(values):
    z = dense_z(values.toarray())
    assert (z == CLIP).any(), "the case is about clipping"
    found = standardised([values]).toarray()
    np.testing.assert_allclose(found - found.mean(axis=0), z - z.mean(axis=0), atol=1e-5)
    assert standardised([values]).nnz <= values.nnz


def test_samples_are_standardised_together(values):
    together = standardised([values[:150].tocsc(), values[150:].tocsc()])
    np.testing.assert_array_equal(together.toarray(), standardised([values]).toarray())


def test_constant_genes_are_left_out(values):
    wider = csc_matrix(np.column_stack([values.toarray(), np.full(400, 3.0), np.zeros(400)]))
    np.testing.assert_array_equal(standardised([wider]).toarray(), standardised([values]).toarray())


def test_without_varying_genes_there_is_nothing_to_do():
    with pytest.raises(DataError) as raised:
        standardised([csc_matrix(np.ones((9, 3)))])
    assert raised.value.code == "data.values"
    assert raised.value.hint


def test_depth_is_counted_over_all_genes():
    counts = csc_matrix(np.array([[1, 1, 2], [0, 5, 5], [0, 0, 0]]))
    found = lognorm(counts, np.array([0, 2])).toarray()
    np.testing.assert_allclose(found, np.log1p([[2500, 5000], [0, 5000], [0, 0]]), rtol=1e-6)


def test_spots_without_any_counts():
    assert lognorm(csc_matrix((4, 3), dtype=np.int32), np.array([0, 1])).nnz == 0


def test_genes_of_a_cohort_are_ranked_over_its_samples(section):
    halves = [section.counts[:350].tocsc(), section.counts[350:].tocsc()]
    chosen = variable_genes(halves, 100, np.random.default_rng(0))
    assert chosen.sum() == 100
    swapped = variable_genes(halves[::-1], 100, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen, swapped)
    assert variable_genes(halves, 10_000, np.random.default_rng(0)).all()
