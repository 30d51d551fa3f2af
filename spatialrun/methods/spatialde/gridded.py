"""The set-up without a matrix of spots by spots: grids, few features, sparse neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde import levels
from spatialrun.methods.spatialde.family import chebyshev, gauss_classes, interpolation
from spatialrun.methods.spatialde.features import Gram, LowRankGram, gram
from spatialrun.methods.spatialde.grid import Grid, Spots
from spatialrun.methods.spatialde.kernels import Kernel
from spatialrun.methods.spatialde.neighbours import NeighbourKernel
from spatialrun.methods.spatialde.rank import AxisProduct
from spatialrun.methods.spatialde.shapes import shapes
from spatialrun.methods.spatialde.spectrum import grouped_spectrum
from spatialrun.methods.spatialde.sums import KernelSums, SizeClasses, feature_moments, kernel_sums
from spatialrun.methods.spatialde.tiles import RESIDUAL, compressed, tiled

Array = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]

# Spots up to which a long kernel's features cost a gene less than its values on a grid.
LARGEST_TILED = 3_000
DIRECT = "grid", "neighbours"  # of which each gene's form is computed by itself


def ordered_spots(x: Array, kernels: Sequence[Kernel]) -> NDArray[np.int64]:
    """An order of the spots by rows of the shortest grid, in which near spots are near."""
    lengths = [kernel.lengthscale for kernel in kernels if kernel.kind == "SE"]
    height = np.ptp(x[:, 1])
    step = max(min(lengths, default=height) / 2.0, height / len(x)) or 1.0
    found: NDArray[np.int64] = np.lexsort((x[:, 0], np.floor((x[:, 1] - x[:, 1].min()) / step)))
    return found


def gridded_setup(
    x: Array, size: Array, kernels: Sequence[Kernel], n_shapes: int, pool: Executor, *, reference: bool
) -> Arrays:
    """The arrays of a setup that depend on kernels, for spots ``x`` (n, 2) in the order of ``ordered_spots``."""
    spots, classes = Spots.of(x), SizeClasses.of(size)
    regimes: dict[int, levels.Regime] = {}
    sums: dict[int, KernelSums] = {}
    low: dict[int, Gram] = {}
    for k, kernel in enumerate(kernels):
        if kernel.kind == "SE":
            regimes[k], powers = levels.regime(spots, kernel.lengthscale)
            keep = regimes[k].name in DIRECT
            sums[k] = kernel_sums(powers, classes, n_shapes, pool, keep=keep, reference=reference)
            del powers  # where every spot has coordinates of its own, those of all kernels fill the memory
        else:
            low[k] = gram(kernel, x, centred=not reference)
    moments = {k: one.moments for k, one in sums.items()}
    shape = shapes(spots, regimes, sums, classes, n_shapes, pool)
    third = {k: one.third for k, one in sums.items()}
    diagonal = {k: np.ones(len(x)) for k in regimes}
    features = {}
    for k, K in low.items():
        assert isinstance(K, LowRankGram)
        features[k] = K.F if reference else K.F - K.F.mean(axis=0)
        diagonal[k] = K.diagonal
        moments[k] = feature_moments(K.F, classes, reference=reference)
        shape[k] = _low_rank_shape(features[k], classes, moments[k].c, n_shapes)
        third[k] = np.zeros(n_shapes)
    usable = [
        moments[k].usable((classes.total(diagonal[k][:, None]) * classes.table.h).sum(axis=0), len(x))
        for k in range(len(kernels))
    ]
    in_order = range(len(kernels))
    gauss_size, gauss_weight = gauss_classes(classes.size, classes.count)
    forms = _forms(
        spots, regimes, sums, features, classes, pool, tiles=len(x) <= LARGEST_TILED and not reference
    )
    return forms | {
        "gauss_size": gauss_size,
        "gauss_weight": gauss_weight,
        "axis": np.array([classes.axis.centre, classes.axis.modulus]),
        "basis": classes.table.phi,
        "regime": np.array([regimes[k].name if k in regimes else "exact" for k in in_order]),
        "usable": np.array(usable),
        "mean": np.array([moments[k].E for k in in_order]),
        "information": np.array([moments[k].J for k in in_order]),
        "diagonal_share": np.array([moments[k].c for k in in_order]),
        "spectrum": np.array([shape[k][0] for k in in_order]),
        "multiplicity": np.array([shape[k][1] for k in in_order]),
        "third": np.array([third[k] for k in in_order]),
    }


def _low_rank_shape(F: Array, classes: SizeClasses, c: Array, n_shapes: int) -> tuple[Array, Array]:
    """Eigenvalues of a kernel F F' less c at the nodes of t, in groups."""
    h = classes.shape(n_shapes)[0][classes.index]
    at = interpolation(chebyshev(n_shapes), len(c)) @ c
    found = [grouped_spectrum(F, h[:, j], at[j]) for j in range(n_shapes)]
    return np.array([values for values, _ in found]), found[0][1]


def _forms(
    spots: Spots,
    regimes: Mapping[int, levels.Regime],
    sums: Mapping[int, KernelSums],
    features: Mapping[int, Array],
    classes: SizeClasses,
    pool: Executor,
    *,
    tiles: bool,
) -> Arrays:
    """What the quadratic forms of a block need; ``features`` (N, R) are those of kernels that have few."""
    found: Arrays = {"x_index": spots.ix, "y_index": spots.iy}
    quadratic = np.zeros((len(regimes) + len(features), classes.table.h.shape[1]))
    direct = [k for k, one in regimes.items() if one.name in DIRECT]
    on_basis = [sums[k].on_basis for k in direct]
    in_rows = dict(features)
    errors = {}
    if tiles:
        long = {k: K for k, one in regimes.items() if isinstance(K := one.kernel, AxisProduct)}
        in_tiles = in_rows | {k: compressed(K.features(slice(None))) for k, K in long.items()}
        errors = dict.fromkeys(long, RESIDUAL)
        regimes = {k: one for k, one in regimes.items() if k not in in_tiles}
        found |= tiled(in_tiles, classes.table.psi[classes.index], on_basis)
        in_rows, on_basis = {}, []
    for k in direct:
        quadratic[k] = sums[k].quadratic
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
    F = np.column_stack([np.zeros((len(spots), 0)), *in_rows.values()])
    owners = [k for k, part in in_rows.items() for _ in range(part.shape[1])]
    errors |= levels.errors(spots, regimes, held)
    return found | {
        "rows": levels.padded_rows(np.column_stack([F, *on_basis])),
        "feature_kernel": np.array(owners, np.int64),
        "feature_basis": classes.total(F).T @ classes.table.psi if owners else np.zeros((0, 1)),
        "direct": np.array(direct, np.int64),
        "sources": np.array([len(held)]),
        "quadratic": quadratic,
        "kernel_error": np.array([errors.get(k, 0.0) for k in range(len(quadratic))]),
    }


def _stored(prefix: str, regime: levels.Regime) -> Arrays:
    K = regime.kernel
    if isinstance(K, Grid):
        return levels.stored(prefix, K)
    assert isinstance(K, NeighbourKernel)
    upper = K.upper
    return {
        f"{prefix}.near": upper.indptr.astype(np.int64),
        f"{prefix}.neighbour": upper.indices.astype(np.int32),
        f"{prefix}.value": upper.data,
    }
