"""One simulated section of Visium HD: square bins, their truth, and their counts a stretch of bins at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from spatialrun.errors import UsageError
from spatialrun.methods.simulate.counts import PATTERNS, choose_svg
from spatialrun.methods.simulate.image import draw_image, mixed_stain, shrink
from spatialrun.methods.simulate.patterns import Patterns, draw_patterns
from spatialrun.methods.simulate.tissue import MARGIN_UM, draw_layers
from spatialrun.methods.simulate.visium import FIDUCIAL_UM, LOWRES_PIXELS, MICRONS_PER_PIXEL, gene_names

FILLED = 0.6
"""Share of the array's bins that lie on tissue."""
ASKEW = np.deg2rad(0.9)
"""By which the array is turned in the image: no slide lies straight, every bin has an x and a y of its own."""
EVENTS_PER_BLOCK = 4_000_000
"""Expected counts that are drawn at once: bounds the memory, whatever the size of the sample."""


@dataclass(frozen=True, eq=False)
class SimulatedVisiumHd:
    """A simulated section of N bins on tissue and G genes, and the truth about it.

    Attributes
    ----------
    bin_um
        Side of a bin in micrometres.
    side
        Bins along a side of the array, which is a square.
    array_row, array_col
        (N,) int32: place in the array, row by row.
    scalefactors, images
        As Space Ranger has them; images ``hires`` and ``lowres`` are (3, y, x) uint8.
    gene_names, gene_ids
        (G,) arrays of unique str.
    domain
        (N,) int32: 1 to n_domains, in the order of the layers.
    pattern, effect_size
        (G,) str, one of ``PATTERNS`` or empty; (G,) float64, log2 of the expected expression (relative to
        depth) at the pattern's highest over its lowest place, 0 for all other genes.
    """

    bin_um: int
    side: int
    array_row: np.ndarray
    array_col: np.ndarray
    scalefactors: dict[str, float]
    images: dict[str, np.ndarray]
    gene_names: np.ndarray
    gene_ids: np.ndarray
    domain: np.ndarray
    pattern: np.ndarray
    effect_size: np.ndarray
    _law: _Law

    @property
    def svg(self) -> np.ndarray:
        """(G,) bool: which genes vary in space."""
        svg: np.ndarray = self.effect_size > 0
        return svg

    def spatial(self, array_row: np.ndarray, array_col: np.ndarray) -> np.ndarray:
        """(M, 2) float64: x, y of the centres of any bins of the array, in full-resolution pixels."""
        return _places(array_row, array_col, self.side, self.bin_um) / MICRONS_PER_PIXEL

    def barcodes(self, array_row: np.ndarray, array_col: np.ndarray) -> np.ndarray:
        """(M,) bytes: the barcodes of any bins of the array, as Space Ranger names them."""
        pairs = zip(array_row.tolist(), array_col.tolist(), strict=True)
        return np.array([b"s_%03dum_%05d_%05d-1" % (self.bin_um, row, col) for row, col in pairs])

    def counts(self) -> Iterator[Any]:
        """Yield the counts, (n, G) int32 as CSR with sorted indices, from the first bins to the last.

        What is drawn depends on the seed and the sample's size only: every call yields the same.
        """
        return self._law.draw()


