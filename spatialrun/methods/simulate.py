"""Simulated Visium samples with known truth: a slide, a tissue, counts and an image of the section.

Everything is drawn from one seeded generator; the same parameters give the same arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from scipy.sparse import csc_matrix

from spatialrun.errors import UsageError

PITCH_UM = 100.0
"""Distance between the centres of neighbouring Visium spots."""
SPOT_UM = 55.0
FIDUCIAL_UM = 90.0
MICRONS_PER_PIXEL = 0.5
MARGIN_UM = 800.0
"""Frame around the array that the full-resolution image shows."""
SLIDE = (78, 128)
"""Rows and columns of the array of a 6.5 mm slide; every second column of a row holds a spot."""
LOWRES_PIXELS = 600
PATTERNS = ("domain", "gradient", "hotspot", "periodic")
MITOCHONDRIAL = (
    *("MT-CO1", "MT-CO2", "MT-CO3", "MT-ATP6", "MT-ATP8", "MT-CYB"),
    *("MT-ND1", "MT-ND2", "MT-ND3", "MT-ND4", "MT-ND4L", "MT-ND5", "MT-ND6"),
)
CELLS_PER_BLOCK = 1 << 20
"""Entries of spots x genes that are drawn at once: bounds the memory, whatever the size of the sample."""


class SimulationParameters(TypedDict, total=False):
    """Keyword arguments of `simulate_visium`."""

    n_spots: int
    n_genes: int
    n_domains: int
    n_svg: int
    mean_counts: float
    depth_sigma: float
    abundance_sigma: float
    dispersion: float
    min_svg_counts: float
    image_size: int
    seed: int


BENCHMARK_1470: SimulationParameters = {
    "n_spots": 1470,
    "n_genes": 35_554,
    "n_domains": 6,
    "n_svg": 1000,
    "mean_counts": 8700.0,
    "abundance_sigma": 2.7,
    "image_size": 600,
    "seed": 42,
}
"""A whole transcriptome on 1,470 spots: 3.4 million nonzero, half of the genes under 10 counts in all."""


@dataclass(frozen=True, eq=False)
class SimulatedVisium:
    """A simulated section of N spots on tissue and G genes, and the truth about it.

    Attributes
    ----------
    counts
        ``scipy.sparse.csc_matrix``, (N, G) int32, sorted indices.
    barcodes, gene_names, gene_ids
        (N,), (G,), (G,) arrays of unique str.
    array_row, array_col
        (N,) int32: place in the hexagonal array; both even or both odd.
    spatial
        (N, 2) float64: x, y in pixels of the full-resolution image.
    scalefactors, images
        As Space Ranger has them; images ``hires`` and ``lowres`` are (3, y, x) uint8.
    domain
        (N,) int32: 1 to n_domains, in the order of the layers.
    svg, pattern, effect_size
        (G,) bool; (G,) str, one of ``PATTERNS`` or empty; (G,) float64, log2 of the expected expression
        (relative to depth) at the pattern's highest over its lowest place, 0 for all other genes.
    """

    counts: Any
    barcodes: np.ndarray
    gene_names: np.ndarray
    gene_ids: np.ndarray
    array_row: np.ndarray
    array_col: np.ndarray
    spatial: np.ndarray
    scalefactors: dict[str, float]
    images: dict[str, np.ndarray]
    domain: np.ndarray
    svg: np.ndarray
    pattern: np.ndarray
    effect_size: np.ndarray


def simulate_visium(
    *,
    n_spots: int = 1000,
    n_genes: int = 2000,
    n_domains: int = 5,
    n_svg: int = 100,
    mean_counts: float = 5000.0,
    depth_sigma: float = 0.4,
    abundance_sigma: float = 2.0,
    dispersion: float = 0.3,
    min_svg_counts: float = 200.0,
    image_size: int = 2000,
    seed: int = 0,
) -> SimulatedVisium:
    """Simulate one section on a Visium slide.

    The tissue is a rounded blob with curved layers (the domains). A spot's depth is log-normal around a mean
    of its domain, a gene's abundance log-normal over genes, and counts are negative binomial with mean
    ``depth x abundance x effect`` and variance ``mean + alpha mean^2``, alpha a gene's own. ``effect`` is 1
    for all genes but the spatially variable ones: the others have no pattern beyond depth.

    Parameters
    ----------
    n_spots, n_genes
        Spots on tissue and genes. Above 4,000 spots the array grows beyond a real slide's 78 x 128.
    n_domains
        Layers of the tissue.
    n_svg
        Spatially variable genes, an equal number of each of ``PATTERNS``.
    mean_counts
        Expected counts of a spot over all genes.
    depth_sigma, abundance_sigma
        Standard deviation of the natural log of depth over spots, of abundance over genes.
    dispersion
        Median over genes of the negative binomial's alpha.
    min_svg_counts
        Genes with fewer expected counts in all are not made spatially variable, if there are others: their
        pattern could not be seen.
    image_size
        Longer side of the hires image in pixels.
    seed
        Seed of the random generator.

    Raises
    ------
    UsageError
        ``usage`` for sizes that cannot be: fewer spots than domains, more variable genes than genes.
    """
    if not 1 <= n_domains <= n_spots or not 0 <= n_svg <= n_genes or n_genes < 1:
        raise UsageError(
            "usage",
            f"cannot simulate {n_domains} domains on {n_spots} spots, {n_svg} variable of {n_genes} genes",
        )
    rng = np.random.default_rng(seed)
    array_row, array_col, um, tissue = _section(rng, n_spots, n_domains)
    domain = tissue.domain(um)
    place = (um - um.min(axis=0)) / max(np.ptp(um, axis=0).max(), PITCH_UM)

    depth = np.exp(depth_sigma * rng.standard_normal(n_spots)) * rng.uniform(0.7, 1.3, n_domains)[domain - 1]
    depth *= mean_counts / depth.mean()
    abundance = np.exp(abundance_sigma * rng.standard_normal(n_genes))
    abundance /= abundance.sum()
    alpha = dispersion * np.exp(0.5 * rng.standard_normal(n_genes))

    chosen = _choose_svg(rng, abundance * depth.sum(), n_svg, min_svg_counts)
    pattern = np.full(n_genes, "", dtype=object)
    pattern[chosen] = np.array([PATTERNS[i % len(PATTERNS)] for i in range(n_svg)], dtype=object)
    effect_size = np.zeros(n_genes)
    effect_size[chosen] = rng.uniform(1.0, 2.5, n_svg)
    effects = _Effects(place, domain, depth, pattern, effect_size, seed)

    counts = _draw_counts(rng, depth, abundance, alpha, effects)
    hires = _draw_section(rng, tissue, image_size)
    height, width = tissue.frame_um[::-1] / MICRONS_PER_PIXEL
    lowres = _shrink(hires, min(1.0, LOWRES_PIXELS / max(hires.shape)))
    return SimulatedVisium(
        counts=counts,
        barcodes=_barcodes(rng, n_spots),
        gene_names=_gene_names(abundance, pattern),
        gene_ids=np.array([f"SIMG{i:011d}" for i in range(1, n_genes + 1)], dtype=object),
        array_row=array_row,
        array_col=array_col,
        spatial=um / MICRONS_PER_PIXEL,
        scalefactors={
            "spot_diameter_fullres": SPOT_UM / MICRONS_PER_PIXEL,
            "fiducial_diameter_fullres": FIDUCIAL_UM / MICRONS_PER_PIXEL,
            "tissue_hires_scalef": float(max(hires.shape) / max(height, width)),
            "tissue_lowres_scalef": float(max(lowres.shape) / max(height, width)),
        },
        images={"hires": hires, "lowres": lowres},
        domain=domain,
        svg=effect_size > 0,
        pattern=pattern,
        effect_size=effect_size,
    )


@dataclass(frozen=True, eq=False)
class _Tissue:
    """Outline and layers as functions of the place, so that spots and image agree.

    Places are (..., 2) arrays of x, y in micrometres from the frame's corner.
    """

    frame_um: np.ndarray
    centre: np.ndarray
    radius: np.ndarray
    waves: np.ndarray
    """Amplitude and phase of the outline's undulations, one row per frequency from 2 on."""
    edge: float
    """Level of the outline: the tissue is where `level` is at most this."""
    layer_centre: np.ndarray
    bounds: np.ndarray
    """Layer depths that part the domains, ascending."""

    def level(self, um: np.ndarray) -> np.ndarray:
        """Distance from the centre in units of the undulating outline."""
        x, y = np.moveaxis((um - self.centre) / self.radius, -1, 0)
        angle = np.arctan2(y, x)
        outline = 1 + sum(a * np.cos(k * angle + phase) for k, (a, phase) in enumerate(self.waves, start=2))
        level: np.ndarray = np.hypot(x, y) / outline
        return level

    def layer(self, um: np.ndarray) -> np.ndarray:
        """Depth across the layers: arcs around a point outside the tissue, slightly folded."""
        x, y = np.moveaxis((um - self.layer_centre) / self.radius, -1, 0)
        layer: np.ndarray = np.hypot(x, y) + 0.08 * np.sin(5 * np.arctan2(y, x))
        return layer

    def domain(self, um: np.ndarray) -> np.ndarray:
        """1 to the number of domains (int32)."""
        return (1 + np.searchsorted(self.bounds, self.layer(um), side="right")).astype(np.int32)


