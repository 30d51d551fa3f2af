"""Quadratic forms v'Kv/2 of a block of genes over many spots, from the arrays of ``gridded_setup``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.grid_kernels import (
    SMALL,
    centre,
    energies,
    gridded,
    neighbour_energies,
    projections,
    small_energies,
    squares,
    transferred,
)
from spatialrun.methods.spatialde.null import NullFit
from spatialrun.methods.spatialde.score_kernels import interpolated, working_values

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Places = NDArray[np.int32]
Setup = Mapping[str, NDArray[Any]]

TOGETHER = 8  # genes whose grids are held at once


def quadratic_forms(
    setup: Setup,
    columns: tuple[Ints, Ints, Array],
    fit: NullFit,
    at: Array,
    basis: Array,
    on_basis: Array | None,
    tested: Ints,
) -> Array:
    """Q of every gene and kernel, (G, K).

    ``at`` (G, T) interpolates over the nodes of the weights, ``basis`` (G, B) is h_t in terms of ψ, ``on_basis``
    holds v'Kψ_b of the direct kernels where it is known already.
    """
    indptr, spot, y = columns
    z = working_values(indptr, spot, y, setup["size"], fit.a, fit.factor, tested)
    shift = np.zeros((len(indptr) - 1, 1))
    shift[tested, 0] = fit.shift[tested]
    Q = np.zeros((len(indptr) - 1, len(setup["kernel_kind"])))
    totals = projections(indptr, spot, z, setup["rows"], tested) if on_basis is None else on_basis
    owner = setup["feature_kernel"]
    n_features, n_basis = len(owner), basis.shape[1]
    expected = interpolated(basis, np.ascontiguousarray(setup["feature_basis"]))
    for j in range(n_features):
        Q[:, owner[j]] += 0.5 * np.square(totals[:, j] - shift[:, 0] * expected[:, j])
    constant = interpolated(at, setup["quadratic"])
    for place, k in enumerate(setup["direct"]):
        first = n_features + place * n_basis
        cross = np.zeros(len(Q))
        for b in range(n_basis):
            cross += basis[:, b] * totals[:, first + b]
        own = _energies(setup, f"direct{k}", indptr, spot, z, tested)
        # z = v + c h_t, and c² h_t'K h_t comes off once or is added once.
        sign = 1.0 if on_basis is None else -1.0
        Q[:, k] = 0.5 * (own - 2.0 * shift[:, 0] * cross + sign * np.square(shift[:, 0]) * constant[:, k])
    for number in range(int(setup["sources"][0])):
        _from_source(setup, number, indptr, spot, z, shift * basis, tested, Q)
    return Q


def _energies(setup: Setup, prefix: str, indptr: Ints, spot: Ints, z: Array, tested: Ints) -> Array:
    if f"{prefix}.near" in setup:
        near, neighbour, value = (setup[f"{prefix}.{name}"] for name in ("near", "neighbour", "value"))
        return neighbour_energies(indptr, spot, z, near, neighbour, value, tested)
    rows, columns = (int(n) for n in setup[f"{prefix}.shape"])
    if rows * columns <= SMALL:
        return small_energies(indptr, spot, z, *_taps(setup, prefix), rows, columns, tested)
    return energies(indptr, spot, z, *_taps(setup, prefix), columns, tested)


def in_order(setup: Setup) -> bool:
    """Whether entries must come in the order of the spots: where a ring of a grid's rows is all that is held."""
    names = (f"direct{k}.shape" for k in setup.get("direct", ()))
    return any(np.prod(setup[name]) > SMALL for name in names if name in setup)


def _taps(setup: Setup, prefix: str) -> tuple[Places, Places, Ints, Ints, Array, Array]:
    base = setup[f"{prefix}.x_base"], setup[f"{prefix}.y_base"]
    return setup["x_index"], setup["y_index"], *base, setup[f"{prefix}.x_taps"], setup[f"{prefix}.y_taps"]


def _from_source(
    setup: Setup, number: int, indptr: Ints, spot: Ints, z: Array, weights: Array, tested: Ints, Q: Array
) -> None:
    """Q of all kernels that follow from one grid, a few genes at a time."""
    prefix = f"source{number}"
    shape = tuple(setup[f"{prefix}.shape"])
    taps, kernels = _taps(setup, prefix), setup[f"{prefix}.kernels"]
    psi = setup[f"{prefix}.psi"].reshape(weights.shape[1], -1)
    transfers = [
        (setup[f"target{k}.y"], np.ascontiguousarray(setup[f"target{k}.x"].T), setup[f"target{k}.pairs"])
        for k in kernels
    ]
    grids = np.empty((TOGETHER, *shape))
    found = np.empty((int(np.diff(indptr).max(initial=0)), 4), np.int64)
    for start in range(0, len(tested), TOGETHER):
        genes = tested[start : start + TOGETHER]
        grids[:] = 0.0
        for place, g in enumerate(genes):
            gridded(indptr[g], indptr[g + 1], spot, z, *taps, found, grids[place])
        centre(grids.reshape(TOGETHER, -1)[: len(genes)], psi, np.ascontiguousarray(weights[genes]))
        for place, g in enumerate(genes):
            grid = grids[place]
            for k, transfer in zip(kernels, transfers, strict=True):
                Q[g, k] = 0.5 * (transferred(grid, *transfer) if transfer[0].size else squares(grid.ravel()))