@dataclass(frozen=True, eq=False)
class _Law:
    """The law of the counts: negative binomial with mean depth x abundance x effect."""

    depth: np.ndarray
    place: np.ndarray
    domain: np.ndarray
    abundance: np.ndarray
    alpha: np.ndarray
    patterns: Patterns
    row_of: np.ndarray
    """(G,): the gene's row of ``patterns``; -1 where it has none."""
    seed: int

    def draw(self) -> Iterator[Any]:
        highest = np.ones(len(self.abundance))
        varied = np.flatnonzero(self.row_of >= 0)
        highest[varied] = self.patterns.highest[self.row_of[varied]]
        ends = np.cumsum(self.abundance * highest)
        size = max(1, int(EVENTS_PER_BLOCK / (self.depth.mean() * ends[-1])))
        for block, start in enumerate(range(0, len(self.depth), size)):
            rng = np.random.default_rng([self.seed, 1, block])
            yield self._block(rng, slice(start, min(start + size, len(self.depth))), ends, highest)

    def _block(
        self, rng: np.random.Generator, bins: slice, ends: np.ndarray, highest: np.ndarray
    ) -> csr_matrix:
        """Draw some bins' counts.

        With r = 1/alpha, a negative binomial count is a sum of Poisson(r log(1 + alpha mean)) clusters whose
        sizes follow the logarithmic distribution with p = alpha mean / (1 + alpha mean). Clusters are thinned
        from a Poisson process of the rate depth x abundance x highest effect, which is never below theirs and
        is drawn bin by bin without a look at the genes.
        """
        depth = self.depth[bins]
        bin_of = np.repeat(np.arange(len(depth)), rng.poisson(depth * ends[-1]))
        drawn = rng.random(len(bin_of)) * ends[-1]
        gene = np.minimum(np.searchsorted(ends, drawn, side="right"), len(ends) - 1)
        bound = depth[bin_of] * self.abundance[gene]
        mean = bound.copy()
        varied = np.flatnonzero(self.row_of[gene] >= 0)
        at = bins.start + bin_of[varied]
        mean[varied] *= self.patterns(self.row_of[gene[varied]], self.place[at], self.domain[at])
        bound *= highest[gene]
        scaled = self.alpha[gene] * mean
        kept = rng.random(len(gene)) * bound * self.alpha[gene] < np.log1p(scaled)
        odds = scaled[kept]
        sizes = rng.logseries(odds / (1 + odds))
        keys = bin_of[kept] * len(ends) + gene[kept]
        order = np.argsort(keys, kind="stable")
        keys, sizes = keys[order], sizes[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        data = np.add.reduceat(sizes, first) if len(first) else sizes
        row, column = np.divmod(keys[first], len(ends))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(depth)))])
        shape = (len(depth), len(ends))
        return csr_matrix((data.astype(np.int32), column.astype(np.int32), indptr), shape=shape)


