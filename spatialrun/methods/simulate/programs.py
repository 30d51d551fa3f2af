"""Programs of genes that the domains of a tumour share and differ by, with genes that are known for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spatialrun.methods.simulate.tumour import DOMAINS

PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "keratinocyte": (
        *("CSTB", "PERP", "YWHAZ", "KRT5", "KRT14", "KRT6A", "S100A2", "EPCAM"),
        *("DSP", "LAMB3", "SFN", "TACSTD2"),
    ),
    "malignant": ("KRT17", "PTHLH", "SOX2", "CCND1", "IGF2BP2", "FSCN1", "S100A8", "AKR1C2", "PTP4A3"),
    "cell cycle": ("MKI67", "TOP2A", "CDK1", "CCNB1", "TYMS", "PCNA", "STMN1", "HMGB2", "PABPC1"),
    "interferon": ("CMPK2", "RSAD2", "MX1", "MX2", "IFIT1", "IFIT3", "ISG15", "IFI6", "OAS1", "B2M"),
    "hypoxia": ("CA9", "VEGFA", "NDRG1", "SLC2A1", "ADM", "BNIP3", "PGK1", "LDHA"),
    "invasion": ("LAMC2", "MMP10", "PDPN", "ITGA6", "TNC", "MMP1", "INHBA", "SERPINE1"),
    "stress": ("HSPA8", "HSPA1A", "DNAJB1", "HMOX1", "DDIT3", "ATF3", "GADD45B"),
    "mesenchyme": ("VIM", "COL1A1", "COL1A2", "COL3A1", "SPARC", "DCN", "BGN", "COL6A3"),
    "matrix": (
        *("LUM", "SFRP4", "POSTN", "ASPN", "CTHRC1", "SFRP2", "IGFBP5"),
        *("FBLN1", "CCN2", "COL5A2", "FAP", "COL11A1"),
    ),
    "quiescent fibroblast": ("PI16", "DPT", "CFD", "GSN", "MGP", "CLU", "PTGDS", "OGN"),
    "macrophage": ("SPP1", "CD68", "C1QA", "C1QB", "CD163", "APOE", "TREM2", "FCER1G", "LYZ"),
    "lymphocyte": ("CXCL13", "MS4A1", "CD79A", "CD3E", "CCL19", "LTB", "CD52", "TRBC2", "CCR7"),
    "plasma cell": ("IGKC", "IGHG1", "JCHAIN", "MZB1", "XBP1", "HERPUD1", "PIM2", "DERL3"),
    "endothelium": ("COL4A1", "COL4A2", "PECAM1", "VWF", "CLDN5", "PLVAP", "ENG", "RAMP2"),
    "differentiation": ("DUOX2", "DUOXA2", "C15orf48", "KRT13", "KRT4", "MAL", "CRNN", "SPRR3", "TGM3"),
    "muscle": ("ACTA2", "MYH11", "DES", "TAGLN", "CNN1", "SYNM", "ACTG2", "MYLK"),
    "fat": ("ADIPOQ", "PLIN1", "PLIN4", "FABP4", "LPL", "CIDEC", "ADH1B"),
}

HOUSEKEEPING = (
    *("ACTB", "GAPDH", "EEF1A1", "TPT1", "FTL", "FTH1", "TMSB10", "UBC", "RPL34", "RPL13", "RPL3"),
    *("RPS6", "RPS18", "RPLP0", "RPS27A", "TP53INP1", "BTG2"),
)
MITOCHONDRIAL = (
    *("MT-CO1", "MT-CO2", "MT-CO3", "MT-ATP6", "MT-ATP8", "MT-CYB"),
    *("MT-ND1", "MT-ND2", "MT-ND3", "MT-ND4", "MT-ND4L", "MT-ND5", "MT-ND6"),
)
KNOWN = sum(map(len, PROGRAMS.values()), 0) + len(HOUSEKEEPING) + len(MITOCHONDRIAL)
"""Genes with symbols of their own; any others have names that say nothing."""
CLEAREST = 3.5
"""Log2 of what a program does to the first of its genes, which is abundant."""

ACTIVITY: Mapping[str, Mapping[str, float]] = {
    "tumour": {"keratinocyte": 1, "malignant": 1},
    "proliferating tumour": {"keratinocyte": 0.9, "malignant": 1, "cell cycle": 1},
    "interferon tumour": {"keratinocyte": 0.9, "malignant": 0.8, "interferon": 1},
    "hypoxic tumour": {"keratinocyte": 0.7, "malignant": 0.7, "hypoxia": 1, "stress": 0.3},
    "invasive front": {"keratinocyte": 0.7, "malignant": 0.8, "invasion": 1, "matrix": 0.2},
    "necrosis": {"stress": 1, "hypoxia": 0.5, "macrophage": 0.3},
    "desmoplastic stroma": {"mesenchyme": 1, "matrix": 1},
    "quiescent stroma": {"mesenchyme": 0.7, "quiescent fibroblast": 1},
    "macrophage rim": {"mesenchyme": 0.6, "matrix": 0.4, "macrophage": 1},
    "lymphoid follicle": {"lymphocyte": 1, "interferon": 0.2},
    "plasma niche": {"mesenchyme": 0.6, "plasma cell": 1, "lymphocyte": 0.2},
    "vessel": {"mesenchyme": 0.5, "endothelium": 1, "muscle": 0.3},
    "epithelium": {"keratinocyte": 1, "differentiation": 1},
    "muscle": {"mesenchyme": 0.4, "muscle": 1},
    "adipose": {"mesenchyme": 0.3, "fat": 1, "endothelium": 0.3},
}
"""How far each domain runs each program."""

DEPTH: Mapping[str, float] = {"necrosis": 0.4, "adipose": 0.5, "quiescent stroma": 0.7, "muscle": 0.8}
"""Depth of a domain's spots over that of the others."""


