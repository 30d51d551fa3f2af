"""A simulated section of Visium HD written as the folder that Space Ranger would have left, in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialrun.readers.hdf5 import PACKED
from spatialrun.readers.matrix import GENE_EXPRESSION
from spatialrun.readers.positions import COLUMNS
from spatialrun.readers.spaceranger import SCALEFACTORS
from spatialrun.readers.spaceranger_writer import write_image

if TYPE_CHECKING:
    import pandas as pd

    from spatialrun.methods.simulate import SimulatedVisiumHd

METADATA = {"chemistry_description": "Visium HD v1", "software_version": "spaceranger-3.0.0"}
CHUNK = 1 << 18
"""Elements of one chunk of the matrix's arrays."""


def write(
    simulated: SimulatedVisiumHd,
    folder: str | Path,
    *,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> Path:
    """Write ``folder/outs/binned_outputs/square_...um`` as Space Ranger 3 does.

    The counts are drawn and written a stretch of bins at a time; the same section gives the same content.

    Parameters
    ----------
    simulated
        The section.
    folder
        Made where needed.
    progress
        Told of the bins that are written.

    Returns
    -------
    Path
        The ``outs`` folder.
    """
    outs = Path(folder) / "outs"
    square = outs / "binned_outputs" / f"square_{simulated.bin_um:03d}um"
    spatial = square / "spatial"
    spatial.mkdir(parents=True, exist_ok=True)
    _write_hdf5(simulated, square / "filtered_feature_bc_matrix.h5", progress)
    _write_positions(simulated, spatial / "tissue_positions.parquet")
    (spatial / SCALEFACTORS).write_text(json.dumps(simulated.scalefactors, indent=1) + "\n", encoding="utf-8")
    for name, pixels in simulated.images.items():
        write_image(pixels, spatial / f"tissue_{name}_image.png")
    return outs


def truth(simulated: SimulatedVisiumHd) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was planted: ``domain`` by barcode; ``svg``, ``pattern``, ``effect_size`` by gene."""
    import pandas as pd

    names = simulated.barcodes(simulated.array_row, simulated.array_col).astype(str).astype(object)
    bins = pd.DataFrame({"domain": simulated.domain}, index=pd.Index(names, name="barcode"))
    genes = {name: getattr(simulated, name) for name in ("svg", "pattern", "effect_size")}
    return bins, pd.DataFrame(genes, index=pd.Index(simulated.gene_names, name="gene"))


def _write_hdf5(simulated: SimulatedVisiumHd, path: Path, progress: Callable[[int, int, str], None]) -> None:
    import h5py

    n_bins, n_genes = len(simulated.array_row), len(simulated.gene_names)
    packed: dict[str, Any] = PACKED | {"shuffle": True}
    with h5py.File(path, "w") as file:
        file.attrs["filetype"] = "matrix"
        file.attrs["version"] = 2
        for name, value in METADATA.items():
            file.attrs[name] = value
        file.attrs["library_ids"] = np.array([b"sample"])
        file.attrs["original_gem_groups"] = np.array([1])
        group = file.create_group("matrix")
        barcodes = simulated.barcodes(simulated.array_row, simulated.array_col)
        group.create_dataset("barcodes", data=barcodes, **packed)
        group.create_dataset("shape", data=np.array([n_genes, n_bins], dtype=np.int32))
        features: dict[str, Any] = {
            "id": simulated.gene_ids,
            "name": simulated.gene_names,
            "feature_type": [GENE_EXPRESSION] * n_genes,
            "genome": ["simulated"] * n_genes,
        }
        group.create_dataset("features/_all_tag_keys", data=np.array([b"genome"]))
        for name, values in features.items():
            group.create_dataset(f"features/{name}", data=np.array([value.encode() for value in values]))
        kinds = {"data": np.int32, "indices": np.int64}
        arrays = {
            name: group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(CHUNK,), **packed)
            for name, kind in kinds.items()
        }
        indptr, done = [np.zeros(1, dtype=np.int64)], 0
        for counts in simulated.counts():
            before = int(indptr[-1][-1])
            for name, array in arrays.items():
                array.resize((before + counts.nnz,))
                array[before:] = getattr(counts, name)
            indptr.append(before + counts.indptr[1:].astype(np.int64))
            done += counts.shape[0]
            progress(done, n_bins, "bins")
        group.create_dataset("indptr", data=np.concatenate(indptr), **packed)


def _write_positions(simulated: SimulatedVisiumHd, path: Path) -> None:
    """Every bin of the array, as Space Ranger lists them; the tissue's are marked."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    side = simulated.side
    on_tissue = np.zeros((side, side), dtype=np.int32)
    on_tissue[simulated.array_row, simulated.array_col] = 1
    kinds = (pa.string(), pa.int32(), pa.int32(), pa.int32(), pa.float64(), pa.float64())
    schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
    rows = max(1, CHUNK // side)
    with pq.ParquetWriter(path, schema) as file:
        for start in range(0, side, rows):
            stop = min(start + rows, side)
            array_row = np.repeat(np.arange(start, stop, dtype=np.int32), side)
            array_col = np.tile(np.arange(side, dtype=np.int32), stop - start)
            x, y = simulated.spatial(array_row, array_col).T
            barcodes = simulated.barcodes(array_row, array_col).astype(str)
            columns: list[np.ndarray] = [barcodes, on_tissue[start:stop].ravel(), array_row, array_col, y, x]
            file.write_table(pa.table(list(map(pa.array, columns)), schema=schema))
