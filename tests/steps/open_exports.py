"""Run by the tests where spatialdata, squidpy and vitessce are: opens exports, notes what it finds."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")

import matplotlib  # noqa: E402

matplotlib.use("Agg")

import anndata  # noqa: E402
import spatialdata  # noqa: E402
import squidpy  # noqa: E402
from spatialdata.transformations import get_transformation  # noqa: E402
from vitessce import VitessceConfig  # noqa: E402


def main(store, h5ad, config, found):
    data = spatialdata.read_zarr(store)
    samples = {}
    for name, table in data.tables.items():
        circles = data.shapes[f"{name}_spots"]
        image = data.images[f"{name}_hires"]
        to_image = np.linalg.inv(
            get_transformation(image, to_coordinate_system=name).to_affine_matrix(("y", "x"), ("y", "x"))
        )
        joined = spatialdata.match_table_to_element(data, f"{name}_spots", name)
        samples[name] = {
            "shape": list(table.shape),
            "circles": [len(circles), float(circles.radius.iloc[0])],
            "centre": [float(circles.geometry.x.iloc[5]), float(circles.geometry.y.iloc[5])],
            "scalef": float(to_image[0, 0]),
            "joined": joined.n_obs,
        }
    section = anndata.read_h5ad(h5ad)
    squidpy.gr.spatial_neighbors(section, coord_type="grid", n_neighs=6)
    squidpy.gr.nhood_enrichment(section, cluster_key="layer", seed=0, show_progress_bar=False, n_jobs=1)
    squidpy.pl.spatial_scatter(section, color="layer", save=Path(found).with_name("scatter.png"))
    view = VitessceConfig.from_dict(json.loads(Path(config).read_text())).to_dict()
    facts = {
        "systems": sorted(map(str, data.coordinate_systems)),
        "samples": samples,
        "enrichment": np.asarray(section.uns["layer_nhood_enrichment"]["zscore"]).tolist(),
        "view": view,
    }
    Path(found).write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
