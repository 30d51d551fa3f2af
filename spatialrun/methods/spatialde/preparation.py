"""What all blocks of a sample's genes share: features, tables and spectra of its spots and kernels."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from spatialrun.errors import DataError, UsageError
from spatialrun.methods.spatialde.grid import Spots
from spatialrun.methods.spatialde.gridded import gridded_setup, ordered_spots
from spatialrun.methods.spatialde.kernels import Kernel, checked_coordinates
from spatialrun.methods.spatialde.levels import suited
from spatialrun.methods.spatialde.whole import whole_setup

Array = NDArray[np.float64]
ObsDist = Literal["negative_binomial", "normal"]
Statistic = Literal["default", "reference"]

# Spots below which kernel matrices are held whole: that takes no time, and nothing is left to an approximation.
SPOTS_FOR_GRIDS = 512
# The same for the published statistic, and where dense spots lie far apart: two of these, as doubles, are 400 MB.
LARGEST_WHOLE = 5000
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
        Threads that prepare; the result does not depend on it.

    Returns
    -------
    dict of arrays
        Plain arrays, to be stored and given to ``score_block`` as they are. n kept spots, K kernels, R features
        (padded), B basis functions, T and S nodes, M groups of eigenvalues: ``format`` (1,), ``obs_dist`` (1,),
        ``statistic`` (1,), ``kernel_kind`` (K,), ``kernel_lengthscale`` (K,), ``usable`` (K,), ``keep`` (N,),
        ``position`` (N,) each spot's place among the kept ones, ``size`` (n,) in that order, ``size_mean`` (1,),
        ``gauss_size`` and ``gauss_weight`` (<= 32,), ``axis`` (2,), ``basis`` (T, B), ``features`` (R/64, n + B,
        64), ``tile_kernel`` (R,), ``mean``, ``information`` and ``diagonal_share`` (K, T), ``spectrum`` (K, S,
        M), ``multiplicity`` (K, M), ``third`` (K, S); for kernels on grids those of ``gridded_setup``.

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
    order = ordered_spots(x, kernels)
    x, size = x[order], size[order]
    position = np.full(len(keep), -1)
    position[np.flatnonzero(keep)[order]] = np.arange(len(order))
    whole = len(x) <= LARGEST_WHOLE and (reference or len(x) < SPOTS_FOR_GRIDS or not _suit_grids(x, kernels))
    prepare = whole_setup if whole else gridded_setup
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        found = prepare(x, size, kernels, SHAPE_NODES, pool, reference=reference)
    return common | {"size": size, "position": position} | found


def _suit_grids(x: Array, kernels: Sequence[Kernel]) -> bool:
    spots = Spots.of(x)
    return all(suited(spots, kernel.lengthscale) for kernel in kernels if kernel.kind == "SE")


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
        raise DataError(
            "data.empty", "no spot has any counts", hint="leave this sample out, or look at what was read"
        )
    return sizes


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError("usage", f"{name} {value!r}", hint=f"One of {', '.join(choices)}.")
