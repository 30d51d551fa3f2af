"""The set-up of samples whose kernel matrices are held whole: few spots, or no other way."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.family import (
    Family,
    chebyshev,
    family,
    gauss_sizes,
    interpolation,
    weights_shape,
)
from spatialrun.methods.spatialde.features import RESIDUAL, RESIDUAL_REFERENCE, DenseGram, gram
from spatialrun.methods.spatialde.kernels import Kernel
from spatialrun.methods.spatialde.spectrum import eigenvalues, grouped, leading, leading_features
from spatialrun.methods.spatialde.tables import moments
from spatialrun.methods.spatialde.tiles import tiled

Array = NDArray[np.float64]


def whole_setup(
    x: Array, size: Array, kernels: Sequence[Kernel], n_shapes: int, pool: Executor, *, reference: bool
) -> dict[str, NDArray[Any]]:
    """The arrays of a setup that depend on kernels, for spots ``x`` (n, 2)."""
    table = family(size)
    h = weights_shape(table.axis.nodes(n_shapes), size)
    described = list(pool.map(lambda kernel: _describe(kernel, x, size, h, table, reference), kernels))
    # One by one: those of the shortest kernel take longer than all others' together.
    each = [(d.first[0], weights) for d in described for weights in h.T]
    values = list(pool.map(lambda one: eigenvalues(*one), each))
    del each
    shapes = [
        _shapes(d.first.pop(), d.whole, values[k : k + n_shapes], h, d.diagonal_share)
        for k, d in zip(range(0, len(values), n_shapes), described, strict=True)
    ]
    tiles = tiled({k: d.features.pop() for k, d in enumerate(described)}, table.psi)
    gauss_size, gauss_weight = gauss_sizes(size)
    return tiles | {
        "usable": np.array([d.usable for d in described]),
        "gauss_size": gauss_size,
        "gauss_weight": gauss_weight,
        "axis": np.array([table.axis.centre, table.axis.modulus]),
        "basis": table.phi,
        "mean": np.array([d.mean for d in described]),
        "information": np.array([d.information for d in described]),
        "diagonal_share": np.array([d.diagonal_share for d in described]),
        "spectrum": np.array([spectrum for spectrum, _ in shapes]),
        "multiplicity": np.array([multiplicity for _, multiplicity in shapes]),
        "third": np.array([d.third for d in described]),
    }


@dataclass(frozen=True)
class _Description:
    """What the blocks need of one kernel; names and shapes as in the setup, features to be taken out.

    Eigenvalues are those of the ``first`` ones: all there are, where these are the ``whole``.
    """

    features: list[Array]
    first: list[Array]
    whole: bool
    mean: Array
    information: Array
    diagonal_share: Array
    third: Array
    usable: bool


def _describe(
    kernel: Kernel, x: Array, size: Array, h: Array, table: Family, reference: bool
) -> _Description:
    K = gram(kernel, x, centred=not reference)
    moment = moments(K, table.h, frobenius=reference)
    usable = moment.usable(K.diagonal @ table.h, len(x))
    t = table.axis.nodes(h.shape[1])
    # The third moment of v is W (1 + 2 α μ)/(1 + α μ), and 1/(1 + α μ) = (1 - t)/((1 - t) + t s).
    cubes = h * (2.0 - (1.0 - t) / ((1.0 - t) + t * size[:, None]))
    third = K.third_moments(h, cubes) / cubes.sum(axis=0) ** 2
    F = K.features(RESIDUAL_REFERENCE if reference else RESIDUAL)
    if not reference:
        # Σ v = 0 at the maximum likelihood: the means drop out of F'v, and with them what would cancel.
        F = F - F.mean(axis=0)
    first, whole = leading_features(F)
    whole = whole and isinstance(K, DenseGram)
    return _Description([F], [first], whole, moment.E, moment.J, moment.c, third, usable)


def _shapes(
    first: Array, whole: bool, values: list[Array], h: Array, diagonal_share: Array
) -> tuple[Array, Array]:
    """Groups of eigenvalues (S, M) of one kernel, and how many each stands for (M,), from those of each node."""
    c = interpolation(chebyshev(len(values)), len(diagonal_share)) @ diagonal_share
    # Where all eigenvalues are known as many are kept as of many spots.
    rank = leading(values[0], len(first)) if whole else None
    shapes = [grouped(*node, rank=rank) for node in zip(values, h.T, c, strict=True)]
    return np.array([spectrum for spectrum, _ in shapes]), shapes[0][1]
