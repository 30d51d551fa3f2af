"""A sample written as the folder that Space Ranger would have left."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spatialrun.readers.hdf5 import PACKED
from spatialrun.readers.matrix import GENE_EXPRESSION
from spatialrun.readers.positions import COLUMNS
from spatialrun.readers.sample import Sample
from spatialrun.readers.spaceranger import SCALEFACTORS

if TYPE_CHECKING:
    import pandas as pd

METADATA = {"chemistry_description": "Spatial 3' v1", "software_version": "spaceranger-3.0.0"}
"""What a sample that does not know its origin is labelled with: the version whose layout is written."""


def write(
    sample: Sample,
    folder: str | Path,
    *,
    mtx: bool = False,
    tables: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write a sample in the layout of Space Ranger 3; the same sample gives the same content.

    Parameters
    ----------
    sample
        Needs ``in_tissue``, ``array_row`` and ``array_col`` in obs; without ``gene_ids`` in var the symbols
        stand in.
    folder
        Made where needed; files go to ``folder/outs``.
    mtx
        Write the matrix as three gzipped text files too.
    tables
        Name to table, written beside ``outs`` as ``<name>.csv`` (the truth of a simulation).

    Returns
    -------
    Path
        The ``outs`` folder.
    """
    outs = Path(folder) / "outs"
    spatial = outs / "spatial"
    spatial.mkdir(parents=True, exist_ok=True)
    _write_hdf5(sample, outs / "filtered_feature_bc_matrix.h5")
    if mtx:
        _write_mtx(sample, outs / "filtered_feature_bc_matrix")
    _write_positions(sample, spatial / "tissue_positions.csv")
    (spatial / SCALEFACTORS).write_text(
        json.dumps(dict(sample.scalefactors), indent=1) + "\n", encoding="utf-8"
    )
    for name, pixels in sample.images.items():
        write_image(pixels, spatial / f"tissue_{name}_image.png")
    for name, table in (tables or {}).items():
        table.to_csv(Path(folder) / f"{name}.csv", lineterminator="\n")
    return outs


def _features(sample: Sample) -> dict[str, list[str]]:
    """Columns of the features as Space Ranger names them."""
    var = sample.var
    symbols = list(map(str, var.index))
    return {
        "id": list(map(str, var["gene_ids"])) if "gene_ids" in var else symbols,
        "name": symbols,
        "feature_type": list(map(str, var.get("feature_types", [GENE_EXPRESSION] * len(var)))),
        "genome": list(map(str, var.get("genome", [""] * len(var)))),
    }


def _write_hdf5(sample: Sample, path: Path) -> None:
    import h5py

    by_spot = sample.counts.tocsr()
    metadata = METADATA | dict(sample.metadata)
    with h5py.File(path, "w") as file:
        file.attrs["filetype"] = "matrix"
        file.attrs["version"] = 2
        for name, value in metadata.items():
            file.attrs[name] = value
        file.attrs["library_ids"] = np.array([b"sample"])
        file.attrs["original_gem_groups"] = np.array([1])
        group = file.create_group("matrix")
        arrays = {
            "barcodes": _bytes(sample.obs_names),
            "data": by_spot.data.astype(np.int32),
            "indices": by_spot.indices.astype(np.int64),
            "indptr": by_spot.indptr.astype(np.int64),
            "shape": np.array(sample.shape[::-1], dtype=np.int32),
            "features/_all_tag_keys": np.array([b"genome"]),
        }
        arrays |= {f"features/{name}": _bytes(values) for name, values in _features(sample).items()}
        for name, values in arrays.items():
            packed = PACKED | {"shuffle": True} if len(values) > 1000 else {}
            group.create_dataset(name, data=values, **packed)


def _write_mtx(sample: Sample, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    by_spot = sample.counts.tocsr()
    n_spots, n_genes = sample.shape
    spots = np.repeat(np.arange(1, n_spots + 1), np.diff(by_spot.indptr))
    with _zipped(folder / "matrix.mtx.gz") as file:
        file.write(b"%%MatrixMarket matrix coordinate integer general\n")
        file.write(f"{n_genes} {n_spots} {by_spot.nnz}\n".encode())
        np.savetxt(file, np.column_stack([by_spot.indices + 1, spots, by_spot.data]), fmt="%d")
    features = _features(sample)
    rows = zip(features["id"], features["name"], features["feature_type"], strict=True)
    with _zipped(folder / "features.tsv.gz") as file:
        file.writelines("\t".join(row).encode() + b"\n" for row in rows)
    with _zipped(folder / "barcodes.tsv.gz") as file:
        file.writelines(f"{name}\n".encode() for name in sample.obs_names)


def _write_positions(sample: Sample, path: Path) -> None:
    obs = sample.obs
    x, y = sample.spatial.T
    columns = (obs.index, obs["in_tissue"].astype(int), obs["array_row"], obs["array_col"], y, x)
    # pandas writes floats so that reading gives the same bits back.
    import pandas as pd

    table = pd.DataFrame({name: np.asarray(values) for name, values in zip(COLUMNS, columns, strict=True)})
    table.to_csv(path, index=False, lineterminator="\n")


def write_image(pixels: np.ndarray, path: Path) -> None:
    """Write (3, y, x) uint8 as a png."""
    from PIL import Image

    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(path, compress_level=3)


def _zipped(path: Path) -> gzip.GzipFile:
    """A gzip file without name or time in its header, so that equal content is equal bytes."""
    return gzip.GzipFile(filename="", mode="wb", fileobj=path.open("wb"), mtime=0, compresslevel=6)


def _bytes(values: Iterable[str]) -> np.ndarray:
    return np.array([value.encode() for value in values])
