from __future__ import annotations

import anndata
import numpy as np
import pytest
import scanpy
from scipy.sparse import csc_matrix

from spatialrun.methods import qc

COUNTS = csc_matrix(np.array([[0, 3, 1], [2, 0, 0], [0, 0, 0], [5, 5, 0]], dtype=np.int32))


@pytest.fixture
def oracle() -> anndata.AnnData:
    sample = anndata.AnnData(COUNTS.astype(np.float64))
    sample.var["mt"] = [False, True, False]
    scanpy.pp.calculate_qc_metrics(sample, qc_vars=["mt"], percent_top=None, inplace=True)
    return sample


def test_spots_as_in_scanpy(oracle: anndata.AnnData) -> None:
    found = qc.spot_metrics(COUNTS)
    np.testing.assert_array_equal(found.total_counts, oracle.obs["total_counts"])
    np.testing.assert_array_equal(found.n_genes_by_counts, oracle.obs["n_genes_by_counts"])


def test_genes_as_in_scanpy(oracle: anndata.AnnData) -> None:
    found = qc.gene_metrics(COUNTS)
    for name in ("n_cells_by_counts", "total_counts", "mean_counts", "pct_dropout_by_counts"):
        np.testing.assert_allclose(getattr(found, name), oracle.var[name], rtol=1e-15, err_msg=name)


def test_share_of_some_genes_as_in_scanpy_but_for_empty_spots(oracle: anndata.AnnData) -> None:
    found = qc.percent_of_total(COUNTS, np.array([False, True, False]))
    occupied = [0, 1, 3]
    np.testing.assert_allclose(found[occupied], oracle.obs["pct_counts_mt"].iloc[occupied])
    assert found[2] == 0


def test_names_are_matched_from_their_beginning_in_any_case() -> None:
    assert list(qc.matching(["MT-CO1", "mt-Nd1", "SMT-1", "MTOR"], "mt-")) == [True, True, False, False]
    assert qc.matching([], "mt-").dtype == bool


def test_no_counts_at_all() -> None:
    empty = csc_matrix((3, 2), dtype=np.int32)
    assert qc.spot_metrics(empty).total_counts.dtype == np.float64
    np.testing.assert_array_equal(qc.percent_of_total(empty, np.array([True, False])), np.zeros(3))