@dataclass(frozen=True, eq=False)
class Transcriptome:
    """What the sections of a cohort share: G genes, and how domains differ in them.

    Attributes
    ----------
    names
        (G,) symbols.
    abundance, alpha
        (G,): share of the counts where no program is active, and the negative binomial's dispersion.
    program
        (G,) name of the gene's program; empty for genes without one.
    strength
        (G,) log2 of what the program, fully active, does to the gene; 0 without one.
    activity
        (D, G) by how much the gene's program is active in each domain, 0 to 1.
    """

    names: np.ndarray
    abundance: np.ndarray
    alpha: np.ndarray
    program: np.ndarray
    strength: np.ndarray
    activity: np.ndarray

    def fold(self, gene: int) -> np.ndarray:
        """(D,) factors on the gene's abundance."""
        factors: np.ndarray = np.exp2(self.strength[gene] * self.activity[:, gene])
        return factors


def draw_transcriptome(
    rng: np.random.Generator, n_genes: int, n_svg: int, abundance_sigma: float, dispersion: float
) -> Transcriptome:
    """Known genes first to be named, the rest by numbers; ``n_svg`` genes in all belong to programs."""
    known = [(gene, program) for program, genes in PROGRAMS.items() for gene in genes]
    rest = [(gene, "") for gene in (*HOUSEKEEPING, *MITOCHONDRIAL)]
    programs = tuple(PROGRAMS)
    n_unnamed = n_genes - len(known) - len(rest)
    unnamed = [programs[i % len(programs)] if i < n_svg - len(known) else "" for i in range(n_unnamed)]
    symbols = [name for name, _ in known + rest] + [f"SIM{i:05d}" for i in range(1, n_unnamed + 1)]
    program = np.array([name for _, name in known + rest] + unnamed, dtype=object)
    level = np.concatenate([np.full(len(known), 1.2), np.full(len(rest), 2.4), np.zeros(n_unnamed)])
    spread = np.concatenate([np.full(len(known) + len(rest), 0.4), np.ones(n_unnamed)])
    spread = spread * rng.standard_normal(n_genes)
    # What has a program can be seen: it is not among the rarest half.
    spread[(program != "") & (level == 0)] = np.abs(spread[(program != "") & (level == 0)])
    abundance = np.exp(abundance_sigma * (level + spread))
    leading = [symbols.index(genes[0]) for genes in PROGRAMS.values()]
    abundance[leading] = np.exp(1.6 * abundance_sigma)
    strength = np.where(level > 0, rng.uniform(1.8, 3.2, n_genes), rng.uniform(0.7, 2.0, n_genes))
    strength[leading] = CLEAREST
    activity = np.array(
        [[ACTIVITY[domain].get(name, 0.0) for name in (*programs, "")] for domain in DOMAINS], dtype=float
    )
    column = np.array([programs.index(name) if name else len(programs) for name in program])
    order = rng.permutation(n_genes)
    return Transcriptome(
        names=np.array(symbols, dtype=object)[order],
        abundance=(abundance / abundance.sum())[order],
        alpha=(dispersion * np.exp(0.5 * rng.standard_normal(n_genes)))[order],
        program=program[order],
        strength=np.where(program != "", strength, 0.0)[order],
        activity=activity[:, column][:, order],
    )
