"""Simulated sections of one disease: the same domains everywhere, in every section laid out anew."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from spatialrun.errors import UsageError
from spatialrun.methods.simulate.counts import draw_counts
from spatialrun.methods.simulate.programs import (
    DEPTH,
    KNOWN,
    PROGRAMS,
    Transcriptome,
    draw_transcriptome,
)
from spatialrun.methods.simulate.tissue import PITCH_UM, hexagons
from spatialrun.methods.simulate.tumour import DOMAINS, draw_tumour, stain
from spatialrun.methods.simulate.visium import SimulatedVisium, Spots, section

BLEEDING = 0.06
"""Share of a spot's transcripts that come from each of its neighbours."""


@dataclass(frozen=True, eq=False)
class ProgramEffects:
    """The multiplicative effect of place on each gene of a program: a mean of 1 over the spots' depth."""

    shared: Transcriptome
    domain: np.ndarray
    depth: np.ndarray
    bleeding: csr_matrix
    """(N, N): of whose transcripts a spot's are mixed; rows sum to 1."""

    @property
    def effect_size(self) -> np.ndarray:
        """(G,): 0 for genes that do not depend on the place."""
        return self.shared.strength

    def __call__(self, gene: int) -> np.ndarray:
        """(N,): positive."""
        effect = self.bleeding @ self.shared.fold(gene)[self.domain - 1]
        relative: np.ndarray = effect * (self.depth.sum() / (self.depth @ effect))
        return relative


def simulate_cohort(
    samples: Mapping[str, int],
    *,
    n_genes: int = 5000,
    n_svg: int = 600,
    mean_counts: float = 6000.0,
    depth_sigma: float = 0.35,
    abundance_sigma: float = 1.5,
    dispersion: float = 0.25,
    batch_sigma: float = 0.06,
    image_size: int = 2000,
    seed: int = 0,
) -> Iterator[tuple[str, SimulatedVisium]]:
    """Simulate sections through tumours, one after the other.

    All share the genes, the 15 domains and what tells these apart: programs of genes, of which each domain runs
    a few. Every section has a layout of its own, a depth of its own, and its batch's effect on every gene; it is
    the same whatever other sections there are. Spots catch some transcripts of their neighbours.

    Parameters
    ----------
    samples
        Name to number of spots.
    n_genes
        Genes; some 170 of them are known ones, others have names that say nothing.
    n_svg
        Genes that belong to programs, the known ones among them.
    mean_counts
        Expected counts of a spot, on average over sections, which differ by up to 30 percent.
    depth_sigma, abundance_sigma
        Standard deviation of the natural log of depth over spots, of abundance over genes.
    dispersion
        Median over genes of the negative binomial's alpha.
    batch_sigma
        Standard deviation of the natural log of a batch's effects.
    image_size
        Longer side of the hires images in pixels.
    seed
        Seed of the random generator.

    Raises
    ------
    UsageError
        ``usage`` for too few genes or spots.
    """
    n_known = sum(map(len, PROGRAMS.values()))
    if n_genes < KNOWN or not n_known <= n_svg <= n_genes - KNOWN + n_known:
        what = f"cannot simulate {n_genes} genes, {n_svg} of them in programs"
        hint = f"the known genes alone are {KNOWN}, and {n_known} of these are in programs"
        raise UsageError("usage", what, hint=hint)
    if fewest := [name for name, n_spots in samples.items() if n_spots < len(DOMAINS)]:
        raise UsageError("usage", f"{fewest[0]} needs {len(DOMAINS)} spots at least")
    shared = draw_transcriptome(np.random.default_rng([seed]), n_genes, n_svg, abundance_sigma, dispersion)
    depths = np.array([DEPTH.get(name, 1.0) for name in DOMAINS])
    for name, n_spots in samples.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        row, column, um = hexagons(n_spots)
        chosen, tumour = draw_tumour(rng, um, n_spots)
        spots = Spots(row[chosen], column[chosen], um[chosen])
        domain = tumour.domain(spots.um)
        depth = np.exp(depth_sigma * rng.standard_normal(n_spots)) * depths[domain - 1]
        depth *= mean_counts * rng.uniform(0.7, 1.3) / depth.mean()
        abundance = shared.abundance * np.exp(batch_sigma * rng.standard_normal(n_genes))
        effects = ProgramEffects(shared, domain, depth, _bleeding(spots.um))
        counts = draw_counts(rng, depth, abundance / abundance.sum(), shared.alpha, effects)
        yield (
            name,
            section(
                rng,
                spots,
                tumour,
                stain(),
                image_size,
                counts=counts,
                gene_names=shared.names,
                domain_names=np.array(DOMAINS, dtype=object),
                pattern=shared.program,
                effect_size=shared.strength,
            ),
        )


def _bleeding(um: np.ndarray) -> csr_matrix:
    """What a spot's transcripts are a mixture of: most of its own, some of each of its neighbours'."""
    n = len(um)
    pairs = cKDTree(um).query_pairs(1.01 * PITCH_UM, output_type="ndarray")
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    lent = csr_matrix((np.full(len(rows), BLEEDING), (rows, columns)), shape=(n, n))
    own = 1 - np.asarray(lent.sum(axis=1)).ravel()
    return (lent + csr_matrix((own, (np.arange(n), np.arange(n))), shape=(n, n))).tocsr()
