"""The rank-sum test against scanpy's and scipy's."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy
from scipy.sparse import csc_matrix, csr_matrix
from scipy.stats import false_discovery_control, mannwhitneyu

from spatialrun.methods.spagcn.ranksum import adjusted, compare


@pytest.fixture
def layer() -> csc_matrix:
    """Genes that are rare, common, and of both signs; the last one is constant."""
    rng = np.random.default_rng(0)
    counts = np.log1p(rng.poisson(np.geomspace(0.02, 5, 30), (200, 30)))
    signed = np.round(rng.standard_normal((200, 3)), 1)
    return csc_matrix(np.column_stack([counts, signed, np.full(200, 2.0)]).astype(np.float32))


@pytest.fixture
def groups() -> tuple[np.ndarray, np.ndarray]:
    group = np.random.default_rng(1).integers(0, 3, 200)
    return group == 0, group == 1


@pytest.mark.parametrize("tie_correct", [False, True])
def test_against_scanpy(layer, groups, tie_correct):
    inside, outside = groups
    found = compare(layer, inside, outside, tie_correct=tie_correct)
    kept = inside | outside
    names = pd.Index([f"g{i}" for i in range(34)])
    sample = anndata.AnnData(csr_matrix(layer[kept]), var=pd.DataFrame(index=names))
    sample.obs["target"] = pd.Categorical(np.where(inside[kept], "in", "out"))
    scanpy.tl.rank_genes_groups(
        sample, "target", groups=["in"], reference="out", method="wilcoxon", tie_correct=tie_correct
    )
    theirs = scanpy.get.rank_genes_groups_df(sample, "in").set_index("names").loc[names]
    varying = slice(0, 33)  # scanpy divides zero by zero where all ranks are tied
    np.testing.assert_allclose(found.z[varying], theirs["scores"].to_numpy()[varying], atol=1e-5)
    np.testing.assert_allclose(np.exp(found.log_p[varying]), theirs["pvals"].to_numpy()[varying], rtol=1e-5)
    assert found.z[33] == 0
    assert found.log_p[33] == 0


def test_with_ties_against_scipy(layer, groups):
    inside, outside = groups
    dense = layer.toarray()
    theirs = mannwhitneyu(dense[inside], dense[outside], use_continuity=False, method="asymptotic")
    found = compare(layer, inside, outside, tie_correct=True)
    np.testing.assert_allclose(np.exp(found.log_p[:33]), theirs.pvalue[:33], rtol=1e-6)


def test_shares_and_means(layer, groups):
    inside, outside = groups
    dense = layer.toarray()
    found = compare(layer, inside, outside)
    np.testing.assert_allclose(found.pct_in, (dense[inside] != 0).mean(axis=0))
    np.testing.assert_allclose(found.pct_out, (dense[outside] != 0).mean(axis=0))
    np.testing.assert_allclose(found.mean_in, dense[inside].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.mean_out, dense[outside].mean(axis=0), rtol=1e-6, atol=1e-9)


def test_groups_of_one_spot():
    layer = csc_matrix(np.array([[1.0, 0.0], [0.0, 0.0]]))
    found = compare(layer, np.array([True, False]), np.array([False, True]), tie_correct=True)
    assert found.z[0] == pytest.approx(1.0)
    assert found.z[1] == 0


def test_adjustment_of_p():
    p = np.random.default_rng(0).random(50) ** 3
    np.testing.assert_allclose(np.exp(adjusted(np.log(p))), false_discovery_control(p))
    assert adjusted(np.array([-5000.0, -1.0]))[0] == pytest.approx(-5000 + np.log(2))
