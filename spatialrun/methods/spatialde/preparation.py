"""What all blocks of a sample's genes share: features, tables and spectra of its spots and kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from spatialrun.errors import DataError, UsageError
from spatialrun.methods.spatialde import levels
from spatialrun.methods.spatialde.family import (
    Family,
    chebyshev,
    family,
    gauss_sizes,
    interpolation,
    weights_shape,
)
from spatialrun.methods.spatialde.features import RESIDUAL, RESIDUAL_REFERENCE, DenseGram, Gram, gram
from spatialrun.methods.spatialde.grid import FINE, Grid, Spots
from spatialrun.methods.spatialde.kernels import Kernel, checked_coordinates
from spatialrun.methods.spatialde.large import large_setup, ordered_spots
from spatialrun.methods.spatialde.score_kernels import TILE
from spatialrun.methods.spatialde.spectrum import eigenvalues, grouped, leading, leading_features
from spatialrun.methods.spatialde.tables import moments

Array = NDArray[np.float64]
ObsDist = Literal["negative_binomial", "normal"]
Statistic = Literal["default", "reference"]

# Spots up to which kernel matrices are held whole: two of these, as doubles, are 400 MB.
LARGEST_DENSE = 5_000
FORMAT = 1
# The shape of the null distribution changes slowly with t: few nodes are enough.
SHAPE_NODES = 6
# From so many spots on, a kernel of so large an effective rank (tr K)²/tr K² is cheaper on a grid than by
# features: at 1,470 spots a count reaches 256 nodes there, in place of 1,400 features.
SPOTS_FOR_GRIDS = 512
RANK_FOR_GRIDS = 12.0
# Of the features that are only for the shape of the null distribution, which leaves out more than that.
FOR_SHAPE = 1e-7


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
        ``position`` (N,) each spot's place among the kept ones, ``size`` (n,) in that order, ``size_mean`` (1,),
        ``gauss_size`` and ``gauss_weight`` (<= 32,), ``axis`` (2,), ``basis`` (T, B), ``features`` (R/64, n + B,
        64), ``tile_kernel`` (R,), ``mean``, ``information`` and ``diagonal_share`` (K, T), ``spectrum`` (K, S,
        M), ``multiplicity`` (K, M), ``third`` (K, S); for kernels on grids those of ``large_setup``.

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
    common |= {"size": size, "position": position}
    if len(x) > LARGEST_DENSE:
        with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
            found = large_setup(x, size, kernels, SHAPE_NODES, pool, reference=reference)
        return common | found
    table = family(size)
    spots = None if reference or len(x) < SPOTS_FOR_GRIDS else Spots.of(x)
    h = weights_shape(table.axis.nodes(SHAPE_NODES), size)
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        described = list(
            pool.map(lambda kernel: _describe(kernel, x, spots, size, h, table, reference), kernels)
        )
        # One by one: those of the shortest kernel take longer than all others' together.
        each = [(d.first[0], weights) for d in described for weights in h.T]
        values = list(pool.map(lambda one: eigenvalues(*one), each))
        del each
        shapes = [
            _shapes(d.first.pop(), d.whole, values[k : k + SHAPE_NODES], h, d.diagonal_share)
            for k, d in zip(range(0, len(values), SHAPE_NODES), described, strict=True)
        ]
        features, tile_kernel = _tiled_features([d.features.pop() for d in described], table.psi)
    gauss_size, gauss_weight = gauss_sizes(size)
    grids = {k: d.grid for k, d in enumerate(described) if d.grid is not None}
    return (
        common
        | _on_grids(grids, len(kernels), table)
        | {
            "usable": np.array([d.usable for d in described]),
            "gauss_size": gauss_size,
            "gauss_weight": gauss_weight,
            "axis": np.array([table.axis.centre, table.axis.modulus]),
            "basis": table.phi,
            "features": features,
            "tile_kernel": tile_kernel,
            "mean": np.array([d.mean for d in described]),
            "information": np.array([d.information for d in described]),
            "diagonal_share": np.array([d.diagonal_share for d in described]),
            "spectrum": np.array([spectrum for spectrum, _ in shapes]),
            "multiplicity": np.array([multiplicity for _, multiplicity in shapes]),
            "third": np.array([d.third for d in described]),
        }
    )


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
    grid: Grid | None


def _describe(
    kernel: Kernel, x: Array, spots: Spots | None, size: Array, h: Array, table: Family, reference: bool
) -> _Description:
    K = gram(kernel, x, centred=not reference)
    grid = _grid(kernel, K, spots)
    moment = moments(K, table.h, frobenius=reference)
    usable = moment.usable(K.diagonal @ table.h, len(x))
    t = table.axis.nodes(SHAPE_NODES)
    # The third moment of v is W (1 + 2 α μ)/(1 + α μ), and 1/(1 + α μ) = (1 - t)/((1 - t) + t s).
    cubes = h * (2.0 - (1.0 - t) / ((1.0 - t) + t * size[:, None]))
    third = K.third_moments(h, cubes) / cubes.sum(axis=0) ** 2
    F = K.features(FOR_SHAPE if grid is not None else RESIDUAL_REFERENCE if reference else RESIDUAL)
    if not reference:
        # Σ v = 0 at the maximum likelihood: the means drop out of F'v, and with them what would cancel.
        F = F - F.mean(axis=0)
    first, whole = leading_features(F)
    held = F if grid is None else np.empty((len(F), 0))
    whole = whole and isinstance(K, DenseGram)
    return _Description([held], [first], whole, moment.E, moment.J, moment.c, third, usable, grid)


def _shapes(
    first: Array, whole: bool, values: list[Array], h: Array, diagonal_share: Array
) -> tuple[Array, Array]:
    """Groups of eigenvalues (S, M) of one kernel, and how many each stands for (M,), from those of each node."""
    c = interpolation(chebyshev(SHAPE_NODES), len(diagonal_share)) @ diagonal_share
    # Where all eigenvalues are known as many are kept as of many spots.
    rank = leading(values[0], len(first)) if whole else None
    shapes = [grouped(*node, rank=rank) for node in zip(values, h.T, c, strict=True)]
    return np.array([spectrum for spectrum, _ in shapes]), shapes[0][1]


def _grid(kernel: Kernel, K: Gram, spots: Spots | None) -> Grid | None:
    """The grid of a kernel that is cheaper so; None where it has few features, or spots lie far apart."""
    if spots is None or not isinstance(K, DenseGram) or K.effective_rank < RANK_FOR_GRIDS:
        return None
    nodes = float(np.prod([FINE.nodes(extent, kernel.lengthscale) for extent in spots.extents]))
    return Grid.of(spots, kernel.lengthscale) if nodes <= levels.NODES_A_SPOT * len(spots) else None


def _on_grids(grids: Mapping[int, Grid], n_kernels: int, table: Family) -> dict[str, NDArray[Any]]:
    """What the quadratic forms need of the kernels on grids; see ``quadratic.quadratic_forms``."""
    if not grids:
        return {}
    found: dict[str, NDArray[Any]] = {}
    constant = np.zeros((n_kernels, len(table.phi)))
    rows = []
    columns = levels.lanes_of(table.psi)
    for k, grid in grids.items():
        on_basis = np.column_stack([grid.times(part) for part in columns])[:, : table.psi.shape[1]]
        constant[k] = np.einsum("tb,bc,tc->t", table.phi, table.psi.T @ on_basis, table.phi)
        rows.append(on_basis)
        found |= levels.stored(f"direct{k}", grid)
        found |= {"x_index": grid.spots.ix, "y_index": grid.spots.iy}
    return found | {
        "rows": levels.padded_rows(np.column_stack(rows)),
        "feature_kernel": np.zeros(0, np.int64),
        "feature_basis": np.zeros((0, 1)),
        "direct": np.array(list(grids), np.int64),
        "sources": np.array([0]),
        "quadratic": constant,
    }


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
        raise DataError(
            "data.empty", "no spot has any counts", hint="leave this sample out, or look at what was read"
        )
    return sizes


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError("usage", f"{name} {value!r}", hint=f"One of {', '.join(choices)}.")
