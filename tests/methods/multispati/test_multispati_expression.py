"""Standardised expression is sparse up to a constant of the gene."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csc_matrix, random

from spatialrun.errors import DataError
from spatialrun.methods.multispati import expression
from spatialrun.methods.multispati.expression import (
    CLIP,
    DEPTH,
    lognorm,
    standardised,
    variable_genes,
    z_scores,
)
from spatialrun.methods.normalize import depth_factors, spot_totals


def factors(counts: csc_matrix) -> np.ndarray:
    return depth_factors(spot_totals(counts), DEPTH)


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
    found = z_scores([values]).toarray()
    np.testing.assert_allclose(found - found.mean(axis=0), z - z.mean(axis=0), atol=1e-5)
    assert z_scores([values]).nnz <= values.nnz


def test_samples_are_standardised_together(values):
    together = z_scores([values[:150].tocsc(), values[150:].tocsc()])
    np.testing.assert_array_equal(together.toarray(), z_scores([values]).toarray())


def test_constant_genes_are_left_out(values):
    wider = csc_matrix(np.column_stack([values.toarray(), np.full(400, 3.0), np.zeros(400)]))
    np.testing.assert_array_equal(z_scores([wider]).toarray(), z_scores([values]).toarray())


def test_without_varying_genes_there_is_nothing_to_do():
    with pytest.raises(DataError) as raised:
        standardised([csc_matrix(np.ones((9, 3), dtype=np.int32))], [np.arange(3)])
    assert raised.value.code == "data.values"
    assert raised.value.hint


def test_depth_is_counted_over_all_genes():
    counts = csc_matrix(np.array([[1, 1, 2], [0, 5, 5], [0, 0, 0]]))
    found = lognorm(counts, factors(counts), np.array([0, 2])).toarray()
    np.testing.assert_allclose(found, np.log1p([[2500, 5000], [0, 5000], [0, 0]]), rtol=1e-6)


def test_spots_without_any_counts():
    counts = csc_matrix((4, 3), dtype=np.int32)
    assert lognorm(counts, factors(counts), np.array([0, 1])).nnz == 0


def test_genes_of_a_cohort_are_ranked_over_its_samples(section):
    halves = [section.counts[:350].tocsc(), section.counts[350:].tocsc()]
    shared = [np.arange(500)] * 2
    chosen = variable_genes(halves, shared, 100, np.random.default_rng(0))
    assert (len(chosen), chosen.sum()) == (500, 100)
    swapped = variable_genes(halves[::-1], shared, 100, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen, swapped)
    assert variable_genes(halves, shared, 10_000, np.random.default_rng(0)).all()


@pytest.mark.parametrize("nonzeros", [1, 700, 10**9])
def test_genes_are_taken_block_by_block(section, monkeypatch, nonzeros):
    """The second sample has the genes in another order, and more of them."""
    monkeypatch.setattr(expression, "NONZEROS", nonzeros)
    order = np.random.default_rng(0).permutation(600)
    samples = [section.counts[:350].tocsc(), section.counts[350:].tocsc()[:, order]]
    chosen = np.arange(0, 600, 7)
    columns = [chosen, np.argsort(order)[chosen]]
    lognorms = [lognorm(own, factors(own), on) for own, on in zip(samples, columns, strict=True)]
    whole = z_scores(lognorms)
    found = standardised(samples, columns)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), whole.toarray())
