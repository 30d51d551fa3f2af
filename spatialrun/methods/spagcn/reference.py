"""The reference's search: Leiden starts at a resolution that is moved until the number of domains is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.expression_graph import neighbor_graph
from spatialrun.methods.leiden import Leiden
from spatialrun.methods.reporter import Reporter
from spatialrun.methods.spagcn.network import Ints, Training, train

Array = NDArray[np.float64]

SEARCH_EPOCHS = 20
MOST_FITS = 10
N_NEIGHBORS = 10


@dataclass(frozen=True, kw_only=True)
class Search:
    """Where the search begins, and the training of each fit."""

    n_clusters: int
    res_start: float
    res_step: float
    lr: float
    max_epochs: int
    tol: float
    seed: int


def fit_by_resolution(H: Array, search: Search, report: Reporter) -> Ints:
    """Labels (N,) of the last fit; of how many domains is not promised.

    Every fit starts anew from random weights, uniform in ±1/sqrt(C): the seed's, so the same for all fits.

    Parameters
    ----------
    H
        (N, C) aggregated expression.
    search
        See `Search`.
    report
        Is told each resolution, and what it gave.

    Notes
    -----
    The reference's ``search_res`` and ``train``: steps towards the number asked for, halved when it is overshot,
    at most ten fits of 20 epochs; then one of ``max_epochs`` at the resolution reached.
    """
    report.log(f"search_res starting at res = {search.res_start:.2f}, step = {search.res_step:.2f}.")
    resolution, step = search.res_start, search.res_step
    found = _tried(H, resolution, search, report)
    for _ in range(MOST_FITS):
        if found == search.n_clusters:
            break
        direction = 1 if found < search.n_clusters else -1
        tried = resolution + step * direction
        found_there = _tried(H, tried, search, report)
        report.log(f"res = {tried:.2f}, n_clusters = {found_there}.")
        if found_there == search.n_clusters or (found_there < search.n_clusters) == (direction == 1):
            resolution, found = tried, found_there
        else:
            step /= 2
    final = _fit(H, resolution, search.max_epochs, search)
    report.log(f"{final.message}.")
    return final.labels


def _tried(H: Array, resolution: float, search: Search, report: Reporter) -> int:
    """How many domains a short fit ends with."""
    fitted = _fit(H, resolution, SEARCH_EPOCHS, search)
    if fitted.converged:
        report.log(f"{fitted.message}.")
    return len(np.unique(fitted.labels))


def _fit(H: Array, resolution: float, max_epochs: int, search: Search) -> Training:
    rng = np.random.default_rng(search.seed)
    C = H.shape[1]
    W, b = rng.uniform(-1, 1, (C, C)) / np.sqrt(C), rng.uniform(-1, 1, C) / np.sqrt(C)
    start = leiden(H @ W + b, resolution, search.seed)
    return train(H, W, b, start, lr=search.lr, max_epochs=max_epochs, tol=search.tol)


def leiden(Z: Array, resolution: float, seed: int) -> Ints:
    """Leiden communities (N,) of the graph of the 10 nearest in Z (N, C), as scanpy makes both."""
    graph = neighbor_graph(Z, N_NEIGHBORS, seed=seed)
    found = Leiden(graph.connectivities, n_iterations=-1, seed=seed).at(max(resolution, 0.0))
    return found.labels
