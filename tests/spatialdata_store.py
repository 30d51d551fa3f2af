"""SpatialData stores as spatialdata and spatialdata-io write them, of zarr's format 2 or 3, without either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import zarr

DATASET = "Brain_1"
SQUARES = ("square_002um", "square_008um", "square_016um")


def to(system: str, how: dict, axes: str = "xy") -> dict:
    """A transformation to a coordinate system, as spatialdata writes it."""
    named = [{"name": axis, "type": "channel" if axis == "c" else "space", "unit": "unit"} for axis in axes]
    return {**how, "input": {"name": axes, "axes": named}, "output": {"name": system, "axes": named}}


def scaled(factor: float, axes: str) -> dict:
    return {"type": "scale", "scale": [1.0 if axis == "c" else factor for axis in axes]}


class Store:
    """A SpatialData store, element by element."""

    def __init__(self, path: Path, format: int) -> None:
        self.path, self.format = path, format
        self._root = zarr.open_group(path, mode="w", zarr_format=format)
        self._root.attrs["spatialdata_attrs"] = {"version": "0.2" if format == 3 else "0.1"}
        for kind in ("tables", "images", "shapes"):
            self._root.create_group(kind)

    def table(self, adata: anndata.AnnData, name: str, region: str | list[str]) -> None:
        labelled = adata.copy()
        labelled.obs["region"] = pd.Categorical(
            [region if isinstance(region, str) else region[0]] * labelled.n_obs
        )
        labelled.obs["location_id"] = np.arange(labelled.n_obs)
        with anndata.settings.override(zarr_write_format=self.format):
            labelled.write_zarr(self.path / "tables" / name)
        keys = {"region": region, "region_key": "region", "instance_key": "location_id"}
        zarr.open_group(self.path / "tables" / name, mode="r+").attrs.update(keys)

    def shapes(self, name: str, transformations: list[dict]) -> None:
        group = self._root.create_group(f"shapes/{name}")
        (self.path / "shapes" / name / "shapes.parquet").write_bytes(b"")
        attributes = {"encoding-type": "ngff:shapes", "axes": ["x", "y"]}
        group.attrs.update({**attributes, "coordinateTransformations": transformations})

    def image(self, name: str, pixels: np.ndarray, transformations: list[dict], levels: int = 1) -> None:
        group = self._root.create_group(f"images/{name}")
        datasets = []
        for level in range(levels):
            group.create_array(str(level), data=np.ascontiguousarray(pixels[:, :: 2**level, :: 2**level]))
            down = [scaled(2.0**level, "cyx")]
            datasets.append({"path": str(level), "coordinateTransformations": down})
        axes = [{"name": "c", "type": "channel"}, *({"name": name, "type": "space"} for name in "yx")]
        scales = {"axes": axes, "datasets": datasets, "coordinateTransformations": transformations}
        multiscales = [{**scales, "name": f"/images/{name}"}]
        old = {"multiscales": [{**multiscales[0], "version": "0.4-dev-spatialdata"}]}
        new = {"ome": {"version": "0.5-dev-spatialdata", "multiscales": multiscales}}
        group.attrs.update(old if self.format == 2 else new)


def visium_hd(
    adata: anndata.AnnData,
    images: Mapping[str, np.ndarray],
    path: Path,
    format: int,
    tables: Sequence[str] = SQUARES,
    dataset: str = DATASET,
) -> Path:
    """As ``spatialdata_io.visium_hd`` has it written: no global coordinates, and nothing in uns.

    Images are of a scale of 1 (full), 0.1 (hires) and 0.05 (lowres).
    """
    store = Store(path, format)
    down = {kind: f"{dataset}_downscaled_{kind}" for kind in ("hires", "lowres")}
    factors = {"hires": 0.1, "lowres": 0.05}
    for table in tables:
        region = f"{dataset}_{table}"
        store.table(adata, table, region)
        downscaled = [to(down[kind], scaled(factors[kind], "xy")) for kind in down]
        store.shapes(region, [to(dataset, {"type": "identity"}), *downscaled])
    full = [to(dataset, {"type": "identity"}, "cyx")]
    store.image(f"{dataset}_full_image", images["full"], full, levels=3)
    for kind, system in down.items():
        own = to(system, {"type": "identity"}, "cyx")
        up = to(dataset, scaled(1 / factors[kind], "cyx"), "cyx")
        store.image(f"{dataset}_{kind}_image", images[kind], [own, up])
    return path
