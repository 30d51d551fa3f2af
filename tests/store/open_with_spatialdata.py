"""Run by the tests in an environment that has spatialdata: opens a view and prints what it finds as JSON."""

import json
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")

import spatialdata  # noqa: E402
from spatialdata.transformations import get_transformation  # noqa: E402


def main(path):
    view = spatialdata.read_zarr(path)
    tables, images = {}, {}
    for name, table in view.tables.items():
        region, region_key, instance_key = _keys(table)
        tables[name] = {
            "shape": list(table.shape),
            "x": float(np.sum(table.X)),
            "obs": sorted(map(str, table.obs.columns)),
            "layers": {key: float(np.sum(value)) for key, value in table.layers.items()},
            "obs_names": list(table.obs_names[:2]),
            "region": region,
            "regions_of_spots": sorted(map(str, table.obs[region_key].unique())),
            "instances": [int(table.obs[instance_key].min()), int(table.obs[instance_key].max())],
        }
    for name, image in view.images.items():
        to_global = get_transformation(image, to_coordinate_system="global")
        images[name] = {
            "dims": list(image.dims),
            "shape": list(image.shape),
            "sum": int(image.data.sum().compute()),
            "channels": [str(c) for c in image.coords["c"].values],
            "to_global": np.asarray(to_global.to_affine_matrix(("y", "x"), ("y", "x"))).tolist(),
        }
    json.dump({"tables": tables, "images": images}, sys.stdout)


def _keys(table):
    attributes = table.uns["spatialdata_attrs"]
    return attributes["region"], attributes["region_key"], attributes["instance_key"]


if __name__ == "__main__":
    main(sys.argv[1])
