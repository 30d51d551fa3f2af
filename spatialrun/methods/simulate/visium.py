"""One simulated section: parameters in, arrays and their truth out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from spatialrun.errors import UsageError
from spatialrun.methods.simulate.counts import PATTERNS, Effects, choose_svg, draw_counts
from spatialrun.methods.simulate.image import Stain, draw_image, mixed_stain, shrink
from spatialrun.methods.simulate.programs import MITOCHONDRIAL
from spatialrun.methods.simulate.tissue import PITCH_UM, Tissue, draw_layers, hexagons

SPOT_UM = 55.0
"""Diameter of a Visium spot."""
FIDUCIAL_UM = 90.0
MICRONS_PER_PIXEL = 0.5
"""Of the full-resolution image, which is never drawn."""
LOWRES_PIXELS = 600


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
        (N,) int32: 1 to the number of domains; layers are in their order.
    domain_names
        (D,) str: what the domains are called.
    svg, pattern, effect_size
        (G,) bool; (G,) str, one of ``PATTERNS`` (in a cohort the gene's program) or empty; (G,) float64, log2 of
        the expected expression (relative to depth) at the pattern's highest over its lowest place, 0 for all
        other genes.
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
    domain_names: np.ndarray
    svg: np.ndarray
    pattern: np.ndarray
    effect_size: np.ndarray


@dataclass(frozen=True, eq=False)
class Spots:
    """Spots on tissue: rows and columns of the array (N,), places in micrometres (N, 2)."""

    row: np.ndarray
    column: np.ndarray
    um: np.ndarray


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
    array_row, array_col, um = hexagons(n_spots)
    chosen, tissue = draw_layers(rng, um, n_spots, n_domains)
    spots = Spots(array_row[chosen], array_col[chosen], um[chosen])
    domain = tissue.domain(spots.um)
    place = (spots.um - spots.um.min(axis=0)) / max(np.ptp(spots.um, axis=0).max(), PITCH_UM)

    depth = np.exp(depth_sigma * rng.standard_normal(n_spots)) * rng.uniform(0.7, 1.3, n_domains)[domain - 1]
    depth *= mean_counts / depth.mean()
    abundance = np.exp(abundance_sigma * rng.standard_normal(n_genes))
    abundance /= abundance.sum()
    alpha = dispersion * np.exp(0.5 * rng.standard_normal(n_genes))

    chosen = choose_svg(rng, abundance * depth.sum(), n_svg, min_svg_counts)
    pattern = np.full(n_genes, "", dtype=object)
    pattern[chosen] = np.array([PATTERNS[i % len(PATTERNS)] for i in range(n_svg)], dtype=object)
    effect_size = np.zeros(n_genes)
    effect_size[chosen] = rng.uniform(1.0, 2.5, n_svg)
    effects = Effects(place, domain, depth, pattern, effect_size, seed)

    counts = draw_counts(rng, depth, abundance, alpha, effects)
    stain = mixed_stain(rng.permutation(np.linspace(0, 1, n_domains)))
    return section(
        rng,
        spots,
        tissue,
        stain,
        image_size,
        counts=counts,
        gene_names=gene_names(abundance, pattern),
        domain_names=np.array([str(number) for number in range(1, n_domains + 1)], dtype=object),
        pattern=pattern,
        effect_size=effect_size,
    )


def section(
    rng: np.random.Generator,
    spots: Spots,
    tissue: Tissue,
    stain: Stain,
    image_size: int,
    *,
    counts: Any,
    gene_names: np.ndarray,
    domain_names: np.ndarray,
    pattern: np.ndarray,
    effect_size: np.ndarray,
) -> SimulatedVisium:
    """Join counts with what a slide has beside them: image, scale factors, barcodes."""
    hires = draw_image(rng, tissue, stain, image_size)
    height, width = tissue.outline.frame_um[::-1] / MICRONS_PER_PIXEL
    lowres = shrink(hires, min(1.0, LOWRES_PIXELS / max(hires.shape)))
    return SimulatedVisium(
        counts=counts,
        barcodes=_barcodes(rng, len(spots.um)),
        gene_names=gene_names,
        gene_ids=np.array([f"SIMG{i:011d}" for i in range(1, len(gene_names) + 1)], dtype=object),
        array_row=spots.row,
        array_col=spots.column,
        spatial=spots.um / MICRONS_PER_PIXEL,
        scalefactors={
            "spot_diameter_fullres": SPOT_UM / MICRONS_PER_PIXEL,
            "fiducial_diameter_fullres": FIDUCIAL_UM / MICRONS_PER_PIXEL,
            "tissue_hires_scalef": float(max(hires.shape) / max(height, width)),
            "tissue_lowres_scalef": float(max(lowres.shape) / max(height, width)),
        },
        images={"hires": hires, "lowres": lowres},
        domain=tissue.domain(spots.um),
        domain_names=domain_names,
        svg=effect_size > 0,
        pattern=pattern,
        effect_size=effect_size,
    )


def _barcodes(rng: np.random.Generator, n: int) -> np.ndarray:
    """Unique barcodes of 16 bases with Space Ranger's library number, in alphabetical order."""
    numbers = np.unique(rng.integers(4**16, size=n))
    while len(numbers) < n:
        numbers = np.unique(np.append(numbers, rng.integers(4**16, size=n - len(numbers))))
    digits = numbers[:, None] >> (2 * np.arange(15, -1, -1)) & 3
    bases = np.frombuffer(b"ACGT", dtype="S1")[digits]
    return np.array([row.tobytes().decode() + "-1" for row in bases], dtype=object)


def gene_names(abundance: np.ndarray, pattern: np.ndarray) -> np.ndarray:
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
