"""The null distributions' shapes without a matrix of spots by spots: each kernel's eigenvalues, in groups."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.density import (
    Weighted,
    component_eigenvalues,
    grouped_density,
    grouped_eigenvalues,
    neighbour_cumulants,
    quadrature,
    third_cumulants,
)
from spatialrun.methods.spatialde.family import chebyshev, interpolation
from spatialrun.methods.spatialde.grid import COARSE, Spots
from spatialrun.methods.spatialde.levels import Regime
from spatialrun.methods.spatialde.neighbours import NeighbourKernel
from spatialrun.methods.spatialde.node_gram import NodeGram, NodeOperator, precision_of
from spatialrun.methods.spatialde.spectrum import leading, standardised_groups
from spatialrun.methods.spatialde.sums import KernelSums, SizeClasses

Array = NDArray[np.float64]

Shape = tuple[Array, Array]  # values at the nodes of t (S, M), and how many each stands for (M,)


def shapes(
    spots: Spots,
    regimes: Mapping[int, Regime],
    sums: Mapping[int, KernelSums],
    classes: SizeClasses,
    n_shapes: int,
    pool: Executor,
) -> dict[int, Shape]:
    """The eigenvalues of every kernel of ``regimes`` at ``n_shapes`` nodes of t, scaled to variance 1."""
    by_class = classes.shape(n_shapes)[0]
    W = by_class[classes.index]
    S1, S2 = ((by_class**power * classes.count[:, None]).sum(axis=0) for power in (1, 2))
    at = interpolation(chebyshev(n_shapes), classes.table.h.shape[1])
    known = _one_by_one(spots, regimes, W, pool)
    found = {}
    for k, one in regimes.items():
        c = at @ sums[k].moments.c
        shift = c * (S1 - S2 / S1) / (len(spots) - 1)
        K = one.kernel
        alone = component_eigenvalues(K, W, c) if isinstance(K, NeighbourKernel) else None
        if k in known:
            trace = 2.0 * float(at[0] @ sums[k].moments.E)
            means, edges = grouped_eigenvalues(known[k], leading(known[k][0], len(spots), trace))
        elif alone is not None:
            means, edges = grouped_eigenvalues(alone, len(spots) - 1)
            shift = np.zeros(n_shapes)
        else:
            means, edges = _by_density(spots, one, W, 2.0 * (at @ sums[k].I_tt), sums[k].centring, pool)
        scaled = [
            standardised_groups(mean, edges, s, len(spots)) for mean, s in zip(means, shift, strict=True)
        ]
        found[k] = np.array([groups for groups, _ in scaled]), scaled[0][1]
    return found


def _one_by_one(
    spots: Spots, regimes: Mapping[int, Regime], W: Array, pool: Executor
) -> dict[int, list[Array]]:
    """All eigenvalues of P^½ K P^½ for each column of ``W``, of those kernels that have few."""
    grams = {
        k: NodeGram.of(spots, one.lengthscale, precision, W)
        for k, one in regimes.items()
        if (precision := precision_of(spots, one.lengthscale)) is not None
    }
    # Kernels and weights apart: those of the shortest kernel take longer than all others' together.
    jobs = [(k, lane) for k in grams for lane in range(W.shape[1])]
    values = pool.map(lambda job: grams[job[0]].eigenvalues(job[1]), jobs)
    found: dict[int, list[Array]] = {k: [] for k in grams}
    for (k, _), each in zip(jobs, values, strict=True):
        found[k].append(each)
    return found


def _by_density(
    spots: Spots, regime: Regime, W: Array, second: Array, centring: Array, pool: Executor
) -> tuple[list[Array], list[int]]:
    """Groups of a local kernel's eigenvalues for each column of ``W``, whose Σ λ² are ``second``."""
    K, n_shapes = regime.kernel, W.shape[1]
    if isinstance(K, NeighbourKernel):
        third = neighbour_cumulants(K, W) - centring
        root = np.sqrt(W)
        atoms = quadrature(lambda lanes: Weighted(K, root[:, lanes]), len(spots), n_shapes, pool)
    else:
        third = third_cumulants(spots, regime.lengthscale, W) - centring
        gram = NodeGram.of(spots, regime.lengthscale, COARSE, W)
        atoms = quadrature(lambda lanes: NodeOperator(gram, lanes), len(gram), n_shapes, pool)
    return grouped_density(atoms, second, third, len(spots))
