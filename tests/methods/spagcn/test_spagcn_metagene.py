"""Metagenes: which genes come in, what the log says, and when it ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix
from sklearn.metrics import roc_auc_score

from spatialrun.errors import DataError
from spatialrun.methods import spagcn

GENES = pd.Index(["shared", "only", "others", "noise"])


@pytest.fixture
def domains() -> pd.Categorical:
    return pd.Categorical(np.repeat(["t", "u", "v"], 100))


@pytest.fixture
def layer(domains) -> csc_matrix:
    """``shared`` is high in t and u, ``only`` in t, ``others`` in u and v."""
    rng = np.random.default_rng(0)
    t, u, v = (np.asarray(domains == name).astype(float) for name in "tuv")
    mean = np.column_stack([6 * t + 6 * u + 1, 4 * t + 1, 4 * u + 4 * v + 1, np.full(300, 3.0)])
    return csc_matrix(np.log1p(rng.poisson(mean)).astype(np.float32))


def test_adds_and_subtracts_the_right_genes(layer, domains):
    lines: list[str] = []
    found = spagcn.metagene(layer, domains, GENES, "t", start_gene="shared", log=lines.append)
    assert found.formula.startswith("shared + only - others")
    assert lines[0] == "add gene: only; minus gene: others"
    assert lines[1].startswith("absolute mean change: ")
    assert lines[2].startswith("non-target spots reduced to: ")
    assert lines[3] == "meta gene now: shared + only - others"
    assert lines[-1] == f"meta gene: {found.formula}"
    alone = layer.toarray()[:, 0]
    target = domains == "t"
    assert roc_auc_score(target, found.values) > 0.95 > roc_auc_score(target, alone)


def test_values_are_the_formula_from_zero(layer, domains):
    found = spagcn.metagene(layer, domains, GENES, "t", start_gene="shared", max_iter=1)
    dense = layer.toarray()
    expected = dense[:, 0] + dense[:, 1] - dense[:, 2]
    np.testing.assert_allclose(found.values, expected - expected.min(), atol=1e-6)


def test_starts_with_the_gene_that_ranks_highest(layer, domains):
    found = spagcn.metagene(layer, domains, GENES, "t", max_iter=0)
    assert found.formula in ("only", "shared")


def test_ends_when_nothing_is_left_outside(domains):
    perfect = csc_matrix(np.column_stack([np.repeat([5.0, 0.0, 0.0], 100)] * 4))
    found = spagcn.metagene(perfect, domains, GENES, "t", start_gene="only")
    assert found.formula == "only"


@pytest.mark.parametrize(
    ("target", "gene", "says"), [("w", None, "no domain"), ("t", "nothing", "no gene 'nothing'")]
)
def test_names_that_are_not_there(layer, domains, target, gene, says):
    with pytest.raises(DataError, match=says) as raised:
        spagcn.metagene(layer, domains, GENES, target, start_gene=gene)
    assert raised.value.hint


def test_a_domain_of_all_spots(layer):
    with pytest.raises(DataError, match="all spots"):
        spagcn.metagene(layer, pd.Categorical(["t"] * 300), GENES, "t")


@pytest.mark.slow
def test_white_matter_of_cortex(cortex):
    own = cortex["dlpfc_151673"]
    result = spagcn.domains(own.lognorm, own.places, 7)
    domains = pd.Categorical(result.refined.astype(str))
    white = str(pd.Series(own.truth == "WM").groupby(result.refined).mean().idxmax())
    top = spagcn.markers(own.lognorm, own.places, domains, own.genes)[white]["gene"].iloc[0]
    found = spagcn.metagene(own.lognorm, domains, own.genes, white, start_gene=top)
    assert roc_auc_score(domains == white, found.values) >= 0.95
