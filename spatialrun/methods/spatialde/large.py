"""The set-up of samples of many spots: no matrix of spots by spots, and no eigenvalues of one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde import levels
from spatialrun.methods.spatialde.density import (
    component_eigenvalues,
    grid_eigenvalues,
    grouped_density,
    grouped_eigenvalues,
    neighbour_cumulants,
    precision_of,
    quadrature,
    third_cumulants,
)
from spatialrun.methods.spatialde.family import chebyshev, gauss_classes, interpolation
from spatialrun.methods.spatialde.features import LowRankGram, gram
from spatialrun.methods.spatialde.grid import COARSE, Grid, Spots
from spatialrun.methods.spatialde.kernels import Kernel
from spatialrun.methods.spatialde.neighbours import NeighbourKernel
from spatialrun.methods.spatialde.spectrum import grouped_spectrum, leading, standardised_groups
from spatialrun.methods.spatialde.sums import KernelSums, SizeClasses, feature_moments, kernel_sums
from spatialrun.methods.spatialde.tables import Moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Description:
    """What the blocks need of one kernel; names and shapes as in the setup."""

    moments: Moments
    spectrum: Array
    multiplicity: Array
    third: Array
    usable: bool


def ordered_spots(x: Array, kernels: Sequence[Kernel]) -> NDArray[np.int64]:
    """An order of the spots by rows of the shortest grid, in which near spots are near."""
    lengths = [kernel.lengthscale for kernel in kernels if kernel.kind == "SE"]
    height = np.ptp(x[:, 1])
    step = max(min(lengths, default=height) / 2.0, height / len(x)) or 1.0
    found: NDArray[np.int64] = np.lexsort((x[:, 0], np.floor((x[:, 1] - x[:, 1].min()) / step)))
    return found


def large_setup(
    x: Array, size: Array, kernels: Sequence[Kernel], n_shapes: int, pool: Executor, *, reference: bool
) -> dict[str, NDArray[Any]]:
    """The arrays of a setup that depend on kernels, for spots ``x`` (n, 2) in the order of ``ordered_spots``."""
    spots, classes = Spots.of(x), SizeClasses.of(size)
    regimes = {
        k: levels.regime(spots, kernel.lengthscale) for k, kernel in enumerate(kernels) if kernel.kind == "SE"
    }
    rows: list[Array] = []
    features: list[Array] = []
    owners: list[int] = []
    found: dict[str, NDArray[Any]] = {"x_index": spots.ix, "y_index": spots.iy}
    quadratic = np.zeros((len(kernels), classes.table.h.shape[1]))
    described: list[Description] = []
    direct: list[int] = []
    for k, kernel in enumerate(kernels):
        if k not in regimes:
            low = gram(kernel, x, centred=not reference)
            assert isinstance(low, LowRankGram)
            described.append(_low_rank(low.F, classes, n_shapes, reference))
            features.append(low.F if reference else low.F - low.F.mean(axis=0))
            owners += [k] * low.F.shape[1]
            continue
        sums = kernel_sums(regimes[k].powers, classes, n_shapes, pool, reference=reference)
        described.append(_described(spots, regimes[k], sums, classes, n_shapes, pool))
        if regimes[k].name in ("grid", "neighbours"):
            direct.append(k)
            rows.append(sums.on_basis)
            quadratic[k] = sums.quadratic
            found |= _stored(f"direct{k}", regimes[k])
    held = levels.sources(spots, regimes)
    for number, source in enumerate(held):
        found |= levels.stored(f"source{number}", source.grid)
        found[f"source{number}.psi"] = levels.on_nodes(source.grid, classes, pool)
        found[f"source{number}.kernels"] = np.array([target.kernel for target in source.targets])
        for target in source.targets:
            found[f"target{target.kernel}.x"] = target.x
            found[f"target{target.kernel}.y"] = target.y
            found[f"target{target.kernel}.pairs"] = target.pairs
    F = np.column_stack(features) if features else np.zeros((len(x), 0))
    error = np.zeros(len(kernels))
    for k, value in levels.errors(spots, regimes, held).items():
        error[k] = value
    gauss = gauss_classes(classes.size, classes.count)
    return found | {
        "gauss_size": gauss[0],
        "gauss_weight": gauss[1],
        "axis": np.array([classes.axis.centre, classes.axis.modulus]),
        "basis": classes.table.phi,
        "rows": levels.padded_rows(np.column_stack([F, *rows])),
        "feature_kernel": np.array(owners, np.int64),
        "feature_basis": classes.total(F).T @ classes.table.psi if owners else np.zeros((0, 1)),
        "direct": np.array(direct, np.int64),
        "sources": np.array([len(held)]),
        "quadratic": quadratic,
        "regime": np.array([regimes[k].name if k in regimes else "exact" for k in range(len(kernels))]),
        "kernel_error": error,
        "usable": np.array([d.usable for d in described]),
        "mean": np.array([d.moments.E for d in described]),
        "information": np.array([d.moments.J for d in described]),
        "diagonal_share": np.array([d.moments.c for d in described]),
        "spectrum": np.array([d.spectrum for d in described]),
        "multiplicity": np.array([d.multiplicity for d in described]),
        "third": np.array([d.third for d in described]),
    }


def _low_rank(F: Array, classes: SizeClasses, n_shapes: int, reference: bool) -> Description:
    moments = feature_moments(F, classes, reference=reference)
    centred = F if reference else F - F.mean(axis=0)
    h = classes.shape(n_shapes)[0][classes.index]
    c = interpolation(chebyshev(n_shapes), len(moments.c)) @ moments.c
    shapes = [grouped_spectrum(centred, h[:, j], c[j]) for j in range(n_shapes)]
    usable = moments.usable(
        (classes.total((F * F).sum(axis=1)[:, None]) * classes.table.h).sum(axis=0), len(F)
    )
    return Description(moments, np.array([v for v, _ in shapes]), shapes[0][1], np.zeros(n_shapes), usable)


def _described(
    spots: Spots,
    regime: levels.Regime,
    sums: KernelSums,
    classes: SizeClasses,
    n_shapes: int,
    pool: Executor,
) -> Description:
    by_class = classes.shape(n_shapes)[0]
    W = by_class[classes.index]
    at = interpolation(chebyshev(n_shapes), len(sums.I_tt))
    c, second = at @ sums.moments.c, 2.0 * (at @ sums.I_tt)
    S1 = (by_class * classes.count[:, None]).sum(axis=0)
    S2 = (by_class * by_class * classes.count[:, None]).sum(axis=0)
    shift = c * (S1 - S2 / S1) / (len(spots) - 1)
    means, edges, off = _groups(spots, regime, W, second, sums.centring, c, shift, pool)
    shapes = [standardised_groups(mean, edges, s, len(spots)) for mean, s in zip(means, off, strict=True)]
    usable = sums.moments.usable((classes.table.h * classes.count[:, None]).sum(axis=0), len(spots))
    return Description(sums.moments, np.array([v for v, _ in shapes]), shapes[0][1], sums.third, usable)


def _groups(
    spots: Spots,
    regime: levels.Regime,
    W: Array,
    second: Array,
    centring: Array,
    c: Array,
    shift: Array,
    pool: Executor,
) -> tuple[list[Array], list[int], Array]:
    """Means of groups of eigenvalues for each column of ``W``, the groups' edges, and what is to come off them.

    They are those of P^½ K P^½, whose Σ λ² are ``second``, and ``shift`` comes off; or those of
    P^½ (K - cI) P^½, and nothing does.
    """
    K = regime.powers[0]
    precision = precision_of(spots, regime.lengthscale)
    if isinstance(K, NeighbourKernel):
        values = component_eigenvalues(K, W, c)
        if values is not None:
            return *grouped_eigenvalues(values, len(spots) - 1), np.zeros(len(c))
        third = neighbour_cumulants(K, W) - centring
        return *grouped_density(quadrature(K, W, pool), second, third, len(spots)), shift
    if precision is not None:
        values = grid_eigenvalues(spots, regime.lengthscale, precision, W)
        return *grouped_eigenvalues(values, leading(values[0], len(spots))), shift
    third = third_cumulants(spots, regime.lengthscale, W) - centring
    grid = Grid.of(spots, regime.lengthscale, COARSE)
    return *grouped_density(quadrature(grid, W, pool), second, third, len(spots)), shift


def _stored(prefix: str, regime: levels.Regime) -> dict[str, NDArray[Any]]:
    K = regime.powers[0]
    if isinstance(K, Grid):
        return levels.stored(prefix, K)
    assert isinstance(K, NeighbourKernel)
    upper = K.upper
    return {
        f"{prefix}.near": upper.indptr.astype(np.int64),
        f"{prefix}.neighbour": upper.indices.astype(np.int32),
        f"{prefix}.value": upper.data,
    }
