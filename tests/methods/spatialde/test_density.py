from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from spatialrun.methods.spatialde.density import grouped_density, quadrature, third_cumulants
from spatialrun.methods.spatialde.grid import COARSE, Spots
from spatialrun.methods.spatialde.node_gram import NodeGram, NodeOperator

SIDE, LENGTHSCALE = 40, 1.6


def test_groups_from_random_signs_are_those_of_all_eigenvalues() -> None:
    x = np.stack(np.meshgrid(np.arange(float(SIDE)), np.arange(float(SIDE))), axis=-1).reshape(-1, 2)
    w = np.random.default_rng(1).lognormal(0.0, 0.5, len(x))
    K = np.exp(-np.square(x[:, None] - x).sum(axis=2) / (2.0 * LENGTHSCALE**2))
    exact = np.linalg.eigvalsh(np.sqrt(w)[:, None] * K * np.sqrt(w))[::-1]
    spots = Spots.of(x)
    third = third_cumulants(spots, LENGTHSCALE, w[:, None])
    np.testing.assert_allclose(third, (exact**3).sum(), rtol=1e-6)

    gram = NodeGram.of(spots, LENGTHSCALE, COARSE, w[:, None])
    with ThreadPoolExecutor(2) as pool:
        atoms = quadrature(lambda lanes: NodeOperator(gram, lanes), len(gram), 1, pool)
    (means,), edges = grouped_density(atoms, np.array([(exact**2).sum()]), third, len(x))
    known = [exact[a:b].mean() for a, b in pairwise(edges)]
    np.testing.assert_allclose(means, known, rtol=0.1, atol=0.01 * exact[0])
