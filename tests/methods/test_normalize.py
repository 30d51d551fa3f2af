from __future__ import annotations

import anndata
import numpy as np
import pytest
import scanpy
from scipy.sparse import csc_matrix

from spatialrun.methods.normalize import log1p, spot_totals, to_depth

COUNTS = csc_matrix(np.array([[0, 3, 1], [2, 0, 0], [0, 0, 0], [5, 5, 0]], dtype=np.int32))


@pytest.mark.parametrize("target_sum", [1e4, None, 7.0])
def test_as_in_scanpy(target_sum: float | None) -> None:
    occupied = COUNTS[[0, 1, 3]]
    sample = anndata.AnnData(occupied.astype(np.float64))
    scanpy.pp.normalize_total(sample, target_sum=target_sum)
    found = to_depth(occupied, target_sum)
    np.testing.assert_allclose(found.toarray(), sample.X.toarray(), rtol=1e-6)
    scanpy.pp.log1p(sample)
    np.testing.assert_allclose(log1p(found).toarray(), sample.X.toarray(), rtol=1e-6)


def test_empty_spots_have_no_part_in_the_median() -> None:
    np.testing.assert_array_equal(to_depth(COUNTS, None).sum(axis=1).ravel(), [[4, 4, 0, 4]])


def test_spots_without_counts_stay_zero() -> None:
    found = log1p(to_depth(COUNTS))
    assert found[2].nnz == 0
    assert np.isfinite(found.data).all()
    assert np.isfinite(to_depth(csc_matrix((3, 2), dtype=np.int32), None).data).all()


def test_sparse_single_precision_by_gene() -> None:
    found = log1p(to_depth(COUNTS))
    assert (found.format, found.dtype, found.nnz) == ("csc", np.float32, COUNTS.nnz)
    assert COUNTS.dtype == np.int32, "the counts are left as they are"


def test_large_totals_keep_their_digits() -> None:
    big = csc_matrix(np.array([[2**30, 2**30, 2**30]], dtype=np.int32))
    np.testing.assert_allclose(to_depth(big, 3.0).toarray(), [[1, 1, 1]], rtol=1e-7)


def test_parts_make_no_difference(monkeypatch) -> None:
    counts = csc_matrix(np.random.default_rng(0).poisson(0.3, (50, 40)).astype(np.int32))
    whole = to_depth(counts)
    monkeypatch.setattr("spatialrun.methods.normalize.TOGETHER", 7)
    assert to_depth(counts).data.tobytes() == whole.data.tobytes()
    np.testing.assert_array_equal(spot_totals(counts), counts.toarray().sum(axis=1))
