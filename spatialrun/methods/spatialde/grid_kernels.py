"""Loops over a grid: values of the spots spread on its nodes, and gathered from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.jit import Array, Ints, inner, kernel
from spatialrun.methods.spatialde.vectors import (
    LANES,
    REACHED,
    WINDOW,
    add_scaled,
    gather_products,
    gather_taps,
    spread_taps,
)

Places = NDArray[np.int32]
RING = 32  # rows of the grid that are in use at once: a window, and a row that a neighbour may still reach
SMALL = 8192  # nodes of a grid that stays in the cache
STRETCH = 512  # nodes whose values for all functions of the weights stay in the cache
DIGIT = 10  # bits by which entries are sorted at once


@kernel
def spread(
    ix: Places,
    iy: Places,
    x_base: Ints,
    y_base: Ints,
    x_taps: Array,
    y_taps: Array,
    values: Array,
    grid: Array,
) -> None:
    """Add ``values`` (N, LANES) to ``grid`` (rows, columns, LANES); windows are multiples of LANES wide."""
    width, height, columns = x_taps.shape[1], y_taps.shape[1], grid.shape[1]
    nodes, taps, flat = grid.reshape(-1), x_taps.reshape(-1), values.reshape(-1)
    for i in range(len(ix)):
        a, b = np.int64(ix[i]), np.int64(iy[i])
        corner = y_base[b] * columns + x_base[a]
        for r in range(height):
            for q in range(0, width, LANES):
                at = (corner + r * columns + q) * LANES
                spread_taps(nodes, at, flat, i * LANES, taps, a * width + q, y_taps[b, r])


@kernel
def gather(
    ix: Places,
    iy: Places,
    x_base: Ints,
    y_base: Ints,
    x_taps: Array,
    y_taps: Array,
    grid: Array,
    values: Array,
) -> None:
    """Add to ``values`` (N, LANES) what the taps weigh of ``grid`` (rows, columns, LANES)."""
    width, height, columns = x_taps.shape[1], y_taps.shape[1], grid.shape[1]
    nodes, taps, flat = grid.reshape(-1), x_taps.reshape(-1), values.reshape(-1)
    for i in range(len(ix)):
        a, b = np.int64(ix[i]), np.int64(iy[i])
        corner = y_base[b] * columns + x_base[a]
        for r in range(height):
            for q in range(0, width, LANES):
                at = (corner + r * columns + q) * LANES
                gather_taps(nodes, at, flat, i * LANES, taps, a * width + q, y_taps[b, r])


@kernel
def couple(between: Array, taps: Array, values: Array, out: Array) -> None:
    """Add to ``out`` (rows, columns, LANES) Σ_d taps[d] between[2 a + d] values[a + d] of every node a.

    ``values`` and ``between``, a value for every pair of nodes that meet there, have margins of zeros: of half of
    ``taps`` (REACHED, REACHED), and of as many half steps.
    """
    rows, columns, _ = out.shape
    wide, wider = values.shape[1], between.shape[1]
    shared, flat, total, weights = between.reshape(-1), values.reshape(-1), out.reshape(-1), taps.reshape(-1)
    for r in range(rows):
        for d in range(REACHED):
            for q in range(columns):
                at = ((2 * r + d) * wider + 2 * q) * LANES
                there = ((r + d) * wide + q) * LANES
                gather_products(
                    shared, at, flat, there, weights, d * REACHED, total, (r * columns + q) * LANES
                )


@kernel
def projections(indptr: Ints, spot: Ints, z: Array, rows: Array, tested: Ints) -> Array:
    """Σ_i z_i rows[i] of every gene, (G, M); ``rows`` (N, M) with M a multiple of WINDOW."""
    width = rows.shape[1]
    out = np.zeros((len(indptr) - 1, width))
    total, flat = out.reshape(-1), rows.reshape(-1)
    for g in tested:
        for k in range(indptr[g], indptr[g + 1]):
            for q in range(0, width, WINDOW):
                add_scaled(total, g * width + q, flat, spot[k] * width + q, z[k])
    return out


@inner
def locate(
    start: int, stop: int, spot: Ints, ix: Places, iy: Places, x_base: Ints, y_base: Ints, found: Ints
) -> None:
    """Column, row, and places of the taps of each entry, (entries, 4): one pass that waits for memory once."""
    for k in range(start, stop):
        a, b = ix[spot[k]], iy[spot[k]]
        found[k - start, 0] = x_base[a]
        found[k - start, 1] = y_base[b]
        found[k - start, 2] = a
        found[k - start, 3] = b


@kernel
def energies(
    indptr: Ints,
    spot: Ints,
    z: Array,
    ix: Places,
    iy: Places,
    x_base: Ints,
    y_base: Ints,
    x_taps: Array,
    y_taps: Array,
    columns: int,
    tested: Ints,
) -> Array:
    """Σ over all nodes of the square of each gene's values on the grid, (G,).

    Entries come row by row of the grid (a row late at most), so that a ring of rows is all that is held.
    """
    out = np.zeros(len(indptr) - 1)
    ring = np.zeros((RING, columns))
    flat, taps = ring.reshape(-1), x_taps.reshape(-1)
    longest = 0
    for g in tested:
        longest = max(longest, indptr[g + 1] - indptr[g])
    found = np.empty((longest, 4), np.int64)
    for g in tested:
        start, stop = indptr[g], indptr[g + 1]
        locate(start, stop, spot, ix, iy, x_base, y_base, found)
        total, low = 0.0, 0
        for k in range(stop - start + 1):
            # Rows that no later entry reaches are done; after the last entry that is all of them.
            done = found[k, 1] - 1 if k < stop - start else low + RING
            if done > low:
                for r in range(low, min(done, low + RING)):
                    part = ring[r % RING]
                    for q in range(columns):
                        total += part[q] * part[q]
                        part[q] = 0.0
                low = done
            if k < stop - start:
                weight, b = z[start + k], found[k, 3]
                for r in range(WINDOW):
                    at = ((found[k, 1] + r) % RING) * columns + found[k, 0]
                    add_scaled(flat, at, taps, found[k, 2] * WINDOW, weight * y_taps[b, r])
        out[g] = total
    return out


@inner
def spread_gene(
    start: int,
    stop: int,
    spot: Ints,
    z: Array,
    ix: Places,
    iy: Places,
    x_base: Ints,
    y_base: Ints,
    taps: Array,
    y_taps: Array,
    found: Ints,
    flat: Array,
    columns: int,
) -> None:
    """Add the entries ``start`` to ``stop`` to a grid; it and the taps along x are flat."""
    locate(start, stop, spot, ix, iy, x_base, y_base, found)
    for k in range(stop - start):
        weight, b = z[start + k], found[k, 3]
        for r in range(WINDOW):
            at = (found[k, 1] + r) * columns + found[k, 0]
            add_scaled(flat, at, taps, found[k, 2] * WINDOW, weight * y_taps[b, r])


@kernel
def small_energies(
    indptr: Ints,
    spot: Ints,
    z: Array,
    ix: Places,
    iy: Places,
    x_base: Ints,
    y_base: Ints,
    x_taps: Array,
    y_taps: Array,
    rows: int,
    columns: int,
    tested: Ints,
) -> Array:
    """The same on a grid that stays in the cache, whole, with entries in any order.

    Where spots lie in lines (rows of a lattice) and a gene has many counts, these are spread along x first, and
    then each line once along y.
    """
    out = np.zeros(len(indptr) - 1)
    grid, taps, n_lines = np.zeros(rows * columns), x_taps.reshape(-1), len(y_taps)
    lines = np.zeros(n_lines * columns if n_lines * columns <= SMALL else 0)
    longest = 0
    for g in tested:
        longest = max(longest, indptr[g + 1] - indptr[g])
    found = np.empty((longest, 4), np.int64)
    for g in tested:
        start, stop = indptr[g], indptr[g + 1]
        grid[:] = 0.0
        if len(lines) > 0 and (stop - start) * WINDOW > len(lines):
            lines[:] = 0.0
            for k in range(start, stop):
                a, b = np.int64(ix[spot[k]]), np.int64(iy[spot[k]])
                add_scaled(lines, b * columns + x_base[a], taps, a * WINDOW, z[k])
            for j in range(n_lines):
                line = lines[j * columns : (j + 1) * columns]
                for r in range(WINDOW):
                    weight, at = y_taps[j, r], (y_base[j] + r) * columns
                    row_of = grid[at : at + columns]
                    for q in range(columns):
                        row_of[q] += weight * line[q]
        else:
            spread_gene(start, stop, spot, z, ix, iy, x_base, y_base, taps, y_taps, found, grid, columns)
        total = 0.0
        for q in range(len(grid)):
            total += grid[q] * grid[q]
        out[g] = total
    return out


@kernel
def gridded(
    start: int,
    stop: int,
    spot: Ints,
    z: Array,
    ix: Places,
    iy: Places,
    x_base: Ints,
    y_base: Ints,
    x_taps: Array,
    y_taps: Array,
    found: Ints,
    grid: Array,
) -> None:
    """Add the entries ``start`` to ``stop`` of one gene to ``grid`` (rows, columns)."""
    taps, flat = x_taps.reshape(-1), grid.reshape(-1)
    spread_gene(start, stop, spot, z, ix, iy, x_base, y_base, taps, y_taps, found, flat, grid.shape[1])


@kernel
def centre(grids: Array, psi: Array, coefficients: Array) -> None:
    """grids[g] -= Σ_b coefficients[g, b] psi[b], (genes, nodes) and (B, nodes), a stretch of nodes at a time."""
    n_nodes = grids.shape[1]
    for start in range(0, n_nodes, STRETCH):
        stop = min(start + STRETCH, n_nodes)
        for g in range(len(grids)):
            part = grids[g, start:stop]
            for b in range(len(psi)):
                weight, shape = coefficients[g, b], psi[b, start:stop]
                for j in range(len(part)):
                    part[j] -= weight * shape[j]


@kernel
def neighbour_energies(
    indptr: Ints, spot: Ints, z: Array, near: Ints, neighbour: Places, value: Array, tested: Ints
) -> Array:
    """Z'Kz of every gene, (G,), for a sparse K of unit diagonal given by its rows above it."""
    out = np.zeros(len(indptr) - 1)
    held = np.zeros(len(near) - 1)
    for g in tested:
        for k in range(indptr[g], indptr[g + 1]):
            held[spot[k]] = z[k]
        total = 0.0
        for k in range(indptr[g], indptr[g + 1]):
            i, part = spot[k], 0.0
            for j in range(near[i], near[i + 1]):
                part += value[j] * held[neighbour[j]]
            total += z[k] * (z[k] + 2.0 * part)
        for k in range(indptr[g], indptr[g + 1]):
            held[spot[k]] = 0.0
        out[g] = total
    return out


