"""Loops of a gene block: the residuals' features and the residuals' moments."""

from __future__ import annotations

import numpy as np

from spatialrun.methods.jit import Array, Ints, kernel

TILE = 64  # features taken at once: their rows for some thousand spots stay in the second-level cache
row = np.uint64  # an index that is unsigned cannot count from the end, which would cost a test in every loop


@kernel
def tile_forms(
    indptr: Ints, spot: Ints, z: Array, features: Array, owner: Ints, n_kernels: int, tested: Ints
) -> tuple[Array, Array]:
    """Q = |F'v|²/2 of every kernel, (G, n_kernels), from sparse columns ``z`` over the rows of ``features``.

    ``features`` (tiles, rows, ``TILE``) holds the features tile by tile; ``owner`` is each one's kernel. Of an
    owner -1 - j not the square is taken: it is column j of the second result.
    """
    Q = np.zeros((len(indptr) - 1, n_kernels))
    single = np.zeros((len(indptr) - 1, max(0, -owner.min()) if len(owner) else 0))
    total = np.empty(TILE)
    for tile in range(len(features)):
        F = features[tile]
        for g in tested:
            total[:] = 0.0
            i, end = indptr[g], indptr[g + 1]
            # Eight rows for one pass over the sums: to load and store these is what limits the speed.
            while i + 8 <= end:
                za, zb, zc, zd, ze, zf, zg, zh = (
                    z[i], z[i + 1], z[i + 2], z[i + 3], z[i + 4], z[i + 5], z[i + 6], z[i + 7]
                )  # fmt: skip
                a, b, c, d = row(spot[i]), row(spot[i + 1]), row(spot[i + 2]), row(spot[i + 3])
                e, f, h, k = row(spot[i + 4]), row(spot[i + 5]), row(spot[i + 6]), row(spot[i + 7])
                for j in range(row(TILE)):
                    total[j] += (
                        (za * F[a, j] + zb * F[b, j]) + (zc * F[c, j] + zd * F[d, j])
                        + (ze * F[e, j] + zf * F[f, j]) + (zg * F[h, j] + zh * F[k, j])
                    )  # fmt: skip
                i += 8
            while i < end:
                za, a = z[i], row(spot[i])
                for j in range(row(TILE)):
                    total[j] += za * F[a, j]
                i += 1
            for j in range(TILE):
                k = owner[tile * TILE + j]
                if k >= 0:
                    Q[g, k] += 0.5 * total[j] * total[j]
                else:
                    single[g, -1 - k] = total[j]
    return Q, single


@kernel
def residual_columns(
    indptr: Ints,
    spot: Ints,
    y: Array,
    size: Array,
    a: Array,
    factor: Array,
    shift: Array,
    basis: Array,
    tested: Ints,
) -> tuple[Ints, Ints, Array]:
    """Residuals v = factor y/(1 + a s) - shift h_t(s) as sparse columns: indptr, rows, values.

    Rows beyond the N spots stand for the functions ψ_b of h_t = Σ φ_b ψ_b, with ``basis`` (G, B) = φ_b: a column
    is as short as the gene has counts.
    """
    n_spots, n_basis = len(size), basis.shape[1]
    ends = np.zeros(len(indptr), np.int64)
    for g in tested:
        ends[g + 1] = indptr[g + 1] - indptr[g] + n_basis
    for g in range(len(indptr) - 1):
        ends[g + 1] += ends[g]
    rows = np.empty(ends[-1], np.int64)
    values = np.empty(ends[-1])
    for g in tested:
        k = ends[g]
        for i in range(indptr[g], indptr[g + 1]):
            rows[k] = spot[i]
            values[k] = factor[g] * y[i] / (1.0 + a[g] * size[spot[i]])
            k += 1
        for b in range(n_basis):
            rows[k] = n_spots + b
            values[k] = -shift[g] * basis[g, b]
            k += 1
    return ends, rows, values


@kernel
def residual_moments(
    indptr: Ints,
    spot: Ints,
    y: Array,
    size: Array,
    a: Array,
    scale: Array,
    factor: Array,
    shift: Array,
    nodes: Array,
    weights: Array,
    tested: Ints,
) -> Array:
    """Σ W, Σ W², Σ v², Σ v³, Σ v⁴, Σ v⁶ over all spots, (G, 6), NaN where not tested.

    Spots without counts have v = -shift h_t(s): their part is that of all spots, over the Gauss nodes of s,
    less that of the spots with counts.
    """
    out = np.full((len(indptr) - 1, 6), np.nan)
    for g in tested:
        W1, W2, v2, v3, v4, v6 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for q in range(len(nodes)):
            h = (1.0 + a[g]) * nodes[q] / (1.0 + a[g] * nodes[q])
            W = scale[g] * h
            v = -shift[g] * h
            square = weights[q] * v * v
            W1 += weights[q] * W
            W2 += weights[q] * W * W
            v2 += square
            v3 += square * v
            v4 += square * v * v
            v6 += square * v * v * v * v
        for i in range(indptr[g], indptr[g + 1]):
            depth = 1.0 / (1.0 + a[g] * size[spot[i]])
            w = -shift[g] * (1.0 + a[g]) * size[spot[i]] * depth
            v = factor[g] * y[i] * depth + w
            square, absent = v * v, w * w
            v2 += square - absent
            v3 += square * v - absent * w
            v4 += square * square - absent * absent
            v6 += square * square * square - absent * absent * absent
        out[g] = W1, W2, v2, v3, v4, v6
    return out


@kernel
def interpolated(at: Array, table: Array) -> Array:
    """Values (G, K) of the functions ``table`` (K, T), with interpolation weights ``at`` (G, T).

    A loop, not a matrix product: the order of its sums must not depend on how many genes a block has.
    """
    out = np.zeros((len(at), len(table)))
    for g in range(len(at)):
        for k in range(len(table)):
            for t in range(at.shape[1]):
                out[g, k] += at[g, t] * table[k, t]
    return out


@kernel
def third_moments(K: Array, W: Array, g: Array) -> Array:
    """Σ_{i<j} R_ij³ g_i g_j for each column of ``W`` and ``g`` (N, S), with R = K centred by W on both sides."""
    n, n_nodes = W.shape
    out = np.zeros(n_nodes)
    for node in range(n_nodes):
        w, gn = W[:, node].copy(), g[:, node].copy()
        S1 = w.sum()
        mean = (K @ w) / S1
        middle = (mean * w).sum() / S1
        total = 0.0
        for i in range(n):
            row, offset, part = K[i], middle - mean[i], 0.0
            for j in range(i):
                r = row[j] + offset - mean[j]
                part += r * r * r * gn[j]
            total += part * gn[i]
        out[node] = total
    return out


@kernel
def working_values(
    indptr: Ints, spot: Ints, y: Array, size: Array, a: Array, factor: Array, tested: Ints
) -> Array:
    """Z = factor y/(1 + a s) of every entry, 0 where its gene is not tested."""
    z = np.zeros(len(y))
    for g in tested:
        for i in range(indptr[g], indptr[g + 1]):
            z[i] = factor[g] * y[i] / (1.0 + a[g] * size[spot[i]])
    return z
