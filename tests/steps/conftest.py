"""A section small enough to run every step type on, and the engine's side of the contract in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray
from memory import Section
from scipy.sparse import csc_matrix

N_SPOTS, N_GENES = 96, 60
SCALEFACTORS = {"tissue_hires_scalef": 0.1, "tissue_lowres_scalef": 0.05, "spot_diameter_fullres": 60.0}


def uniform(*shape: int) -> np.ndarray:
    """Numbers between 0 and 1 that look random and are the same on every machine and with every numpy."""
    state = np.arange(1, np.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return ((state >> np.uint64(11)).astype(float) / 2**53).reshape(shape)


def small_slots() -> dict[str, Any]:
    """What a reader would have written: a hexagonal array of two layers; the first 20 genes tell them apart.

    Every second of these is high in the one layer, the others in the other, so that totals tell nothing.
    """
    row, position = np.divmod(np.arange(N_SPOTS), 8)
    column = 2 * position + row % 2
    upper = row < 6
    # Means are fractions of powers of two, so that counts cannot depend on how a machine rounds.
    gene = np.arange(N_GENES)
    high = upper[:, None] == (gene % 2 == 0)
    mean = 2.0 ** (gene // 2 % 6 - 1) * np.where(gene < 20, np.where(high, 2.0, 0.25), 1.0)
    counts = np.floor(2 * mean * uniform(N_SPOTS, N_GENES) ** 2).astype(np.int32)
    counts[7] = 0
    counts[:, 59] = 0
    matrix = csc_matrix(counts)
    names = [f"GENE{i}" for i in range(N_GENES - 2)]
    image = (255 * uniform(3, 130, 130)).astype(np.uint8)
    return {
        "axes/obs": np.array([f"BC{i:03d}-1" for i in range(N_SPOTS)], dtype=object),
        "axes/var": np.array([*names, "MT-CO1", "mt-Nd1"], dtype=object),
        "layers/counts": matrix,
        "obs/total_counts": counts.sum(axis=1).astype(np.int64),
        "obs/n_genes_by_counts": (counts > 0).sum(axis=1).astype(np.int32),
        "obs/in_tissue": np.arange(N_SPOTS) != 3,
        "obs/array_row": row.astype(np.int32),
        "obs/array_col": column.astype(np.int32),
        "obs/layer": pd.Categorical(np.where(upper, "upper", "lower")),
        "obs/expert": pd.Categorical.from_codes(
            np.where(np.arange(N_SPOTS) % 10 == 0, -1, (row + position // 6) // 6), ["L1", "L2", "WM"]
        ),
        "var/gene_ids": np.array([f"ENSG{i:05d}" for i in range(N_GENES)], dtype=object),
        "var/chosen": np.arange(N_GENES) % 3 == 0,
        "var/score.rank": np.where(np.arange(N_GENES) < 50, 50.0 - np.arange(N_GENES), np.nan),
        "obsm/spatial": np.column_stack([100.0 + 50 * column, 100.0 + 87 * row]),
        "uns/spatial": {"scalefactors": dict(SCALEFACTORS)},
        "uns/notes": pd.DataFrame(
            {"domain": ["b", "a"], "depth": [2.5, 1.0]},
            index=pd.Index(["BC001-1", "BC000-1"], name="barcode"),
        ),
        "images/hires": xarray.DataArray(
            image, dims=("c", "y", "x"), coords={"c": ["r", "g", "b"]}, attrs={"scalef": 0.1}
        ),
        "images/lowres": xarray.DataArray(
            image[:, ::2, ::2], dims=("c", "y", "x"), coords={"c": ["r", "g", "b"]}, attrs={"scalef": 0.05}
        ),
    }


@pytest.fixture
def section(tmp_path: Path) -> Section:
    """The small section, as if it had been read."""
    return Section(tmp_path, slots=small_slots())


@pytest.fixture
def unread(tmp_path: Path) -> Callable[[Path | None], Section]:
    """A section of which nothing is known but the path."""
    return lambda path=None: Section(tmp_path, path)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The small section as every reader's files: ``outs/``, ``section.h5ad``, ``counts.csv``, ``places.csv``."""
    import anndata

    from spatialrun.readers import spaceranger_writer
    from spatialrun.readers.sample import Sample

    slots = small_slots()
    columns = ["in_tissue", "array_row", "array_col", "total_counts", "n_genes_by_counts"]
    obs = pd.DataFrame({name: slots[f"obs/{name}"] for name in columns}, index=slots["axes/obs"])
    var = pd.DataFrame({"gene_ids": slots["var/gene_ids"]}, index=slots["axes/var"])
    images = {name: slots[f"images/{name}"].to_numpy() for name in ("hires", "lowres")}
    sample = Sample(slots["layers/counts"], obs, var, slots["obsm/spatial"], SCALEFACTORS, images)
    folder = tmp_path / "files"
    spaceranger_writer.write(sample, folder)

    anndata.AnnData(
        X=slots["layers/counts"].astype(np.float32),
        obs=obs.assign(leiden=pd.Categorical(obs["array_row"].astype(str))),
        var=var.assign(hvg=slots["var/chosen"]),
        obsm={"spatial": slots["obsm/spatial"], "pca": slots["obsm/spatial"] / 10},
    ).write_h5ad(folder / "section.h5ad")
    pd.DataFrame(slots["layers/counts"].toarray(), index=obs.index, columns=var.index).to_csv(
        folder / "counts.csv"
    )
    pd.DataFrame(slots["obsm/spatial"], index=obs.index, columns=["x", "y"]).to_csv(folder / "places.csv")
    return folder
