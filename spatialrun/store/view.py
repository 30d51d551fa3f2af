"""A run's view: the whole run as one SpatialData store, in which every sample is a table that AnnData opens.

Large elements are hard links to objects (no second copy); only the groups' own metadata and a few small columns
are written. ``tables/<sample>`` opens with ``anndata.read_zarr``, the whole with ``spatialdata.read_zarr``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.store.backend import guarded
from spatialrun.store.elements import ObjectRef, write_plain
from spatialrun.store.runs import Run
from spatialrun.store.store import Store

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store as ZarrStore

SPATIALDATA_VERSION = "0.7.3"
REGION_KEY, INSTANCE_KEY = "_sr_region", "_sr_spot"
ANNDATA_GROUPS = ("layers", "obsm", "varm", "obsp", "varp", "uns")
_DICT = {"encoding-type": "dict", "encoding-version": "0.1.0"}


def matrix_slot(slots: Mapping[str, ObjectRef]) -> str | None:
    """Return the slot that becomes ``X``: ``layers/lognorm`` if there, else the counts, else nothing."""
    return next((slot for slot in ("layers/lognorm", "layers/counts") if slot in slots), None)


def root_attributes() -> dict[str, Any]:
    """Return the attributes by which spatialdata knows a store."""
    software = {"version": "0.2", "spatialdata_software_version": SPATIALDATA_VERSION}
    return {"spatialdata_attrs": software}


def table_attributes(sample: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return what says which spots a table is about (``uns/spatialdata_attrs``), and its group's attributes."""
    region = {"region": f"{sample}_spots", "region_key": REGION_KEY, "instance_key": INSTANCE_KEY}
    encoding = {
        "encoding-type": "anndata",
        "encoding-version": "0.1.0",
        "spatialdata-encoding-type": "ngff:regions_table",
        "version": "0.2",
    }
    return region, {**encoding, **region}


def image_attributes(
    name: str,
    channels: Sequence[str],
    scalef: float,
    levels: Mapping[str, float],
    system: str = "global",
) -> dict[str, Any]:
    """Return the attributes of an OME-NGFF image.

    Parameters
    ----------
    name, channels
        What it and its channels are called.
    scalef
        Image pixels per full-resolution pixel, in the first level.
    levels
        The arrays by their names, the finest first, with how many of its pixels one of theirs is wide.
    system
        The coordinate system, in full-resolution pixels, on which it lies.
    """
    axes = [
        {"name": "c", "type": "channel"},
        {"name": "y", "type": "space", "unit": "unit"},
        {"name": "x", "type": "space", "unit": "unit"},
    ]
    to_system = {
        "type": "scale",
        "scale": [1.0, 1.0 / scalef, 1.0 / scalef],
        "input": {"name": "cyx", "axes": axes},
        "output": {"name": system, "axes": axes},
    }
    datasets = [
        {"path": level, "coordinateTransformations": [{"type": "scale", "scale": [1.0, width, width]}]}
        for level, width in levels.items()
    ]
    multiscale = {
        "name": name,
        "axes": axes,
        "datasets": datasets,
        "coordinateTransformations": [to_system],
    }
    return {
        "ome": {
            "version": "0.5-dev-spatialdata",
            "multiscales": [multiscale],
            "omero": {"channels": [{"label": label} for label in channels]},
        },
        "spatialdata_attrs": {"version": "0.3"},
    }


def write_view(store: Store, run: Run) -> str:
    """Write the view of a run and return its path in the store.

    Raises
    ------
    StoreError
        ``store.permission`` where the store cannot be written.
    """
    import zarr

    path = f"runs/{run.id}/view.zarr"
    store.backend.delete(path)
    target = store.backend.zarr(path, read_only=False)
    with guarded(f"{store.url}/{path}", "written"):
        root = zarr.open_group(target, mode="w", zarr_format=3, attributes=root_attributes())
        tables, images = root.create_group("tables"), root.create_group("images")
        for sample in run.samples:
            slots = run.slots(sample)
            if sample == COHORT or "axes/obs" not in slots or "axes/var" not in slots:
                continue
            _Table(store, tables, f"{path}/tables/{sample}", sample, slots).write()
            for slot, ref in slots.items():
                if group_of(slot) == "images":
                    name = f"{sample}_{name_of(slot)}"
                    _write_image(store, images, f"{path}/images/{name}", name, ref)
        consolidate(target)
        store.backend.share(path)
    return path


