"""S, the augmented expression and its components against the reference's dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from spatialrun.errors import DataError
from spatialrun.methods.deepst.augmentation import augmented, scaled, similarity_weights
from spatialrun.methods.deepst.graph import adjacency, edge_norm
from spatialrun.methods.deepst.model import Augmentation, components
from spatialrun.methods.neighbors import nearest_within
from spatialrun.methods.pca import principal_components
from spatialrun.methods.variable import vst


def dense_weights(scores, neighbors, *, features=None, keep_nearest=False, neighbour_k=4) -> np.ndarray:
    """N x N weights, of every row the last ranks of all."""
    n_spots = len(scores)
    near = np.zeros((n_spots, n_spots))
    near[np.arange(n_spots)[:, None], neighbors] = 1
    weights = near * np.corrcoef(scores)
    if features is not None:
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        weights = weights * np.maximum(unit @ unit.T, 0)
    S = np.zeros((n_spots, n_spots))
    for i, row in enumerate(weights):
        order = row.argsort()
        chosen = order[1 - neighbour_k :] if keep_nearest else order[-neighbour_k:][: neighbour_k - 1]
        kept = np.maximum(row[chosen], 0)
        S[i, chosen] = kept / kept.sum() if kept.sum() > 0 else 0
    return S


@pytest.mark.parametrize("keep_nearest", [False, True])
@pytest.mark.parametrize("with_features", [False, True])
def test_the_few_weights_that_are_kept(layers, keep_nearest, with_features) -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(300, 20)) + 3 * layers.layer[:, None] * np.arange(20)
    features = rng.normal(size=(300, 5)) + 1 if with_features else None
    neighbors = nearest_within([layers.places], 30)
    S = similarity_weights(scores, neighbors, 4, keep_nearest=keep_nearest, features=features)
    assert S.nnz <= 3 * 300
    wanted = dense_weights(scores, neighbors[0], features=features, keep_nearest=keep_nearest)
    np.testing.assert_allclose(S.toarray(), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        Augmentation(pca_n_comps=10, keep_nearest=False, clip=None),
        Augmentation(pca_n_comps=10, keep_nearest=False, target_sum=1e4, clip=3.0),
    ],
)
def test_components_are_those_of_the_dense_form(layers, options) -> None:
    X = layers.counts.toarray().astype(float)
    alike = principal_components(layers.counts.tocsr().astype(np.float32), 100).scores
    S = dense_weights(alike, nearest_within([layers.places], 30)[0])
    both = X + 0.3 * S @ X
    logs = np.log1p(options.target_sum * both / both.sum(axis=1, keepdims=True))
    z = (logs - logs.mean(axis=0)) / logs.std(axis=0, ddof=1)
    if options.clip is not None:
        z = np.clip(z, -options.clip, options.clip)
        z = z - z.mean(axis=0)
    left, values, _ = np.linalg.svd(z, full_matrices=False)
    wanted = (left * values)[:, :10]
    found = components([layers.counts], [layers.places], options)
    # Beyond the layers there is only noise, whose components may turn into each other.
    np.testing.assert_allclose(found.std(axis=0)[:2], wanted.std(axis=0)[:2], rtol=1e-3)
    signs = np.sign((found * wanted).sum(axis=0))[:2]
    np.testing.assert_allclose(found[:, :2] * signs, wanted[:, :2], atol=0.02 * wanted[:, 0].std())


def test_the_genes_that_vary_most_are_used(layers) -> None:
    varies = np.argsort(-vst(layers.counts).variances_norm, kind="stable")[:80]
    chosen = components([layers.counts], [layers.places], Augmentation(pca_n_comps=10, n_genes=80))
    given = components([layers.counts[:, np.sort(varies)]], [layers.places], Augmentation(pca_n_comps=10))
    np.testing.assert_array_equal(chosen, given)


def test_z_scores_stay_sparse_up_to_a_constant(layers) -> None:
    neighbors = nearest_within([layers.places], 30)
    S = similarity_weights(layers.counts.toarray().astype(float), neighbors, 4, keep_nearest=False)
    both = augmented(layers.counts.tocsr().astype(np.float32), S, 0.3)
    dense = both.toarray().astype(float)
    nnz = both.nnz
    logs = np.log1p(dense / dense.sum(axis=1, keepdims=True))
    z = (logs - logs.mean(axis=0)) / logs.std(axis=0, ddof=1)
    found = scaled(both, 1.0, None)
    assert found.nnz == nnz < dense.size
    kept = found.toarray()
    np.testing.assert_allclose(kept - kept.mean(axis=0), z, atol=1e-4)


def test_a_graph_is_symmetric_and_within_samples(layers) -> None:
    A = adjacency(nearest_within([layers.places, layers.places[:100]], 12))
    assert (A != A.T).nnz == 0
    assert A.diagonal().sum() == 0
    assert A[:300, 300:].nnz == 0
    assert A.sum(axis=1).min() >= 12
    assert edge_norm(A) == pytest.approx(400**2 / (2 * (400**2 - A.sum())))


def test_genes_that_do_not_vary() -> None:
    places = np.arange(40.0).reshape(20, 2)
    with pytest.raises(DataError, match="the same value"):
        components([csc_matrix(np.ones((20, 30)))], [places], Augmentation(pca_n_comps=5))


@pytest.mark.parametrize(
    ("features", "said"),
    [(np.ones((10, 3)), "features of shape"), (np.full((300, 3), np.nan), "300 of 300 spots have features")],
)
def test_features_that_cannot_be_used(layers, features, said) -> None:
    with pytest.raises(DataError, match=said):
        components([layers.counts], [layers.places], Augmentation(pca_n_comps=5), features=features)
