"""How the quadratic forms of many spots are computed: which kernels share what.

A gene's z = y/(1 + a s) is as sparse as its counts; the rest of v = z - c h_t is a short sum of functions ψ_b of
the spots that all genes share.

- A grid about as fine as the spots: v'Kv = z'Kz - 2 c Σ φ_b z'Kψ_b + c² h_t'K h_t, with z'Kz from a ring of rows.
- Neighbours, where a kernel is shorter still: the same with a sparse K.
- A coarser grid holds F'v whole: F'z less the Σ φ_b F'ψ_b of the set-up. From it follow the features of all
  longer kernels, with no look at the spots again: a Gaussian is a sum of narrower ones, on each axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError
from spatialrun.methods.spatialde.columns import Columns
from spatialrun.methods.spatialde.grid import FINE, Grid, SpotKernel, Spots, Taps
from spatialrun.methods.spatialde.neighbours import NeighbourKernel, mean_neighbours
from spatialrun.methods.spatialde.rank import AxisProduct
from spatialrun.methods.spatialde.sums import SizeClasses
from spatialrun.methods.spatialde.vectors import WINDOW

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_FEATURES = 300  # of a kernel that is given by features of the axes
NODES_A_SPOT = 16.0  # beyond which neighbours are looked for instead
COARSE_NODES_A_SPOT = 0.25  # up to which a gene's values at all nodes are held
MOST_NEIGHBOURS = 400.0
WIDER = 1.45  # times the source's lengthscale: shorter kernels have detail that its nodes do not hold
FITTED = 4000  # places of an axis at which the transfer between grids is fitted
CUT = 1e-11
PAIRS = 5_000


Powers = tuple[SpotKernel, SpotKernel, SpotKernel]
"""A kernel, and its elementwise square and cube."""


@dataclass(frozen=True)
class Regime:
    """How one squared exponential kernel is handled: its name, and the kernel over the spots."""

    name: str
    lengthscale: float
    kernel: SpotKernel


def suited(spots: Spots, lengthscale: float) -> bool:
    """Whether there is a regime: not for dense spots so far apart that a grid over all would be empty."""
    if _nodes(spots, lengthscale) <= NODES_A_SPOT * len(spots):
        return True
    return mean_neighbours(spots.coordinates, lengthscale) <= MOST_NEIGHBOURS


def _nodes(spots: Spots, lengthscale: float) -> float:
    return float(np.prod([FINE.nodes(extent, lengthscale) for extent in spots.extents]))


def regime(spots: Spots, lengthscale: float) -> tuple[Regime, Powers]:
    """Choose by the number of spots, the box around them and the lengthscale.

    The powers are as large as the kernel each, and needed for its sums alone.
    """
    lengths = [lengthscale / np.sqrt(power) for power in (1.0, 2.0, 3.0)]
    products = [AxisProduct.of(spots, length, MOST_FEATURES * (p + 1)) for p, length in enumerate(lengths)]
    if products[0] is not None and products[1] is not None and products[2] is not None:
        return Regime("low rank", lengthscale, products[0]), (products[0], products[1], products[2])
    if not suited(spots, lengthscale):
        found = mean_neighbours(spots.coordinates, lengthscale)
        raise DataError(
            "data.too-large",
            f"an SE kernel of lengthscale {lengthscale:g} reaches {found:,.0f} spots, and the sample is "
            f"{max(spots.extents) / lengthscale:,.0f} lengthscales wide",
            hint="Ask for longer kernels (kernel_space), or crop the sample to where its spots are.",
        )
    nodes = _nodes(spots, lengthscale)
    if nodes > NODES_A_SPOT * len(spots):
        near = NeighbourKernel.of(spots.coordinates, lengthscale)
        return Regime("neighbours", lengthscale, near), (near, near.power(2), near.power(3))
    name = "grid" if nodes > COARSE_NODES_A_SPOT * len(spots) else "coarse grid"
    grids = [Grid.of(spots, length) for length in lengths]
    return Regime(name, lengthscale, grids[0]), (grids[0], grids[1], grids[2])


@dataclass
class Target:
    """A kernel's features as a transfer of a source grid: y @ grid @ x.T, of which ``pairs`` count.

    Empty where the kernel is that of the source itself.
    """

    kernel: int
    x: Array
    y: Array
    pairs: Array


@dataclass
class Source:
    """A grid on which a gene's values are held, and the kernels that follow from it."""

    grid: Grid
    lengthscale: float
    targets: list[Target] = field(default_factory=list)