class _Table:
    """One sample as an AnnData group."""

    def __init__(
        self, store: Store, tables: zarr.Group, path: str, sample: str, slots: Mapping[str, ObjectRef]
    ) -> None:
        self._store, self._path = store, path
        self._sample, self._slots = sample, slots
        self._region, attributes = table_attributes(sample)
        self._group = tables.create_group(sample, attributes=attributes)

    def write(self) -> None:
        self._frame("obs", self._region_columns())
        self._frame("var", {})
        if slot := matrix_slot(self._slots):
            self._link(slot, "X")
        for name in ANNDATA_GROUPS:
            self._group.create_group(name, attributes=_DICT)
        for slot in self._slots:
            if group_of(slot) in ANNDATA_GROUPS and slot != "uns/spatial":
                self._link(slot, slot)
        write_plain(self._group["uns"], "spatialdata_attrs", self._region)
        if "uns/spatial" in self._slots:  # scanpy keeps it under the sample's name
            self._group.create_group("uns/spatial", attributes=_DICT)
            self._link("uns/spatial", f"uns/spatial/{self._sample}")

    def _frame(self, axis: str, extra: Mapping[str, Any]) -> None:
        columns = [name_of(slot) for slot in self._slots if group_of(slot) == axis]
        group = self._group.create_group(
            axis,
            attributes={
                "encoding-type": "dataframe",
                "encoding-version": "0.2.0",
                "column-order": [*columns, *extra],
                "_index": "_index",
            },
        )
        self._link(f"axes/{axis}", f"{axis}/_index")
        for name in columns:
            self._link(f"{axis}/{name}", f"{axis}/{name}")
        for name, value in extra.items():
            write_plain(group, name, value)

    def _region_columns(self) -> dict[str, Any]:
        import numpy as np
        import pandas as pd

        count = self._slots["axes/obs"].meta["shape"][0]
        codes = np.zeros(count, dtype=np.int8)
        return {
            REGION_KEY: pd.Categorical.from_codes(codes, pd.Index([self._region["region"]])),
            INSTANCE_KEY: np.arange(count, dtype=np.int64),
        }

    def _link(self, slot: str, name: str) -> None:
        self._store.backend.link(self._slots[slot].path, f"{self._path}/{name}")


def consolidate(target: ZarrStore) -> None:
    """Gather all metadata in the root, so that readers open the view without a walk through its folders."""
    import zarr
    from zarr.errors import ZarrUserWarning

    with warnings.catch_warnings():
        # zarr says that others may not know consolidated metadata of format 3; those who do not pass over it.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", ZarrUserWarning)
        warnings.filterwarnings("ignore", "Object at shapes.parquet is not recognized", ZarrUserWarning)
        zarr.consolidate_metadata(target, zarr_format=3)


def _write_image(store: Store, images: zarr.Group, path: str, name: str, ref: ObjectRef) -> None:
    """Write an OME-NGFF image whose levels are links to the object's arrays."""
    import zarr

    parent, _, last = ref.path.rpartition("/")
    node = zarr.open_group(store.backend.zarr(parent), mode="r", zarr_format=3)[last]
    attrs = node.attrs
    levels = sorted(node.array_keys(), key=int)
    factors = {level: node["0"].shape[2] / node[level].shape[2] for level in levels}
    channels = [str(label) for label in attrs["channels"]]
    attributes = image_attributes(name, channels, float(attrs["attributes"]["scalef"]), factors)
    images.create_group(name, attributes=attributes)
    for level in levels:
        store.backend.link(f"{ref.path}/{level}", f"{path}/{level}")
