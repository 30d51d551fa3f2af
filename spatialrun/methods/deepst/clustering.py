"""Domains in an embedding: Leiden communities, exactly as many as asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.expression_graph import neighbor_graph
from spatialrun.methods.leiden import Leiden
from spatialrun.methods.partition import Labels, by_size
from spatialrun.methods.reporter import SILENT, Reporter

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = NDArray[np.floating[Any]]

NEIGHBORS = 15
RESOLUTIONS = np.round(np.arange(0.1, 2.5, 0.1), 1)
"""Tried where no number of domains is given."""
SCORED_SPOTS = 20_000
"""Most spots that scores of a resolution are computed from."""


def communities(Z: Array, n_domains: int, *, seed: int = 0, report: Reporter = SILENT) -> Labels:
    """Leiden communities of the embedding, exactly ``n_domains``.

    Parameters
    ----------
    Z
        (N, C).
    n_domains
        2 to N.
    seed
        Of Leiden.
    report
        Is told the resolutions tried.

    Returns
    -------
    (N,) int32, 0 the largest.

    Notes
    -----
    A bisection of the resolution on a graph that is built once. Numbers of communities jump: where no resolution
    gives n_domains, communities of the next larger number are merged, the pair first that costs least modularity.
    """
    graph = neighbor_graph(Z, min(NEIGHBORS, len(Z)), seed=seed).connectivities
    leiden = Leiden(graph, seed=seed)
    found = leiden.into(n_domains, log=report.log)
    resolution = found.resolution
    while found.n_clusters < n_domains:
        resolution *= 1.1
        found = leiden.at(resolution)
    if found.n_clusters > n_domains:
        report.log(f"no resolution gave {n_domains} domains: {found.n_clusters} communities were merged")
    return by_size(merged(found.labels, graph, n_domains))


def merged(labels: Labels, graph: csr_matrix, n: int) -> Labels:
    """Merge communities until n are left; every time the two whose merger has the largest modularity.

    Parameters
    ----------
    labels
        (N,) of 0, 1, ...
    graph
        (N, N) symmetric connectivities.
    n
        How many are to be left.
    """
    from scipy.sparse import csr_matrix

    members = csr_matrix((np.ones(len(labels)), labels, np.arange(len(labels) + 1)))
    between = (members.T @ graph @ members).toarray().astype(np.float64)
    total = between.sum()
    name = np.arange(len(between))
    while len(between) > n:
        strength = between.sum(axis=1)
        gain = between / total - np.outer(strength, strength) / total**2
        np.fill_diagonal(gain, -np.inf)
        kept, gone = sorted(np.unravel_index(gain.argmax(), gain.shape))
        between[kept] += between[gone]
        between[:, kept] += between[:, gone]
        between = np.delete(np.delete(between, gone, axis=0), gone, axis=1)
        name = np.where(name == gone, kept, name - (name > gone))
    left: Labels = name[labels].astype(np.int32)
    return left


def most_distinct(Z: Array, *, seed: int = 0, report: Reporter = SILENT) -> Labels:
    """Leiden communities at the resolution whose communities stand apart best, by Calinski and Harabasz' score.

    Parameters
    ----------
    Z
        (N, C).
    seed
        Of Leiden, and of the spots that scores are computed from where there are more than 20,000.
    report
        Is told which resolution was chosen.
    """
    from sklearn.metrics import calinski_harabasz_score

    leiden = Leiden(neighbor_graph(Z, min(NEIGHBORS, len(Z)), seed=seed).connectivities, seed=seed)
    some = np.arange(len(Z))
    if len(Z) > SCORED_SPOTS:
        some = np.sort(np.random.default_rng(seed).choice(len(Z), SCORED_SPOTS, replace=False))
    best, score = leiden.at(RESOLUTIONS[0]), -np.inf
    for resolution in RESOLUTIONS:
        found = leiden.at(float(resolution))
        n_seen = len(np.unique(found.labels[some]))
        if 2 <= n_seen < len(some):
            own = float(calinski_harabasz_score(Z[some], found.labels[some]))
            if own > score:
                best, score = found, own
    report.log(f"resolution {best.resolution:g} gives the most distinct domains: {best.n_clusters}")
    return best.labels
