"""The null distribution's shape: eigenvalues of P^½ (K - cI) P^½, in groups, at a few nodes of t."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Kernel mass left out of the eigenvalues: the variance they miss is far smaller and is restored by scaling.
RESIDUAL = 1e-3
# The largest one by one, then groups that double in size: the tail is made by the largest.
SINGLE = 6
N_GROUPS = 48


# Up to so many features that hold all but so much of a kernel, all eigenvalues are computed.
FEW_FEATURES, ALL = 400, 1e-6


def leading_features(F: Array) -> tuple[Array, bool]:
    """The first columns of ``F`` that hold nearly all of the kernel's trace, and whether that is as good as all.

    Where these are many, those that hold all but ``RESIDUAL``.
    """
    held = np.cumsum((F * F).sum(axis=0))
    count = int(np.searchsorted(held, (1.0 - ALL) * held[-1])) + 1
    if count <= FEW_FEATURES:
        return F[:, :count], True
    return F[:, : int(np.searchsorted(held, (1.0 - RESIDUAL) * held[-1])) + 1], False


def group_edges(rank: int) -> list[int]:
    """Borders of groups of ``rank`` descending eigenvalues, of sizes 1, 1, 1, 1, 1, 1, 2, 2, 4, 4, 8, 8 ..."""
    edges = [0]
    size, repeat = 1, SINGLE
    while edges[-1] < rank:
        for _ in range(repeat):
            edges.append(min(edges[-1] + size, rank))
        size, repeat = 2 * size, 2
    return sorted(set(edges))


def leading(values: Array, n_spots: int, trace: float | None = None) -> int:
    """How many descending eigenvalues hold all but ``RESIDUAL`` of the ``trace``, that is of the sum of all."""
    held = np.cumsum(values)
    least = (1.0 - RESIDUAL) * (held[-1] if trace is None else trace)
    return min(int(np.searchsorted(held, least)) + 1, len(values), n_spots - 1)


def eigenvalues(F: Array, W: Array) -> Array:
    """Those of P^½ F F' P^½ that are not zero, descending."""
    f = F.T @ W
    scaled = F * np.sqrt(W)[:, None]
    # A product with its own transpose is computed by half.
    found: Array = np.linalg.eigvalsh(scaled.T @ scaled - np.outer(f, f) / W.sum())[::-1]
    return found


def grouped_spectrum(F: Array, W: Array, c: float) -> tuple[Array, Array]:
    """Eigenvalues of P^½ (F F' - cI) P^½ in groups; see ``grouped``."""
    return grouped(eigenvalues(F, W), W, c)


def grouped(values: Array, W: Array, c: float, *, rank: int | None = None) -> tuple[Array, Array]:
    """Eigenvalues of P^½ (F F' - cI) P^½ as (values, multiplicities), (``N_GROUPS``,) each, scaled to variance 1.

    Q - e is half the sum of these eigenvalues times centred chi-squared variables. A shift by c moves the
    N - 1 eigenvalues by c times their mean weight, which is exact where W is the same at all spots. Of
    ``values``, those of F F', the first ``rank`` are kept; all by default.
    """
    rank = rank or min(len(values), len(W) - 1)
    shift = c * (W.sum() - (W * W).sum() / W.sum()) / (len(W) - 1)
    edges = group_edges(rank)
    means = np.array([values[start:stop].mean() for start, stop in pairwise(edges)])
    return standardised_groups(means, edges, shift, len(W))


def standardised_groups(means: Array, edges: list[int], shift: float, n_spots: int) -> tuple[Array, Array]:
    """Groups of eigenvalues less ``shift``, and the rest of the ``n_spots`` - 1 at -``shift``, to variance 1."""
    groups, counts = np.zeros(N_GROUPS), np.zeros(N_GROUPS)
    n = len(means)
    groups[:n], counts[:n] = means - shift, np.diff(edges)
    groups[n], counts[n] = -shift, n_spots - 1 - edges[-1]
    variance = 0.5 * (counts * groups**2).sum()
    return groups / np.sqrt(variance if variance > 0.0 else 1.0), counts
