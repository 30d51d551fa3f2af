from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random

from spatialrun.errors import DataError
from spatialrun.methods import pca
from spatialrun.methods.pca import (
    converged_components,
    leading_eigenvectors,
    principal_components,
    total_variance,
)


def structured(n_spots: int, n_genes: int) -> csr_matrix:
    """Sparse counts with eight directions of decreasing strength."""
    rng = np.random.default_rng(0)
    factors = rng.gamma(0.5, 1.0, (n_spots, 8)) * np.geomspace(3, 0.5, 8)
    mean = factors @ rng.gamma(0.5, 1.0, (8, n_genes)) / 5
    return csr_matrix(rng.poisson(mean).astype(np.float32))


@pytest.mark.parametrize("shape", [(300, 120), (120, 300), (40, 30), (40, 900)])
def test_against_a_dense_decomposition(shape):
    X = structured(*shape)
    centred = X.toarray() - X.toarray().mean(axis=0)
    U, s, _ = np.linalg.svd(centred, full_matrices=False)
    found = principal_components(X, 8)
    np.testing.assert_allclose(found.variances, s[:8] ** 2 / (shape[0] - 1), rtol=2e-3)
    np.testing.assert_allclose(
        found.scores @ found.scores.T, (U[:, :8] * s[:8] ** 2) @ U[:, :8].T, atol=0.02 * s[0] ** 2
    )
    np.testing.assert_allclose(found.scores, centred @ found.loadings, atol=1e-3)
    np.testing.assert_allclose(found.loadings.T @ found.loadings, np.eye(8), atol=1e-4)


def test_signs_are_fixed():
    found = principal_components(structured(200, 80), 5)
    largest = np.abs(found.loadings).argmax(axis=0)
    assert (found.loadings[largest, np.arange(5)] > 0).all()


def test_blocks_make_no_difference(monkeypatch):
    X = structured(300, 60)
    whole = principal_components(X, 5)
    monkeypatch.setattr(pca, "BLOCK_VALUES", 60 * 7)
    np.testing.assert_allclose(principal_components(X, 5).variances, whole.variances, rtol=1e-5)


def test_loadings_of_a_part_score_all_spots():
    X = structured(2000, 60)
    part = principal_components(X, 3, fitted_on=1000, rng=np.random.default_rng(0))
    whole = principal_components(X, 3)
    assert part.scores.shape == (2000, 3)
    for a, b in zip(part.scores.T, whole.scores.T, strict=True):
        assert abs(np.corrcoef(a, b)[0, 1]) > 0.98


def test_too_few_spots():
    with pytest.raises(DataError, match="50 principal components asked of 20 spots"):
        principal_components(random(20, 100, density=0.5, format="csr"), 50)


@pytest.mark.parametrize("shape", [(300, 120), (120, 300), (40, 900), (1300, 1100)])
@pytest.mark.parametrize("form", ["csc", "csr"])
def test_converged_components_are_scanpy_s(shape, form):
    import scanpy

    X = structured(*shape).asformat(form)
    scores, loadings, ratio, variances = scanpy.pp.pca(X, n_comps=20, return_info=True, dtype="float64")
    found = converged_components(X, 20)
    np.testing.assert_allclose(found.variances, variances, rtol=1e-4)
    np.testing.assert_allclose(found.variances / total_variance(X), ratio, rtol=1e-4)
    sign = np.sign((found.loadings * loadings.T).sum(axis=0))
    np.testing.assert_allclose(found.loadings * sign, loadings.T, atol=2e-3)
    np.testing.assert_allclose(found.scores * sign, scores, atol=2e-3 * np.abs(scores).max())


@pytest.mark.parametrize("shape", [(60, 1500), (1500, 60), (1100, 1200)])
def test_more_components_than_directions(shape):
    """Fifty components of data that vary in three directions: the others are empty, and orthogonal still."""
    rng = np.random.default_rng(0)
    few = rng.poisson(1.0, (shape[0], 3)) @ rng.poisson(0.2, (3, shape[1]))
    found = converged_components(csr_matrix(few.astype(np.float32)), 50)
    assert (found.variances[:3] > 1).all()
    np.testing.assert_allclose(found.variances[3:], 0, atol=1e-4 * found.variances[0])
    np.testing.assert_allclose(found.loadings.T @ found.loadings, np.eye(50), atol=1e-4)


def test_eigenvectors_of_a_small_operator_are_exact():
    A = np.diag(np.arange(12.0))
    values, vectors = leading_eigenvectors(A.__matmul__, 12, 3)
    np.testing.assert_allclose(values, [11, 10, 9])
    np.testing.assert_allclose(np.abs(vectors[[11, 10, 9], [0, 1, 2]]), 1.0)


def test_eigenvectors_of_a_large_operator():
    values = np.concatenate([np.geomspace(100, 10, 5), np.linspace(1, 0, 495)])
    Q = np.linalg.qr(np.random.default_rng(1).standard_normal((500, 500)))[0]
    A = (Q * values) @ Q.T
    found, vectors = leading_eigenvectors(A.__matmul__, 500, 5)
    np.testing.assert_allclose(found, values[:5], rtol=1e-6)
    np.testing.assert_allclose(np.abs((vectors * Q[:, :5]).sum(axis=0)), 1.0, atol=1e-6)
