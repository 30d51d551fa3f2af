from __future__ import annotations

import numpy as np
import pytest

from spatialrun.errors import DataError
from spatialrun.methods.expression_graph import neighbor_graph, umap


@pytest.fixture(scope="module", name="X")
def clouds() -> np.ndarray:
    """Three clouds of 150 spots in ten dimensions."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal((450, 10)) + 4 * np.eye(10)[np.arange(450) // 150]).astype(np.float32)


@pytest.fixture(scope="module")
def graph(X):
    return neighbor_graph(X)


def same(a, b) -> bool:
    return (
        np.array_equal(a.indptr, b.indptr)
        and np.array_equal(a.indices, b.indices)
        and np.array_equal(a.data, b.data)
    )


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_graph_is_scanpy_s(X, metric):
    import anndata
    import scanpy

    sample = anndata.AnnData(X)
    scanpy.pp.neighbors(sample, n_neighbors=12, use_rep="X", metric=metric)
    found = neighbor_graph(X, 12, metric=metric)
    for name in ("distances", "connectivities"):
        apart = abs(getattr(found, name) - sample.obsp[name])
        assert apart.max() < 1e-5, name
        assert getattr(found, name).nnz == sample.obsp[name].nnz


def test_threads_make_no_difference(X, graph):
    other = neighbor_graph(X, threads=2)
    assert same(graph.distances, other.distances)
    assert same(graph.connectivities, other.connectivities)


def test_every_spot_has_its_nearest(X, graph):
    assert (np.diff(graph.distances.indptr) == 14).all()
    apart = np.linalg.norm(X[7] - X, axis=1)
    apart[7] = np.inf
    assert set(graph.distances[7].indices) == set(np.argsort(apart)[:14])
    assert graph.distances.diagonal().sum() == 0


@pytest.mark.slow
def test_the_approximate_search_finds_nearly_all(X, graph):
    found = neighbor_graph(X, search="pynndescent")
    again = neighbor_graph(X, search="pynndescent", threads=2)
    assert same(found.distances, again.distances), "it runs on one thread, whatever there are"
    shared = (found.distances != 0).multiply(graph.distances != 0).nnz
    assert shared > 0.97 * graph.distances.nnz


def test_spots_that_are_all_alike():
    """Spots without counts have one place, and more of them than neighbours."""
    X = np.zeros((40, 5), dtype=np.float32)
    X[30:] = np.arange(50).reshape(10, 5)
    found = neighbor_graph(X, 8)
    assert (np.diff(found.distances.indptr) == 7).all()
    assert found.distances.diagonal().sum() == 0
    assert np.isfinite(found.connectivities.data).all()


def test_more_neighbours_than_spots(X):
    with pytest.raises(DataError, match="15 neighbours asked of 10 spots"):
        neighbor_graph(X[:10])
    assert neighbor_graph(X[:10], 10).distances.nnz == 90


def test_components_that_are_not_finite(X):
    broken = X.copy()
    broken[3, 2] = np.nan
    with pytest.raises(DataError, match="1 of 450 spots"):
        neighbor_graph(broken)


def test_the_map_keeps_clouds_together(X, graph):
    found, a, b = umap(graph.connectivities, X, max_iter=50)
    assert found.shape == (450, 2)
    assert found.dtype == np.float32
    assert (a, b) == pytest.approx((0.583, 1.334), abs=1e-3)
    centres = found.reshape(3, 150, 2).mean(axis=1)
    nearest = np.linalg.norm(found[:, None] - centres, axis=-1).argmin(axis=1)
    assert (nearest == np.arange(450) // 150).mean() > 0.98


def test_the_map_of_a_seed_is_one(X, graph):
    first, again, other = (umap(graph.connectivities, X, max_iter=20, seed=s)[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_a_map_of_too_few_spots(X):
    with pytest.raises(DataError, match="3 spots are too few"):
        umap(neighbor_graph(X[:3], 3).connectivities, X[:3])
