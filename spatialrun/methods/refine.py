"""Labels corrected by a vote among neighbouring spots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from spatialrun.methods.neighbors import Ints, nearest
from spatialrun.methods.partition import Labels

Shape = Literal["hexagon", "square", "none"]

VOTERS: dict[Shape, int] = {"hexagon": 6, "square": 4, "none": 0}
"""Neighbours of a spot on the array: hexagonal for Visium, square for Visium HD and Spatial Transcriptomics."""
BLOCK = 65_536


def refine(labels: Labels, coordinates: ArrayLike, shape: Shape = "hexagon") -> Labels:
    """Move spots that disagree with most of their neighbours.

    Among a spot and its 6 (``hexagon``) or 4 (``square``) nearest, the spot takes the most frequent label if its
    own holds fewer than half of 6 (4), and that other one more than half.

    Parameters
    ----------
    labels
        (N,) of 0, 1, ...
    coordinates
        (N, 2), any unit.
    shape
        ``none`` changes nothing.

    Returns
    -------
    (N,) int32. No label is lost: a domain that would lose all its spots keeps them.

    Notes
    -----
    SpaGCN (Hu et al. 2021, 10.1038/s41592-021-01255-8), where small domains can vanish. All votes are on
    ``labels``, none on labels already moved.
    """
    voters = VOTERS[shape]
    if voters == 0 or len(labels) < 2:
        return labels
    neighbors = nearest(coordinates, voters)
    n_labels = int(labels.max()) + 1
    blocks = [slice(start, start + BLOCK) for start in range(0, len(labels), BLOCK)]
    refined = np.concatenate([_vote(labels, neighbors, block, n_labels, voters) for block in blocks])
    return _with_all_domains(labels, refined)


def refine_each(labels: Sequence[Labels], samples: Sequence[ArrayLike], shape: Shape) -> list[Labels]:
    """`refine` in every sample of a cohort."""
    return [refine(own, coordinates, shape) for own, coordinates in zip(labels, samples, strict=True)]


def _vote(labels: Labels, neighbors: Ints, block: slice, n_labels: int, voters: int) -> Labels:
    own = labels[block]
    rows = np.arange(len(own))
    votes = np.zeros((len(own), n_labels), dtype=np.int32)
    votes[rows, own] = 1
    for column in neighbors[block].T:
        votes[rows, labels[column]] += 1
    best = votes.argmax(axis=1).astype(np.int32)
    moves = (votes[rows, own] < voters / 2) & (votes[rows, best] > voters / 2)
    return np.where(moves, best, own)


def _with_all_domains(labels: Labels, refined: Labels) -> Labels:
    """Undo the moves of domains that no spot is left of; giving spots back may empty another one in turn."""
    while len(lost := np.setdiff1d(labels, refined)):
        refined = np.where(np.isin(labels, lost), labels, refined)
    return refined