@kernel
def ordered(indptr: Ints, spot: Ints, y: Array) -> None:
    """Sort the entries of every column by spot, in place: two or more passes over ``DIGIT`` bits."""
    longest, largest = 0, 0
    for g in range(len(indptr) - 1):
        longest = max(longest, indptr[g + 1] - indptr[g])
    for k in range(len(spot)):
        largest = max(largest, spot[k])
    other, values = np.empty(longest, np.int64), np.empty(longest)
    counts = np.empty((1 << DIGIT) + 1, np.int64)
    for g in range(len(indptr) - 1):
        start, stop = indptr[g], indptr[g + 1]
        sorted_already = True
        for k in range(start + 1, stop):
            if spot[k] < spot[k - 1]:
                sorted_already = False
                break
        if sorted_already:
            continue
        n, shift = stop - start, 0
        while largest >> shift:
            counts[:] = 0
            for k in range(start, stop):
                counts[((spot[k] >> shift) & ((1 << DIGIT) - 1)) + 1] += 1
            for d in range(1 << DIGIT):
                counts[d + 1] += counts[d]
            for k in range(start, stop):
                digit = (spot[k] >> shift) & ((1 << DIGIT) - 1)
                other[counts[digit]], values[counts[digit]] = spot[k], y[k]
                counts[digit] += 1
            spot[start:stop], y[start:stop] = other[:n], values[:n]
            shift += DIGIT


@kernel
def transferred(grid: Array, y: Array, x: Array, pairs: Array) -> float:
    """Σ of the squares of ``y`` grid ``x`` where ``pairs`` is 1; shapes (p, rows), (columns, q), (p, q).

    Loops, not a library's matrix product: its rounding must not depend on how many threads that would take.
    """
    total = 0.0
    half, row_of = np.empty(grid.shape[1]), np.empty(x.shape[1])
    for p in range(len(y)):
        half[:] = 0.0
        for j in range(len(grid)):
            weight, line = y[p, j], grid[j]
            for k in range(len(half)):
                half[k] += weight * line[k]
        row_of[:] = 0.0
        for j in range(len(x)):
            weight, line = half[j], x[j]
            for k in range(len(row_of)):
                row_of[k] += weight * line[k]
        for k in range(len(row_of)):
            total += pairs[p, k] * row_of[k] * row_of[k]
    return total


@kernel
def squares(values: Array) -> float:
    """Σ of the squares of ``values`` (n,)."""
    total = 0.0
    for value in values:
        total += value * value
    return total
