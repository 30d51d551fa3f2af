from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.sparse import csr_matrix, kron
from sklearn.metrics import adjusted_rand_score

from spatialrun.errors import DataError
from spatialrun.methods.expression_graph import neighbor_graph
from spatialrun.methods.leiden import Leiden


@pytest.fixture(scope="module")
def graph() -> csr_matrix:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 8)) + 3 * np.eye(8)[np.repeat(np.arange(4), [240, 180, 120, 60])]
    return neighbor_graph(X).connectivities


@pytest.mark.parametrize("seed", [0, 5])
def test_the_communities_are_scanpy_s(graph, seed):
    import anndata
    import scanpy

    sample = anndata.AnnData(obsp={"connectivities": graph}, shape=(600, 0))
    scanpy.tl.leiden(
        sample, flavor="igraph", directed=False, n_iterations=2, random_state=seed, obsp="connectivities"
    )
    found = Leiden(graph, seed=seed).at(1.0)
    assert adjusted_rand_score(found.labels, sample.obs["leiden"]) == 1


def test_numbered_by_size(graph):
    found = Leiden(graph).at(0.5)
    assert found.n_clusters == 4
    assert list(np.bincount(found.labels)) == sorted(np.bincount(found.labels), reverse=True)
    assert found.labels[0] == 0
    assert found.modularity > 0.5


@pytest.mark.parametrize("n", [2, 4, 9])
def test_as_many_as_asked_for(graph, n):
    lines: list[str] = []
    found = Leiden(graph).into(n, log=lines.append)
    assert found.n_clusters == n
    assert lines[-1] == f"res = {found.resolution:.4g}, n_clusters = {n}."


def test_a_number_that_is_not_to_be_had():
    """Four cliques that know nothing of each other: two communities cannot be."""
    cliques = csr_matrix(kron(np.eye(4), np.ones((10, 10)) - np.eye(10)))
    found = Leiden(cliques).into(2)
    assert found.n_clusters == 4


def test_generators_of_others_are_left_alone(graph):
    import random

    random.seed(1)
    expected = random.random()
    random.seed(1)
    Leiden(graph).at(1.0)
    assert random.random() == expected


@pytest.mark.parametrize("n", [1, 601])
def test_impossible_numbers(graph, n):
    with pytest.raises(DataError):
        Leiden(graph).into(n)


def test_partitions_that_are_made_at_once_know_nothing_of_each_other(graph):
    """igraph has one generator for the whole process."""
    seeds = range(16)
    alone = [Leiden(graph, seed=seed).at(2.0).labels for seed in seeds]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda seed: Leiden(graph, seed=seed).at(2.0).labels, seeds))
    np.testing.assert_array_equal(together, alone)
