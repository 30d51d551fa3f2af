"""Loops of a gene block: the residuals' features and the residuals' moments."""

from __future__ import annotations

import numpy as np

from spatialrun.methods.spatialde.jit import Array, Ints, kernel

TILE = 64  # features taken at once: their rows for some thousand spots stay in the second-level cache


@kernel
def quadratic_forms(
    indptr: Ints, spot: Ints, z: Array, features: Array, owner: Ints, n_kernels: int, tested: Ints
) -> Array:
    """Q = |F'v|²/2 of every kernel, (G, n_kernels), from sparse columns ``z`` over the rows of ``features``.

    ``features`` (rows, R) has R a multiple of ``TILE``; ``owner`` (R,) is each feature's kernel.
    """
    Q = np.zeros((len(indptr) - 1, n_kernels))
    total = np.empty(TILE)
    for start in range(0, features.shape[1], TILE):
        tile = features[:, start : start + TILE]
        for g in tested:
            total[:] = 0.0
            i, end = indptr[g], indptr[g + 1]
            # Four rows for one pass over the sums: loading and storing these is what limits the speed.
            while i + 4 <= end:
                a, b, c, d = tile[spot[i]], tile[spot[i + 1]], tile[spot[i + 2]], tile[spot[i + 3]]
                za, zb, zc, zd = z[i], z[i + 1], z[i + 2], z[i + 3]
                for j in range(TILE):
                    total[j] += za * a[j] + zb * b[j] + zc * c[j] + zd * d[j]
                i += 4
            while i < end:
                row, value = tile[spot[i]], z[i]
                for j in range(TILE):
                    total[j] += value * row[j]
                i += 1
            for j in range(TILE):
                Q[g, owner[start + j]] += 0.5 * total[j] * total[j]
    return Q


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
) -> tuple[Ints, Ints, Array, Array]:
    """Residuals v = factor y/(1 + a s) - shift h_t(s) as sparse columns, and what makes up their moments.

    Rows beyond the N spots stand for the functions ψ_b of h_t = Σ φ_b ψ_b, with ``basis`` (G, B) = φ_b: a
    column is as short as the gene has counts. Returns indptr, rows, values, and (G, 4): what the spots with
    counts add to Σ v^p, p = 2, 3, 4, 6, beyond the (-shift h)^p that every spot has.
    """
    n_genes, n_spots, n_basis = len(indptr) - 1, len(size), basis.shape[1]
    ends = np.zeros(n_genes + 1, np.int64)
    for g in tested:
        ends[g + 1] = indptr[g + 1] - indptr[g] + n_basis
    for g in range(n_genes):
        ends[g + 1] += ends[g]
    rows = np.empty(ends[-1], np.int64)
    values = np.empty(ends[-1])
    powers = np.zeros((n_genes, 4))
    for g in tested:
        k = ends[g]
        for i in range(indptr[g], indptr[g + 1]):
            s = size[spot[i]]
            depth = 1.0 / (1.0 + a[g] * s)
            z = factor[g] * y[i] * depth
            w = shift[g] * (1.0 + a[g]) * s * depth
            v2, w2 = (z - w) * (z - w), w * w
            powers[g, 0] += v2 - w2
            powers[g, 1] += v2 * (z - w) + w2 * w
            powers[g, 2] += v2 * v2 - w2 * w2
            powers[g, 3] += v2 * v2 * v2 - w2 * w2 * w2
            rows[k] = spot[i]
            values[k] = z
            k += 1
        for b in range(n_basis):
            rows[k] = n_spots + b
            values[k] = -shift[g] * basis[g, b]
            k += 1
    return ends, rows, values, powers


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
