"""The graph of spots that are alike in expression, and the map that UMAP draws of it; as scanpy makes both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = NDArray[np.floating[Any]]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Metric = Literal["euclidean", "cosine", "manhattan", "correlation"]
Search = Literal["sklearn", "pynndescent"]

MOST_EXACT = 50_000
"""Most spots of which all pairs are compared unless one asks for it; beyond, the approximate search is faster."""
CANDIDATES = 60
"""Of a spot in an iteration of the approximate search: UMAP's own choice, as are its trees and iterations."""


@dataclass(frozen=True, eq=False)
class ExpressionGraph:
    """Neighbours of N spots.

    Attributes
    ----------
    distances
        (N, N) float64: of every spot to its ``n_neighbors`` - 1 nearest.
    connectivities
        (N, N) float32, symmetric: how sure it is that two spots are neighbours, 0 to 1.
    """

    distances: csr_matrix
    connectivities: csr_matrix


def neighbor_graph(
    X: Array,
    n_neighbors: int = 15,
    *,
    metric: Metric = "euclidean",
    search: Search | None = None,
    seed: int = 0,
    threads: int = 1,
) -> ExpressionGraph:
    """Nearest neighbours of every spot, and how they are connected.

    Parameters
    ----------
    X
        (N, C) components.
    n_neighbors
        The spot itself included, as scanpy counts; 2 to N.
    metric
        Of distances in X.
    search
        ``sklearn``: all pairs are compared. ``pynndescent``: approximately. ``None``: the former up to 50,000
        spots.
    seed
        Of the approximate search.
    threads
        For the comparison of pairs; the result does not depend on them.

    Raises
    ------
    DataError
        ``data.values``: not finite, or fewer spots than neighbours.

    Notes
    -----
    What ``scanpy.pp.neighbors`` computes, whose approximate search fails with pynndescent 0.7; connectivities:
    McInnes, Healy & Melville 2018, arXiv:1802.03426. The approximate search runs on one thread: with more, what
    it finds depends on their number.
    """
    from scipy.sparse import coo_matrix
    from threadpoolctl import threadpool_limits
    from umap.umap_ import fuzzy_simplicial_set

    X = _checked(X)
    N = len(X)
    if n_neighbors > N:
        raise DataError(
            "data.values",
            f"{n_neighbors} neighbours asked of {N} spots",
            hint="Lower `n_neighbors`, or filter fewer spots.",
        )
    with threadpool_limits(threads):
        if search == "sklearn" or (search is None and N <= MOST_EXACT):
            found, apart = _all_pairs(X, n_neighbors - 1, metric, threads)
        else:
            found, apart = _descent(X, n_neighbors - 1, metric, seed)
    indices = np.hstack([np.arange(N)[:, None], found])
    distances = np.hstack([np.zeros((N, 1)), apart])
    connectivities, _, _ = fuzzy_simplicial_set(
        coo_matrix((N, 1)),
        n_neighbors,
        None,
        None,
        knn_indices=indices,
        knn_dists=distances.astype(np.float32),
        set_op_mix_ratio=1.0,
        local_connectivity=1.0,
    )
    return ExpressionGraph(_rows(found, apart), _canonical(connectivities))


def umap(
    graph: csr_matrix,
    X: Array,
    *,
    n_components: int = 2,
    min_dist: float = 0.5,
    spread: float = 1.0,
    max_iter: int | None = None,
    alpha: float = 1.0,
    gamma: float = 1.0,
    negative_sample_rate: int = 5,
    start: Array | Literal["spectral", "random"] = "spectral",
    seed: int = 0,
) -> tuple[Singles, float, float]:
    """Lay a graph of neighbours out in a few dimensions.

    Parameters
    ----------
    graph
        (N, N) connectivities.
    X
        (N, C) what the graph was made from; it places the parts of a graph that falls apart.
    n_components
        D.
    min_dist, spread
        How densely points may lie, and over what width.
    max_iter
        Rounds; ``None``: 500, or 200 above 10,000 spots.
    alpha, gamma, negative_sample_rate
        Learning rate, weight of repulsion, and how many spots repel one that is attracted.
    start
        (N, D), or how to find it.
    seed
        Of the layout.

    Returns
    -------
    (N, D) float32, and the curve's parameters a and b.

    Raises
    ------
    DataError
        ``data.values``: X is not finite, or there are too few spots for D dimensions.

    Notes
    -----
    ``scanpy.tl.umap``; McInnes, Healy & Melville 2018, arXiv:1802.03426. One thread.
    """
    import anndata
    import scanpy
    from threadpoolctl import threadpool_limits

    X = _checked(X)
    if len(X) <= n_components + 1:
        raise DataError("data.values", f"{len(X)} spots are too few for a map of {n_components} dimensions")
    sample = anndata.AnnData(X, obsp={"connectivities": graph, "distances": graph})
    sample.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"method": "umap", "use_rep": "X"},
    }
    with threadpool_limits(1):
        scanpy.tl.umap(
            sample,
            n_components=n_components,
            min_dist=min_dist,
            spread=spread,
            maxiter=max_iter,
            alpha=alpha,
            gamma=gamma,
            negative_sample_rate=negative_sample_rate,
            init_pos=start,
            random_state=seed,
        )
    curve = sample.uns["umap"]["params"]
    return sample.obsm["X_umap"].astype(np.float32), float(curve["a"]), float(curve["b"])


def _checked(X: Array) -> Singles:
    single = np.ascontiguousarray(X, dtype=np.float32)
    bad = int((~np.isfinite(single)).any(axis=1).sum())
    if bad:
        raise DataError("data.values", f"{bad} of {len(X)} spots have components that are NaN or infinite")
    return single


def _all_pairs(X: Singles, k: int, metric: str, threads: int) -> tuple[Ints, NDArray[np.float64]]:
    """The k nearest other spots of each, (N, k), and their distances."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute", n_jobs=threads).fit(X)
    distances, found = search.kneighbors()
    return found, distances.astype(np.float64)


def _descent(X: Singles, k: int, metric: str, seed: int) -> tuple[Ints, NDArray[np.float64]]:
    """As `_all_pairs`, approximately; -1 where none was found."""
    from pynndescent import NNDescent

    N = len(X)
    index = NNDescent(
        X,
        metric=metric,
        n_neighbors=min(k + 1, N),
        n_trees=min(64, 5 + round(N**0.5 / 20)),
        n_iters=max(5, round(np.log2(N))),
        max_candidates=CANDIDATES,
        random_state=seed,
        n_jobs=1,
    )
    found, distances = index.neighbor_graph
    # A spot that shares its place with others need not be among its own neighbours.
    other = found != np.arange(N)[:, None]
    other[other.all(axis=1), -1] = False
    return found[other].reshape(N, k).astype(np.int64), distances[other].reshape(N, k).astype(np.float64)


def _rows(found: Ints, distances: NDArray[np.float64]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    N = len(found)
    there = found >= 0
    indptr = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return _canonical(csr_matrix((distances[there], found[there], indptr), shape=(N, N)))


def _canonical(matrix: Any) -> csr_matrix:
    from scipy.sparse import csr_matrix

    canonical = csr_matrix(matrix)
    canonical.sort_indices()
    return canonical