def sources(spots: Spots, regimes: Mapping[int, Regime]) -> list[Source]:
    """Grids for all kernels that reach over coarse nodes, the shorter ones first."""
    found: list[Source] = []
    for index, one in sorted(regimes.items(), key=lambda item: item[1].lengthscale):
        K = one.kernel
        if one.name not in ("coarse grid", "low rank"):
            continue
        if not found or one.lengthscale < WIDER * found[-1].lengthscale:
            held = K if isinstance(K, Grid) else Grid.of(spots, one.lengthscale / 2.0)
            found.append(Source(held, one.lengthscale if K is held else one.lengthscale / 2.0))
        source = found[-1]
        if K is source.grid:
            target = Target(index, *(np.zeros((0, 0)) for _ in range(3)))
        elif isinstance(K, Grid):
            x, y = _transfer(source.grid.x, K.x), _transfer(source.grid.y, K.y)
            target = Target(index, x, y, np.ones((len(y), len(x))))
        else:
            assert isinstance(K, AxisProduct)
            x, y = _transfer(source.grid.x, K.x), _transfer(source.grid.y, K.y)
            target = Target(index, x, y, K.pairs.astype(np.float64))
        source.targets.append(target)
    return found


def _transfer(source: Taps, wanted: Taps | Array) -> Array:
    """T (features, nodes) with source T' = the features of each value of the axis."""
    some = np.unique(np.linspace(0, len(source.base) - 1, FITTED).astype(np.int64))
    target = wanted.rows(some) if isinstance(wanted, Taps) else wanted[some]
    solved = np.linalg.lstsq(source.rows(some), target, rcond=CUT)[0]
    return np.ascontiguousarray(solved.T, dtype=np.float64)


def on_nodes(grid: Grid, classes: SizeClasses, pool: Executor) -> Array:
    """F'ψ_b at the nodes, (B, rows, columns)."""
    nodes = grid.nodes(Columns(classes.table.psi, classes.index), pool)
    return np.ascontiguousarray(np.moveaxis(nodes, 2, 0))


def stored(prefix: str, grid: Grid) -> dict[str, NDArray[Any]]:
    """A grid's taps as plain arrays."""
    found: dict[str, NDArray[Any]] = {}
    for name, taps in (("x", grid.x), ("y", grid.y)):
        found[f"{prefix}.{name}_base"] = taps.base
        found[f"{prefix}.{name}_taps"] = taps.weights
    found[f"{prefix}.shape"] = np.array(grid.shape)
    return found


def errors(
    spots: Spots, regimes: Mapping[int, Regime], held: Sequence[Source], pairs: int = PAIRS
) -> dict[int, float]:
    """Largest error of the kernels that Q is computed with, over random pairs, near ones included."""
    rng = np.random.default_rng(len(spots))
    i = rng.integers(0, len(spots), pairs)
    j = np.where(np.arange(pairs) % 2 == 0, rng.integers(0, len(spots), pairs), 0)
    near = np.arange(pairs) % 2 == 1
    j[near] = np.clip(i[near] + rng.integers(-50, 51, near.sum()), 0, len(spots) - 1)
    distance = np.square(spots.x[spots.ix[i]] - spots.x[spots.ix[j]])
    distance += np.square(spots.y[spots.iy[i]] - spots.y[spots.iy[j]])
    through = {target.kernel: (source, target) for source in held for target in source.targets}
    found = {}
    for index, one in regimes.items():
        K = one.kernel
        exact = np.exp(-distance / (2.0 * one.lengthscale**2))
        if index in through:
            value = _through(spots, *through[index], i, j)
        elif isinstance(K, Grid):
            value = K.x.overlap(spots.ix[i], spots.ix[j]) * K.y.overlap(spots.iy[i], spots.iy[j])
        else:
            found[index] = 1e-10
            continue
        found[index] = float(np.abs(value - exact).max())
    return found


def _through(spots: Spots, source: Source, target: Target, i: Ints, j: Ints) -> Array:
    if not target.x.size:
        grid = source.grid
        return grid.x.overlap(spots.ix[i], spots.ix[j]) * grid.y.overlap(spots.iy[i], spots.iy[j])
    value = np.empty(len(i))
    q, p = np.nonzero(target.pairs)
    whole = bool(target.pairs.all())
    for start in range(0, len(i), 4096):
        part = slice(start, start + 4096)
        a, b = i[part], j[part]
        xa, xb = (source.grid.x.rows(spots.ix[k]) @ target.x.T for k in (a, b))
        ya, yb = (source.grid.y.rows(spots.iy[k]) @ target.y.T for k in (a, b))
        if whole:
            value[part] = (xa * xb).sum(axis=1) * (ya * yb).sum(axis=1)
        else:
            value[part] = ((xa * xb)[:, p] * (ya * yb)[:, q]).sum(axis=1)
    return value


def padded_rows(rows: Array) -> Array:
    """Rows of a multiple of ``WINDOW`` columns."""
    wide = np.zeros((len(rows), -(-rows.shape[1] // WINDOW) * WINDOW))
    wide[:, : rows.shape[1]] = rows
    return wide
