"""The reference statistic and the null fit against the published code's own numbers."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from spatialrun.methods.spatialde import Kernel, default_kernels, score_block, setup

Published = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="module")
def published(reference: Path) -> Published:
    with np.load(reference / "spatialde_mob_rep11_reference.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def bulb(data: Path, published: Published) -> tuple[NDArray[np.float64], NDArray[np.float64], csc_matrix]:
    """Coordinates, total counts, and counts of the reference's genes."""
    adata = anndata.read_h5ad(data / "spatialde_mob_rep11" / "spatialde_mob_rep11.h5ad")
    counts = csc_matrix(adata.X)
    size = np.asarray(counts.sum(axis=1), dtype=float).ravel()
    return (
        np.asarray(adata.obsm["spatial"], float),
        size,
        counts[:, adata.var_names.get_indexer(published["gene"])],
    )


def test_lengthscales_are_the_published_ones(bulb, published) -> None:
    kernels = default_kernels(bulb[0])
    np.testing.assert_allclose([k.lengthscale for k in kernels], published["lengthscale"], rtol=1e-12)
    assert [k.kind for k in kernels] == list(published["kernel"])


@pytest.mark.parametrize("suffix", ["", "_ml"])
def test_the_reference_statistic_is_the_published_one(bulb, published, suffix) -> None:
    x, size, counts = bulb
    kernels = [
        Kernel(str(k), float(s)) for k, s in zip(published["kernel"], published["lengthscale"], strict=True)
    ]
    null = published["mu0" + suffix], published["alpha" + suffix]
    result = score_block(
        setup(x, size, kernels, statistic="reference"),
        counts.indptr,
        counts.indices,
        counts.data,
        min_counts=1,
        null_model=null,
    )
    np.testing.assert_allclose(result["Q"], published["statistic" + suffix], rtol=1e-8)
    np.testing.assert_allclose(result["e"], published["mean" + suffix], rtol=1e-8)
    np.testing.assert_allclose(result["I"], published["information_frobenius" + suffix], rtol=1e-8)
    p = published["pval" + suffix]
    above = p > 1e-15
    np.testing.assert_allclose(10.0 ** result["log10p"][above], p[above], rtol=1e-6)
    assert (result["log10p"][~above] < -14.9).all()


def test_the_null_fit_is_the_maximum_likelihood(bulb, published) -> None:
    x, size, counts = bulb
    result = score_block(
        setup(x, size, [Kernel("SE", 3.0)]), counts.indptr, counts.indices, counts.data, min_counts=1
    )
    np.testing.assert_allclose(result["m"], published["mu0_ml"], rtol=1e-9)
    np.testing.assert_allclose(result["alpha"], published["alpha_ml"], rtol=1e-9)
    np.testing.assert_array_equal(result["alpha"] == 0, published["alpha_ml"] == 0)
