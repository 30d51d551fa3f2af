from __future__ import annotations

import anndata
import numpy as np
import pytest
import scanpy
from scipy.sparse import csc_matrix

from spatialrun.errors import DataError
from spatialrun.methods.variable import rank, vst


@pytest.fixture(scope="module")
def counts() -> csc_matrix:
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(0, 1.5, 200))
    noise = np.where(np.arange(200) < 10, rng.gamma(0.3, 1 / 0.3, (150, 200)), 1.0)
    return csc_matrix(rng.poisson(mean * noise).astype(np.int32))


def test_as_in_scanpy(counts: csc_matrix) -> None:
    found = vst(counts)
    oracle = anndata.AnnData(counts)
    scanpy.pp.highly_variable_genes(oracle, flavor="seurat_v3", n_top_genes=20)
    np.testing.assert_allclose(found.variances_norm, oracle.var["variances_norm"])
    np.testing.assert_array_equal(rank(found.variances_norm) <= 20, oracle.var["highly_variable"])
    np.testing.assert_allclose(found.means, np.asarray(counts.mean(axis=0)).ravel())


def test_overdispersed_genes_come_first(counts: csc_matrix) -> None:
    assert (rank(vst(counts).variances_norm)[:10] <= 25).all()


def test_equal_values_keep_their_order() -> None:
    assert list(rank(np.array([1.0, 3.0, 1.0, 3.0]))) == [3, 1, 4, 2]


@pytest.mark.parametrize("n_genes", [1, 2, 10])
def test_too_few_genes_for_a_trend(counts: csc_matrix, n_genes: int) -> None:
    with pytest.raises(DataError, match="needs more genes") as error:
        vst(counts[:, :n_genes])
    assert error.value.code == "data.values"


def test_genes_that_do_not_vary_are_not_counted() -> None:
    with pytest.raises(DataError, match="0 vary"):
        vst(csc_matrix(np.ones((5, 100), dtype=np.int32)))


def test_a_trend_through_too_few_means() -> None:
    same = np.array([[1, 0], [0, 2], [1, 1]], dtype=np.int32)
    with pytest.raises(DataError, match="cannot be fitted") as error:
        vst(csc_matrix(np.tile(same, 50)))
    assert error.value.code == "data.values"
