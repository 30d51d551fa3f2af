"""A SpatialData store of its own, written with zarr, anndata and pyarrow: tables, images, and spots as circles.

spatialdata itself is not needed, which asks for an older dask than everything else. Each sample has a coordinate
system of its name, in full-resolution pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialrun.store.elements import write_plain
from spatialrun.store.view import (
    INSTANCE_KEY,
    REGION_KEY,
    consolidate,
    image_attributes,
    root_attributes,
    table_attributes,
)

if TYPE_CHECKING:
    import zarr
    from anndata import AnnData

GEOPARQUET = "1.0.0"


class SpatialDataWriter:
    """Writes one sample after another into a new store; :meth:`close` makes it whole."""

    def __init__(self, folder: Path) -> None:
        import zarr

        self._folder = folder
        self._root = zarr.open_group(folder, mode="w-", zarr_format=3, attributes=root_attributes())
        for kind in ("tables", "images", "shapes"):
            self._root.create_group(kind)

    def add(self, sample: str, table: AnnData, images: Mapping[str, Any], diameter: float) -> None:
        """Write a sample.

        Parameters
        ----------
        sample
            Its name.
        table
            Its spots and genes; ``obsm["spatial"]`` has the spots' x, y in full-resolution pixels. Columns that
            say where its spots are drawn are added to it.
        images
            Name to image (dimensions c, y, x; ``scalef`` among the attributes).
        diameter
            Of a spot, in full-resolution pixels.
        """
        import pandas as pd

        region, attributes = table_attributes(sample)
        table.obs[REGION_KEY] = pd.Categorical([region["region"]] * table.n_obs)
        table.obs[INSTANCE_KEY] = np.arange(table.n_obs, dtype=np.int64)
        table.uns["spatialdata_attrs"] = dict(region)
        write_plain(self._root["tables"], sample, table)
        self._root[f"tables/{sample}"].attrs.update(attributes)
        for name, image in images.items():
            self._write_image(f"{sample}_{name}", image, sample)
        self._write_circles(region["region"], np.asarray(table.obsm["spatial"])[:, :2], diameter / 2, sample)

    def close(self) -> None:
        """Gather the metadata."""
        import zarr

        consolidate(zarr.storage.LocalStore(self._folder))

    def _write_image(self, name: str, image: Any, system: str) -> None:
        channels = [str(channel) for channel in image.coords["c"].to_numpy()]
        attributes = image_attributes(name, channels, float(image.attrs["scalef"]), {"0": 1.0}, system)
        group: zarr.Group = self._root["images"].create_group(name, attributes=attributes)
        pixels = image.transpose("c", "y", "x").to_numpy()
        chunks = (1, *(min(side, 1024) for side in pixels.shape[1:]))
        group.create_array("0", data=pixels, chunks=chunks, dimension_names=["c", "y", "x"])

    def _write_circles(self, name: str, centres: np.ndarray, radius: float, system: str) -> None:
        """Write circles as GeoParquet: points in well-known binary form, and a column of radii."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        axes = [{"name": axis, "type": "space", "unit": "unit"} for axis in ("x", "y")]
        to_system = {
            "type": "identity",
            "input": {"name": "xy", "axes": axes},
            "output": {"name": system, "axes": axes},
        }
        self._root["shapes"].create_group(
            name,
            attributes={
                "encoding-type": "ngff:shapes",
                "axes": ["x", "y"],
                "coordinateTransformations": [to_system],
                "spatialdata_attrs": {"version": "0.3"},
            },
        )
        points = np.empty(len(centres), dtype=[("order", "u1"), ("kind", "<u4"), ("x", "<f8"), ("y", "<f8")])
        points["order"], points["kind"] = 1, 1
        points["x"], points["y"] = centres.T
        geometry = {"encoding": "WKB", "geometry_types": ["Point"], "crs": None}
        geo = {"version": GEOPARQUET, "primary_column": "geometry", "columns": {"geometry": geometry}}
        table = pa.table(
            {
                "geometry": pa.array([point.tobytes() for point in points], type=pa.binary()),
                "radius": np.full(len(centres), float(radius)),
            }
        )
        table = table.replace_schema_metadata({"geo": json.dumps(geo)})
        pq.write_table(table, self._folder / "shapes" / name / "shapes.parquet")