def _section(
    rng: np.random.Generator, n_spots: int, n_domains: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, _Tissue]:
    """Rows, columns and places (micrometres) of the spots on tissue, in no order; the tissue."""
    rows, columns = SLIDE
    if (growth := np.sqrt(n_spots / 4000)) > 1:
        rows, columns = int(np.ceil(rows * growth)), int(np.ceil(columns * growth))
    row, column = np.divmod(np.arange(rows * columns, dtype=np.int32), np.int32(columns))
    on_lattice = (row + column) % 2 == 0
    row, column = row[on_lattice], column[on_lattice]
    um = MARGIN_UM + PITCH_UM * np.column_stack([column / 2, row * np.sqrt(3) / 2])
    frame = um.max(axis=0) + MARGIN_UM

    radius = frame.min() / 2 * np.array([1.0, rng.uniform(0.75, 0.95)])
    shape = {
        "frame_um": frame,
        "centre": frame / 2 + rng.uniform(-0.03, 0.03, 2) * frame,
        "radius": radius,
        "waves": np.column_stack([rng.uniform(0.0, 0.06, 4), rng.uniform(0, 2 * np.pi, 4)]),
        "layer_centre": frame / 2 + radius * np.array([rng.uniform(-0.5, 0.5), 2.0]),
    }
    level = _Tissue(**shape, edge=0.0, bounds=np.empty(0)).level(um)
    # Shuffled, because barcodes (which order a matrix) say nothing of the place.
    on_tissue = rng.permutation(np.argsort(level, kind="stable")[:n_spots])
    um = um[on_tissue]

    # Layers of unequal width, none thinner than a third of the mean.
    shares = 1 / 3 / n_domains + 2 / 3 * rng.dirichlet(np.full(n_domains, 4.0))
    unbounded = _Tissue(**shape, edge=float(level[on_tissue].max()), bounds=np.empty(0))
    bounds = np.quantile(unbounded.layer(um), np.cumsum(shares)[:-1])
    return row[on_tissue], column[on_tissue], um, _Tissue(**shape, edge=unbounded.edge, bounds=bounds)


