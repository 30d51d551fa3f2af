"""Partitions of spots into domains: how many there may be, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError

Labels = NDArray[np.int32]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Domains:
    """The domains of one sample of N spots, 0 the largest of the fit.

    Attributes
    ----------
    domain
        (N,) int32: as the model assigns them.
    refined
        (N,) int32: the same domains after a vote among neighbours; ``domain`` where no shape was asked for.
    embedding
        (N, C): what the model clustered.
    """

    domain: Labels
    refined: Labels
    embedding: NDArray[np.floating[Any]]


def by_size(labels: NDArray[np.integer]) -> Labels:
    """Rename labels to 0, 1, ... from the largest domain to the smallest: equal partitions get equal names.

    Parameters
    ----------
    labels
        (N,) of any integers. Of domains of one size, the one whose first spot comes first goes first.
    """
    _, first, inverse, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), dtype=np.int32)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes), dtype=np.int32)
    renamed: Labels = rank[inverse.ravel()]
    return renamed


def fill_empty(labels: Labels, n_clusters: int, fit: NDArray[np.float64]) -> tuple[Labels, int]:
    """Give every domain that no spot chose the spot that fits its own domain worst.

    Parameters
    ----------
    labels
        (N,) of 0 to n_clusters - 1.
    n_clusters
        At most N.
    fit
        (N,) how well a spot fits where it is; larger is better.

    Returns
    -------
    The labels, (N,), and how many domains were empty.
    """
    sizes = np.bincount(labels, minlength=n_clusters)
    empty = np.flatnonzero(sizes == 0)
    if len(empty) == 0:
        return labels, 0
    filled = labels.copy()
    worst = iter(np.argsort(fit, kind="stable"))
    for domain in empty:
        spot = next(spot for spot in worst if sizes[filled[spot]] > 1)
        sizes[filled[spot]] -= 1
        filled[spot] = domain
    return filled, len(empty)


def split(values: NDArray[Scalar], sizes: Sequence[int]) -> list[NDArray[Scalar]]:
    """Cut what was computed for a cohort, (sum of sizes, ...), into its samples."""
    return np.split(values, np.cumsum(sizes)[:-1])


def check_n_clusters(n_clusters: int, n_spots: int) -> None:
    """Stop unless ``n_clusters`` domains can be told apart among ``n_spots`` spots.

    Raises
    ------
    DataError
        ``data.values``.
    """
    if n_clusters < 2:
        raise DataError(
            "data.values",
            f"n_clusters is {n_clusters}: a partition has two domains or more",
            hint="Raise it.",
        )
    if n_clusters > n_spots:
        raise DataError(
            "data.values",
            f"n_clusters is {n_clusters}, and there are {n_spots} spots",
            hint="Lower `n_clusters`, or filter fewer spots.",
        )
