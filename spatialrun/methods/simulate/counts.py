"""Which genes vary in space and how, and the counts that follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csc_matrix

PATTERNS = ("domain", "gradient", "hotspot", "periodic")
CELLS_PER_BLOCK = 1 << 20
"""Entries of spots x genes that are drawn at once: bounds the memory, whatever the size of the sample."""


def choose_svg(rng: np.random.Generator, expected: np.ndarray, n_svg: int, min_counts: float) -> np.ndarray:
    """Which genes get a pattern.

    Not the few most abundant ones: their pattern would be one of the spots' totals too, and so, relative to
    the totals, an inverse pattern of every other gene.
    """
    order = np.argsort(expected, kind="stable")[::-1]
    below_top = order[len(order) // 20 :]
    eligible = below_top[expected[below_top] >= min_counts]
    if len(eligible) < n_svg:
        eligible = (below_top if len(below_top) >= n_svg else order)[:n_svg]
    return rng.permutation(eligible)[:n_svg]


class PlaceEffects(Protocol):
    """The multiplicative effect of place on genes, made gene by gene."""

    @property
    def effect_size(self) -> np.ndarray:
        """(G,): 0 for genes that do not depend on the place."""

    def __call__(self, gene: int) -> np.ndarray:
        """(N,): positive, with a depth-weighted mean of 1, so that the gene's abundance stays what it is."""


@dataclass(frozen=True, eq=False)
class Effects:
    """The multiplicative effect of place on each variable gene.

    A gene's pattern is drawn from a generator of its own when it is asked for, so none is kept.
    """

    place: np.ndarray
    domain: np.ndarray
    depth: np.ndarray
    pattern: np.ndarray
    effect_size: np.ndarray
    seed: int

    def __call__(self, gene: int) -> np.ndarray:
        """(N,): positive, with a depth-weighted mean of 1, so that the gene's abundance stays what it is."""
        shape = self._shape(np.random.default_rng([self.seed, gene]), self.pattern[gene])
        effect = np.exp2(self.effect_size[gene] * shape)
        relative: np.ndarray = effect * (self.depth.sum() / (self.depth @ effect))
        return relative

    def _shape(self, rng: np.random.Generator, pattern: str) -> np.ndarray:
        """(N,): the pattern, scaled to reach 0 and 1."""
        angle, turned = rng.uniform(0, 2 * np.pi), rng.random() < 0.5
        along = self.place @ np.array([np.cos(angle), np.sin(angle)])
        if pattern == "domain":
            shape = (self.domain == rng.choice(np.unique(self.domain))).astype(float)
        elif pattern == "gradient":
            shape = along
        elif pattern == "hotspot":
            centres = self.place[rng.integers(len(self.place), size=rng.integers(1, 4))]
            width = rng.uniform(0.08, 0.2)
            shape = np.zeros(len(self.place))
            for centre in centres:
                shape += np.exp(-((self.place - centre) ** 2).sum(axis=1) / (2 * width**2))
        else:
            shape = np.cos(2 * np.pi * (along / rng.uniform(0.2, 0.5) + rng.random()))
        shape = -shape if turned else shape
        low, high = shape.min(), shape.max()
        return (shape - low) / (high - low) if high > low else np.zeros(len(shape))


def draw_counts(
    rng: np.random.Generator,
    depth: np.ndarray,
    abundance: np.ndarray,
    alpha: np.ndarray,
    effects: PlaceEffects,
) -> Any:
    """Negative binomial counts (N, G) as CSC, at a cost of one logarithm per entry and one draw per event.

    With r = 1/alpha, a negative binomial count is a sum of Poisson(r log(1 + alpha mean)) clusters whose
    sizes follow the logarithmic distribution with p = alpha mean / (1 + alpha mean). The clusters of a whole
    block of genes are one Poisson process on the entries laid end to end: nothing is drawn where nothing is.
    """
    n_spots, n_genes = len(depth), len(abundance)
    values, indices, lengths = [], [], []
    for start, stop in _blocks(n_genes, max(1, CELLS_PER_BLOCK // n_spots)):
        scaled = np.multiply.outer(alpha[start:stop] * abundance[start:stop], depth)
        for gene in start + np.flatnonzero(effects.effect_size[start:stop]):
            scaled[gene - start] *= effects(int(gene))
        ends = np.cumsum(np.log1p(scaled) / alpha[start:stop, None])
        clusters = np.sort(rng.random(rng.poisson(ends[-1]))) * ends[-1]
        cells = np.minimum(np.searchsorted(ends, clusters, side="right"), ends.size - 1)
        odds = scaled.ravel()[cells]
        sizes = rng.logseries(odds / (1 + odds))
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        gene_of, spot_of = np.divmod(cells[first], n_spots)
        values.append(np.add.reduceat(sizes, first) if len(first) else sizes)
        indices.append(spot_of)
        lengths.append(np.bincount(gene_of, minlength=stop - start))
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    data = np.concatenate(values).astype(np.int32)
    small = np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64
    return csc_matrix(
        (data, np.concatenate(indices).astype(small), indptr.astype(small)), shape=(n_spots, n_genes)
    )


def _blocks(n: int, size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + size, n)) for start in range(0, n, size))