def simulate_visium_hd(
    *,
    n_bins: int = 20_000,
    n_genes: int = 2000,
    bin_um: int = 8,
    n_domains: int = 5,
    n_svg: int = 200,
    mean_counts: float = 350.0,
    depth_sigma: float = 0.6,
    abundance_sigma: float = 2.0,
    dispersion: float = 0.3,
    min_svg_counts: float = 200.0,
    image_size: int = 2000,
    seed: int = 0,
) -> SimulatedVisiumHd:
    """Simulate one section of Visium HD, as `simulate_visium` does a section of Visium.

    Half of the variable genes mark domains, the others have an equal number of each other pattern. Bins lie
    without gaps on a square array, a little askew in the image, of which the tissue fills a little over half.
    With the default depth and 18,000 genes about 1.5% of the counts are not zero, as in real bins of 8
    micrometres. Nothing of the size bins x genes is made: the counts are drawn when they are asked for.

    Parameters
    ----------
    n_bins, n_genes
        Bins on tissue and genes.
    bin_um
        Side of a bin in micrometres.
    n_domains, n_svg, mean_counts, depth_sigma, abundance_sigma, dispersion, min_svg_counts, image_size, seed
        As in `simulate_visium`.

    Raises
    ------
    UsageError
        ``usage`` for sizes that cannot be: fewer bins than domains, more variable genes than genes.
    """
    if not 1 <= n_domains <= n_bins or not 0 <= n_svg <= n_genes or n_genes < 1:
        raise UsageError(
            "usage",
            f"cannot simulate {n_domains} domains on {n_bins} bins, {n_svg} variable of {n_genes} genes",
        )
    rng = np.random.default_rng([seed, 0])
    side = int(np.ceil(np.sqrt(n_bins / FILLED)))
    array_row, array_col = np.divmod(np.arange(side * side, dtype=np.int32), np.int32(side))
    um = _places(array_row, array_col, side, bin_um)
    on_tissue, tissue = draw_layers(rng, um, n_bins, n_domains)
    # Row by row, as Space Ranger names and orders them.
    on_tissue = np.sort(on_tissue)
    array_row, array_col, um = array_row[on_tissue], array_col[on_tissue], um[on_tissue]
    domain = tissue.domain(um)
    place = (um - um.min(axis=0)) / max(np.ptp(um, axis=0).max(), bin_um)

    depth = np.exp(depth_sigma * rng.standard_normal(n_bins)) * rng.uniform(0.7, 1.3, n_domains)[domain - 1]
    depth *= mean_counts / depth.mean()
    abundance = np.exp(abundance_sigma * rng.standard_normal(n_genes))
    abundance /= abundance.sum()
    alpha = dispersion * np.exp(0.5 * rng.standard_normal(n_genes))

    chosen, kind = _planted(rng, abundance * depth.sum(), n_svg, min_svg_counts)
    effect_size = np.zeros(n_genes)
    effect_size[chosen] = rng.uniform(1.0, 2.5, n_svg)
    pattern = np.full(n_genes, "", dtype=object)
    pattern[chosen] = np.array(PATTERNS, dtype=object)[kind]
    row_of = np.full(n_genes, -1)
    row_of[chosen] = np.arange(n_svg)

    patterns = draw_patterns(rng, kind, effect_size[chosen], place, domain, depth)
    stain = mixed_stain(rng.permutation(np.linspace(0, 1, n_domains)))
    hires = draw_image(rng, tissue, stain, image_size)
    lowres = shrink(hires, min(1.0, LOWRES_PIXELS / max(hires.shape)))
    longer = tissue.outline.frame_um.max() / MICRONS_PER_PIXEL
    return SimulatedVisiumHd(
        bin_um=bin_um,
        side=side,
        array_row=array_row,
        array_col=array_col,
        scalefactors={
            "spot_diameter_fullres": bin_um / MICRONS_PER_PIXEL,
            "bin_size_um": float(bin_um),
            "microns_per_pixel": MICRONS_PER_PIXEL,
            "fiducial_diameter_fullres": FIDUCIAL_UM / MICRONS_PER_PIXEL,
            "tissue_hires_scalef": float(max(hires.shape) / longer),
            "tissue_lowres_scalef": float(max(lowres.shape) / longer),
        },
        images={"hires": hires, "lowres": lowres},
        gene_names=gene_names(abundance, pattern),
        gene_ids=np.array([f"SIMG{i:011d}" for i in range(1, n_genes + 1)], dtype=object),
        domain=domain,
        pattern=pattern,
        effect_size=effect_size,
        _law=_Law(depth, place, domain, abundance, alpha, patterns, row_of, seed),
    )


def _planted(
    rng: np.random.Generator, expected: np.ndarray, n_svg: int, min_counts: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which genes get a pattern, and which one.

    Half mark a domain. These are abundant genes, though not the most abundant: a bin has a few hundred counts,
    and only by genes that it has counts of can it be told where a bin belongs.
    """
    n_genes, n_domain = len(expected), n_svg - n_svg // 2
    order = np.argsort(expected, kind="stable")[::-1]
    first = min(n_genes // 500, n_genes - n_domain)
    markers = rng.permutation(order[first : max(n_genes // 10, first + n_domain)])[:n_domain]
    left = np.setdiff1d(np.arange(n_genes), markers)
    others = left[choose_svg(rng, expected[left], n_svg // 2, min_counts)]
    kinds = 1 + np.arange(len(others)) % (len(PATTERNS) - 1)
    return np.concatenate([markers, others]), np.concatenate([np.zeros(n_domain, dtype=int), kinds])


def _places(array_row: np.ndarray, array_col: np.ndarray, side: int, bin_um: int) -> np.ndarray:
    """(M, 2): x, y of bins' centres in micrometres from the frame's corner, turned about the array's middle."""
    straight = np.column_stack([array_col, array_row]) + 0.5 - side / 2
    turn = np.array([[np.cos(ASKEW), np.sin(ASKEW)], [-np.sin(ASKEW), np.cos(ASKEW)]])
    places: np.ndarray = MARGIN_UM + bin_um * (side / 2 + straight @ turn)
    return places
