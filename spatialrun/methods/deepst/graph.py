"""The graph that DeepST trains on: spots and their neighbours on the tissue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.neighbors import Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = NDArray[np.float64]


def adjacency(neighbors: Sequence[Ints]) -> csr_matrix:
    """Who is a neighbour of whom: symmetric, no spot its own, (N, N) float32 of ones, block diagonal.

    Parameters
    ----------
    neighbors
        Nearest spots in each sample, from ``neighbors.nearest_within``.
    """
    from scipy.sparse import csr_matrix

    n_spots = sum(len(block) for block in neighbors)
    counts = np.concatenate([np.full(len(block), block.shape[1]) for block in neighbors])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = np.concatenate([block.ravel() for block in neighbors])
    directed = csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(n_spots, n_spots))
    either = (directed + directed.T).tocsr()
    either.data[:] = 1.0
    either.sort_indices()
    return either


def with_loops(A: csr_matrix) -> csr_matrix:
    """A with every spot its own neighbour, rows sorted: what is convolved over, and what the decoder learns."""
    from scipy.sparse import eye

    both = (A + eye(A.shape[0], dtype=A.dtype, format="csr")).tocsr()
    both.sort_indices()
    return both


def edge_norm(A: csr_matrix) -> float:
    """Weight of the edges' cross entropy: N² / (2 (N² - edges)), edges counted in both directions.

    Of a cohort's blocks the reference takes the mean of the samples' weights, which differ from this in the third
    digit.
    """
    pairs = float(A.shape[0]) ** 2
    return pairs / (2.0 * (pairs - int(A.nnz)))