def _choose_svg(rng: np.random.Generator, expected: np.ndarray, n_svg: int, min_counts: float) -> np.ndarray:
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


@dataclass(frozen=True, eq=False)
class _Effects:
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


def _draw_counts(
    rng: np.random.Generator,
    depth: np.ndarray,
    abundance: np.ndarray,
    alpha: np.ndarray,
    effects: _Effects,
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


def _draw_section(rng: np.random.Generator, tissue: _Tissue, image_size: int) -> np.ndarray:
    """(3, y, x) uint8: a stained section on a white slide, each domain with its own tint and cell density."""
    scale = image_size / tissue.frame_um.max()
    width, height = np.maximum(1, np.round(tissue.frame_um * scale)).astype(int)
    y, x = np.mgrid[0:height, 0:width]
    um = (np.stack([x, y], axis=-1) + 0.5) / scale
    # Wider than the outermost centres: every spot lies on tissue as a whole.
    widened = tissue.edge + SPOT_UM / tissue.radius.min()
    inside = tissue.level(um) <= widened
    domain = tissue.domain(um) - 1

    n_domains = len(tissue.bounds) + 1
    blend = rng.permutation(np.linspace(0, 1, n_domains))[:, None]
    eosin, haematoxylin = np.array([236.0, 178.0, 206.0]), np.array([190.0, 150.0, 200.0])
    tints = eosin * (1 - blend) + haematoxylin * blend
    # Never as bright as the slide: what is tissue can be told from its brightness.
    cloud = np.clip(_shade(rng, height, width), -2, 2)
    image = np.where(inside[..., None], tints[domain] + 9 * cloud[..., None], 243.0)
    image += rng.normal(0, 2, (height, width, 1))

    # One nucleus per 250 to 120 square micrometres, 7 micrometres wide, denser where the tint is darker.
    pixel_um = 1 / scale
    density = np.where(inside, (1 / 250 + blend[:, 0] * (1 / 120 - 1 / 250))[domain], 0) * pixel_um**2
    if pixel_um < 7:
        nuclei_y, nuclei_x = np.nonzero(rng.random((height, width)) < density)
        reach = max(1, round(3.5 / pixel_um))
        darkness = rng.uniform(0.45, 0.8, len(nuclei_y))[:, None]
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if dx * dx + dy * dy <= reach * reach:
                    at = np.clip(nuclei_y + dy, 0, height - 1), np.clip(nuclei_x + dx, 0, width - 1)
                    image[at] = np.array([150.0, 95.0, 165.0]) * darkness + 60
    return np.ascontiguousarray(np.clip(np.round(image), 0, 255).astype(np.uint8).transpose(2, 0, 1))


def _shade(rng: np.random.Generator, height: int, width: int, cells: int = 24) -> np.ndarray:
    """(height, width): smooth noise of unit variance, interpolated from a coarse grid."""
    grid = rng.standard_normal((cells, cells))
    rows, columns = np.linspace(0, cells - 1, height), np.linspace(0, cells - 1, width)
    across = np.array([np.interp(columns, np.arange(cells), line) for line in grid])
    low = np.minimum(rows.astype(int), cells - 2)
    part = (rows - low)[:, None]
    shade: np.ndarray = across[low] * (1 - part) + across[low + 1] * part
    return shade


def _shrink(image: np.ndarray, factor: float) -> np.ndarray:
    """(c, y, x) reduced by averaging the pixels that fall into each new one."""
    if factor >= 1:
        return image
    edges = [
        np.linspace(0, size, max(1, round(size * factor)), endpoint=False).astype(int)
        for size in image.shape[1:]
    ]
    sums = np.add.reduceat(np.add.reduceat(image.astype(float), edges[0], axis=1), edges[1], axis=2)
    areas = np.multiply.outer(
        *(np.diff(starts, append=size) for starts, size in zip(edges, image.shape[1:], strict=True))
    )
    return np.round(sums / areas).astype(np.uint8)


def _barcodes(rng: np.random.Generator, n: int) -> np.ndarray:
    """Unique barcodes of 16 bases with Space Ranger's library number, in alphabetical order."""
    numbers = np.unique(rng.integers(4**16, size=n))
    while len(numbers) < n:
        numbers = np.unique(np.append(numbers, rng.integers(4**16, size=n - len(numbers))))
    digits = numbers[:, None] >> (2 * np.arange(15, -1, -1)) & 3
    bases = np.frombuffer(b"ACGT", dtype="S1")[digits]
    return np.array([row.tobytes().decode() + "-1" for row in bases], dtype=object)


def _gene_names(abundance: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """Names that give nothing away; some abundant genes without pattern are called mitochondrial."""
    n = len(abundance)
    names = np.array([f"SIM{i:05d}" for i in range(1, n + 1)], dtype=object)
    flat = np.flatnonzero(pattern == "")
    abundant = flat[np.argsort(abundance[flat], kind="stable")[::-1]][
        n // 100 : n // 100 + len(MITOCHONDRIAL)
    ]
    if n >= 10 * len(MITOCHONDRIAL):
        names[abundant] = MITOCHONDRIAL[: len(abundant)]
    return names
