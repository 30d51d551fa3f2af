"""A simulated section as a sample, and its truth as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spatialrun.readers import spaceranger_writer
from spatialrun.readers.matrix import GENE_EXPRESSION
from spatialrun.readers.sample import Sample, with_totals

if TYPE_CHECKING:
    from spatialrun.methods.simulate import SimulatedVisium


def to_sample(simulated: SimulatedVisium) -> Sample:
    """The arrays of a simulation in the form in which a Space Ranger folder is read."""
    n_genes = len(simulated.gene_names)
    obs = pd.DataFrame(
        {
            "in_tissue": np.ones(len(simulated.barcodes), dtype=bool),
            "array_row": simulated.array_row,
            "array_col": simulated.array_col,
        },
        index=pd.Index(simulated.barcodes, dtype=object),
    )
    var = pd.DataFrame(
        {
            "gene_ids": simulated.gene_ids,
            "feature_types": pd.Categorical([GENE_EXPRESSION] * n_genes),
            "genome": pd.Categorical(["simulated"] * n_genes),
        },
        index=pd.Index(simulated.gene_names, dtype=object),
    )
    return Sample(
        counts=simulated.counts,
        obs=with_totals(obs, simulated.counts),
        var=var,
        spatial=simulated.spatial,
        scalefactors=simulated.scalefactors,
        images=simulated.images,
        metadata=spaceranger_writer.METADATA,
    )


def truth(simulated: SimulatedVisium) -> dict[str, pd.DataFrame]:
    """What was planted.

    Returns
    -------
    ``truth_genes``: ``svg``, ``pattern``, ``effect_size`` by gene; ``truth_spots``: ``domain``, a category, by
    barcode.
    """
    genes = {name: getattr(simulated, name) for name in ("svg", "pattern", "effect_size")}
    domain = pd.Categorical.from_codes(simulated.domain - 1, pd.Index(simulated.domain_names))
    return {
        "truth_genes": pd.DataFrame(genes, index=pd.Index(simulated.gene_names, name="gene")).astype(
            {"pattern": "category"}
        ),
        "truth_spots": pd.DataFrame({"domain": domain}, index=pd.Index(simulated.barcodes, name="barcode")),
    }


def write(simulated: SimulatedVisium, folder: str | Path, *, mtx: bool = False) -> Path:
    """Write ``folder/outs`` as Space Ranger would, and ``truth_genes.csv``, ``truth_spots.csv`` beside it.

    Returns
    -------
    Path
        The ``outs`` folder.
    """
    return spaceranger_writer.write(to_sample(simulated), folder, mtx=mtx, tables=truth(simulated))
