"""Simulated sections on which SpaGCN is run, and the two real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix

from spatialrun.methods.normalize import log1p, to_depth
from spatialrun.methods.simulate import simulate_visium
from spatialrun.readers import spaceranger


@dataclass(frozen=True)
class Section:
    lognorm: csc_matrix
    places: np.ndarray
    genes: pd.Index
    truth: np.ndarray
    image: np.ndarray
    scale: float


@pytest.fixture(scope="session")
def section() -> Section:
    """700 spots in 4 layers."""
    made = simulate_visium(n_spots=700, n_genes=600, n_domains=4, n_svg=120, mean_counts=2500, image_size=200)
    return Section(
        log1p(to_depth(made.counts)),
        made.spatial,
        pd.Index(made.gene_names),
        made.domain,
        made.images["hires"],
        made.scalefactors["tissue_hires_scalef"],
    )


@pytest.fixture(scope="session")
def cortex(data) -> dict[str, Section]:
    """Labelled spots of the two sections of cortex, genes that occur in three spots or more."""
    found = {}
    for name in ("dlpfc_151673", "dlpfc_151675"):
        sample = spaceranger.read(spaceranger.locate(data / name / "outs"))
        layer = pd.read_csv(data / name / "labels.csv", index_col=0)["layer"].reindex(sample.obs_names)
        kept = np.flatnonzero(layer.notna())
        counts = sample.counts[kept].tocsc()
        often = np.flatnonzero(np.diff(counts.indptr) >= 3)
        found[name] = Section(
            log1p(to_depth(counts[:, often], None)),
            sample.spatial[kept],
            sample.var_names[often],
            layer.to_numpy()[kept],
            sample.images["lowres"],
            sample.scalefactors["tissue_lowres_scalef"],
        )
    return found
