"""What all blocks of a sample's genes share: features, tables and spectra of its spots and kernels."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from spatialrun.errors import DataError, UsageError
from spatialrun.methods.spatialde.family import (
    Family,
    chebyshev,
    family,
    gauss_sizes,
    interpolation,
    weights_shape,
)
from spatialrun.methods.spatialde.features import gram
from spatialrun.methods.spatialde.kernels import Kernel, checked_coordinates
from spatialrun.methods.spatialde.large import large_setup, ordered_spots
from spatialrun.methods.spatialde.score_kernels import TILE
from spatialrun.methods.spatialde.spectrum import grouped_spectrum, leading_features
from spatialrun.methods.spatialde.tables import moments

Array = NDArray[np.float64]
ObsDist = Literal["negative_binomial", "normal"]
Statistic = Literal["default", "reference"]

# Spots up to which kernel matrices are held whole: two of these, as doubles, are 400 MB.
LARGEST_DENSE = 5_000
FORMAT = 1
# The shape of the null distribution changes slowly with t: few nodes are enough.
SHAPE_NODES = 6


def setup(
    coordinates: ArrayLike,
    size_factors: ArrayLike | None,
    kernels: Sequence[Kernel],
    *,
    obs_dist: ObsDist = "negative_binomial",
    statistic: Statistic = "default",
    threads: int = 1,
) -> dict[str, NDArray[Any]]:
    """Prepare the score test of SpatialDE2 (Kats, Vento-Tormo, Stegle 2021) for one sample's spots.

    Parameters
    ----------
    coordinates
        (N, 2), in any unit; that of the kernels' lengthscales.
    size_factors
        (N,) >= 0, usually total counts per spot; spots with 0 are left out. Unused for ``normal``.
    kernels
        At least one; see ``default_kernels``.
    obs_dist
        ``negative_binomial`` for counts, ``normal`` for continuous layers.
    statistic
        ``default``, or ``reference`` for what the published code computes (information in its Frobenius form,
        scaled chi-squared tails, plain Cauchy combination).
    threads
        Kernels prepared at once, each of which holds N x N doubles meanwhile; the result does not depend on it.

    Returns
    -------
    dict of arrays
        Plain arrays, to be stored and given to ``score_block`` as they are. n kept spots, K kernels, R features
        (padded), B basis functions, T and S nodes, M groups of eigenvalues: ``format`` (1,), ``obs_dist`` (1,),
        ``statistic`` (1,), ``kernel_kind`` (K,), ``kernel_lengthscale`` (K,), ``usable`` (K,), ``keep`` (N,),
        ``size`` (n,), ``size_mean`` (1,), ``gauss_size`` and ``gauss_weight`` (<= 32,), ``axis`` (2,), ``basis``
        (T, B), ``features`` (R/64, n + B, 64), ``feature_kernel`` (R,), ``mean``, ``information`` and
        ``diagonal_share`` (K, T), ``spectrum`` (K, S, M), ``multiplicity`` (K, M), ``third`` (K, S).

    Raises
    ------
    DataError
        ``data.coordinates`` (not finite, or all the same), ``data.values`` (bad size factors), ``data.empty`` (no
        spot with a size), ``data.too-large`` (a kernel that is neither a grid's nor a few neighbours').
    UsageError
        For an unknown ``obs_dist`` or ``statistic``, no kernels, or no size factors where they are needed.
    """
    _check_choice("obs_dist", obs_dist, get_args(ObsDist))
    _check_choice("statistic", statistic, get_args(Statistic))
    if not kernels:
        raise UsageError("usage", "the score test needs at least one kernel")
    x = checked_coordinates(coordinates)
    sizes = _checked_sizes(size_factors, len(x), obs_dist)
    keep = sizes > 0.0
    x = checked_coordinates(x[keep])
    mean_size = sizes[keep].mean()
    size = sizes[keep] / mean_size
    common = {
        "format": np.array([FORMAT]),
        "obs_dist": np.array([obs_dist]),
        "statistic": np.array([statistic]),
        "kernel_kind": np.array([kernel.kind for kernel in kernels]),
        "kernel_lengthscale": np.array([kernel.lengthscale for kernel in kernels]),
        "keep": keep,
        "size_mean": np.array([mean_size]),
    }
    reference = statistic == "reference"
    if len(x) > LARGEST_DENSE:
        order = ordered_spots(x, kernels)
        position = np.full(len(keep), -1)
        position[np.flatnonzero(keep)[order]] = np.arange(len(order))
        with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
            found = large_setup(x[order], size[order], kernels, SHAPE_NODES, pool, reference=reference)
        return common | found | {"size": size[order], "position": position}
    table = family(size)
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        described = list(pool.map(lambda kernel: _describe(kernel, x, size, table, reference), kernels))
        features, feature_kernel = _tiled_features([d.features.pop() for d in described], table.psi)
    gauss_size, gauss_weight = gauss_sizes(size)
    return common | {
        "usable": np.array([d.usable for d in described]),
        "size": size,
        "gauss_size": gauss_size,
        "gauss_weight": gauss_weight,
        "axis": np.array([table.axis.centre, table.axis.modulus]),
        "basis": table.phi,
        "features": features,
        "feature_kernel": feature_kernel,
        "mean": np.array([d.mean for d in described]),
        "information": np.array([d.information for d in described]),
        "diagonal_share": np.array([d.diagonal_share for d in described]),
        "spectrum": np.array([d.spectrum for d in described]),
        "multiplicity": np.array([d.multiplicity for d in described]),
        "third": np.array([d.third for d in described]),
    }


@dataclass(frozen=True)
class _Description:
    """What the blocks need of one kernel; names and shapes as in the setup, ``features`` to be taken out."""

    features: list[Array]
    mean: Array
    information: Array
    diagonal_share: Array
    spectrum: Array
    multiplicity: Array
    third: Array
    usable: bool


def _describe(kernel: Kernel, x: Array, size: Array, table: Family, reference: bool) -> _Description:
    K = gram(kernel, x, centred=not reference)
    moment = moments(K, table.h, frobenius=reference)
    usable = moment.usable(K.diagonal @ table.h, len(x))
    t = table.axis.nodes(SHAPE_NODES)
    h = weights_shape(t, size)
    # The third moment of v is W (1 + 2 α μ)/(1 + α μ), and 1/(1 + α μ) = (1 - t)/((1 - t) + t s).
    cubes = h * (2.0 - (1.0 - t) / ((1.0 - t) + t * size[:, None]))
    third = K.third_moments(h, cubes) / cubes.sum(axis=0) ** 2
    F = K.features()
    if not reference:
        # Σ v = 0 at the maximum likelihood: the means drop out of F'v, and with them what would cancel.
        F = F - F.mean(axis=0)
    c = interpolation(chebyshev(SHAPE_NODES), table.h.shape[1]) @ moment.c
    leading = leading_features(F)
    shapes = [grouped_spectrum(leading, h[:, j], c[j]) for j in range(SHAPE_NODES)]
    spectrum = np.array([values for values, _ in shapes])
    return _Description([F], moment.E, moment.J, moment.c, spectrum, shapes[0][1], third, usable)


def _tiled_features(parts: list[Array], psi: Array) -> tuple[Array, NDArray[np.int64]]:
    """All kernels' features in tiles, the last one padded with zeros; below the spots, those of ψ.

    ``parts`` is emptied on the way: of a large sample there is no room for the features twice.
    """
    n_spots, n_basis = psi.shape
    owner = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
    n_tiles = -(-len(owner) // TILE)
    features = np.zeros((n_tiles, n_spots + n_basis, TILE))
    column = 0
    while parts:
        F = parts.pop(0)
        below = psi.T @ F
        for j in range(F.shape[1]):
            tile, place = divmod(column + j, TILE)
            features[tile, :n_spots, place] = F[:, j]
            features[tile, n_spots:, place] = below[:, j]
        column += F.shape[1]
    return features, np.append(owner, np.zeros(n_tiles * TILE - len(owner), np.int64))


def _checked_sizes(size_factors: ArrayLike | None, n_spots: int, obs_dist: ObsDist) -> Array:
    if obs_dist == "normal":
        return np.ones(n_spots)
    if size_factors is None:
        raise UsageError(
            "usage", "the negative binomial needs size factors", hint="Total counts per spot will do."
        )
    sizes = np.asarray(size_factors, dtype=np.float64)
    if sizes.shape != (n_spots,):
        raise DataError("data.values", f"size factors of shape {sizes.shape} for {n_spots} spots")
    if not np.isfinite(sizes).all() or (sizes < 0.0).any():
        raise DataError("data.values", "size factors that are negative, NaN or infinite")
    if not (sizes > 0.0).any():
        raise DataError("data.empty", "no spot has any counts")
    return sizes


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError("usage", f"{name} {value!r}", hint=f"One of {', '.join(choices)}.")
