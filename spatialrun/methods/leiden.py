"""Leiden communities of a graph of spots: at a resolution, or as many as one asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spatialrun.methods.partition import Labels, by_size, check_n_clusters

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Log = Callable[[str], None]

MOST_TRIALS = 40
"""Resolutions tried for a number of communities."""
NEAR = 1e-4
"""Share of the resolution below which two bounds of it are one: there is no such number of communities."""


@dataclass(frozen=True, eq=False)
class Communities:
    """Communities of N spots.

    Attributes
    ----------
    labels
        (N,) int32, 0 the largest.
    resolution
        At which they were found.
    modularity
        Of the partition, at resolution 1.
    """

    labels: Labels
    resolution: float
    modularity: float

    @property
    def n_clusters(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1


class Leiden:
    """A graph of N spots that is partitioned, as often as one likes.

    Parameters
    ----------
    connectivities
        (N, N) symmetric.
    n_iterations
        Passes of the algorithm; -1: until nothing improves.
    use_weights
        Whether connectivities count, or only that there are some.
    seed
        Of every partition.

    Notes
    -----
    ``scanpy.tl.leiden`` in igraph's flavour, with the same labels for the same seed up to their numbers; Traag,
    Waltman & van Eck 2019, 10.1038/s41598-019-41695-z. The graph is built once, and not for every resolution.
    """

    def __init__(
        self, connectivities: csr_matrix, *, n_iterations: int = 2, use_weights: bool = True, seed: int = 0
    ) -> None:
        import igraph

        # Both directions are edges, as scanpy makes them: the same graph, and the same random numbers for it.
        pairs = connectivities.tocoo()
        stored = pairs.data != 0
        edges = np.column_stack([pairs.row[stored], pairs.col[stored]])
        self._graph = igraph.Graph(n=connectivities.shape[0], edges=edges)
        self._weights = pairs.data[stored].astype(np.float64) if use_weights else None
        self._n_iterations = n_iterations
        self._seed = seed

    def at(self, resolution: float) -> Communities:
        """Communities at a resolution: the higher it is, the more there are."""
        with _seeded(self._seed):
            found = self._graph.community_leiden(
                "modularity",
                weights=self._weights,
                resolution=resolution,
                n_iterations=self._n_iterations,
            )
        labels = by_size(np.asarray(found.membership, dtype=np.int64))
        return Communities(labels, resolution, float(self._graph.modularity(found.membership, self._weights)))

    def into(self, n_clusters: int, *, start: float = 1.0, log: Log = lambda _: None) -> Communities:
        """As many communities as asked for, or as near to it as a resolution comes.

        Parameters
        ----------
        n_clusters
            2 to N.
        start
            The first resolution.
        log
            Takes a line for each resolution tried.

        Raises
        ------
        DataError
            ``data.values``: ``n_clusters`` out of bounds.

        Notes
        -----
        Bisection. The number of communities grows with the resolution but for the luck of the algorithm, and
        jumps: not every number is to be had.
        """
        check_n_clusters(n_clusters, self._graph.vcount())
        low, high, resolution = 0.0, np.inf, start
        tried: list[Communities] = []
        while len(tried) < MOST_TRIALS and high - low > NEAR * min(high, resolution):
            found = self.at(resolution)
            tried.append(found)
            log(f"res = {resolution:.4g}, n_clusters = {found.n_clusters}.")
            if found.n_clusters == n_clusters:
                break
            low, high = (resolution, high) if found.n_clusters < n_clusters else (low, resolution)
            resolution = 2 * low if high == np.inf else (low + high) / 2
        return min(tried, key=lambda found: abs(found.n_clusters - n_clusters))


# igraph has one generator for the whole process, in which other partitions may be going on.
_one_at_a_time = threading.Lock()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Have igraph draw from a generator of our own."""
    import random

    import igraph

    with _one_at_a_time:
        igraph.set_random_number_generator(_Generator(seed))
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)


class _Generator:
    """What igraph asks of a generator, from the numbers that scanpy gives it."""

    def __init__(self, seed: int) -> None:
        self._numbers = np.random.RandomState(seed)

    def getrandbits(self, k: int) -> int:
        return int(self._numbers.tomaxint()) & ((1 << k) - 1)

    def randint(self, low: int, high: int) -> int:
        return int(self._numbers.randint(low, high + 1))

    def random(self) -> float:
        return float(self._numbers.random_sample())

    def gauss(self, mean: float, deviation: float) -> float:
        return float(self._numbers.normal(mean, deviation))
