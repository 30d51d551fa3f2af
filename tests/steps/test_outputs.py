"""The outputs of every step type on a small section, pinned: they must not move without a new ``version``.

After a change that is meant to move them, raise the step type's ``version`` and write the pins again:
``SPATIALRUN_WRITE_PINS=1 pytest tests/steps/test_outputs.py``.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import xarray
from matplotlib.image import imread
from memory import Cohort, Section, half_of

from spatialrun.methods.simulate import simulate_visium_hd
from spatialrun.readers import visium_hd_writer
from spatialrun.steps import catalogue
from spatialrun.steps.contract import CohortStep, FileBytes

PINS = Path(__file__).parent / "pins"

CASES: dict[str, tuple[str | None, dict[str, Any]]] = {
    "annotate.obs": (None, {"slot": "uns/notes", "columns": ["domain", "depth"]}),
    "annotate.var": (None, {"table": "files/genes.csv"}),
    "cluster.leiden": (None, {"resolution": 0.5}),
    "compare.labels": (None, {"labels": "layer", "annotation": "expert"}),
    "domains.deepst": (None, {"pca_n_comps": 12, "n_domains": 3, "pre_epochs": 3, "epochs": 0, "knn_k": 6}),
    "domains.multispati": (None, {"n_clusters": 3, "n_pcs": 12, "n_components": 6}),
    "domains.spagcn": (None, {"layer": "counts", "n_clusters": 3, "num_pcs": 12, "histology": True}),
    "embed.image": (None, {"tile_size": 100}),
    "embed.neighbors": (None, {"use_rep": "spatial", "n_neighbors": 5}),
    "embed.pca": (None, {"layer": "counts", "n_comps": 4, "mask_var": "chosen"}),
    # One round: after hundreds, the last bits of a machine's arithmetic have moved every spot.
    "embed.umap": (None, {"use_rep": "spatial", "init_pos": "spatial", "maxiter": 1}),
    "export.files": (None, {"path": "out/folder", "what": "given"}),
    "export.h5ad": (None, {"path": "out/section.h5ad"}),
    "export.h5mu": (None, {"path": "out/all.h5mu"}),
    "export.image": (None, {"path": "out/hires.png"}),
    "export.spatialdata": (None, {"path": "out/all.zarr"}),
    "export.table": (None, {"path": "out/var.tsv", "what": "var", "sort": "score.rank", "head": 5}),
    "export.vitessce": (None, {"path": "out/view.json", "data": "all.zarr", "groups": ["layer"]}),
    "genes.select": (None, {"all_of": ["chosen"]}),
    "genes.variable": (None, {"n_top_genes": 10}),
    "integrate.deepst": (None, {"pca_n_comps": 12, "n_domains": 3, "pre_epochs": 3, "epochs": 0, "knn_k": 6}),
    "integrate.multispati": (None, {"n_clusters": 3, "n_pcs": 12, "n_components": 6}),
    "integrate.spagcn": (None, {"layer": "counts", "n_clusters": 3, "num_pcs": 12}),
    "markers.cohort": (None, {"layer": "counts", "groupby": "layer", "min_fold_change": 2}),
    "markers.spagcn": (None, {"layer": "counts", "groupby": "layer", "min_fold_change": 2}),
    "metagene.cohort": (None, {"layer": "counts", "groupby": "layer", "target_cluster": "upper"}),
    "metagene.spagcn": (None, {"layer": "counts", "groupby": "layer", "target_cluster": "upper"}),
    "normalize.log": (None, {}),
    "plot.cohort": (None, {"color": "layer", "dpi": 60}),
    "plot.embedding": (None, {"basis": "spatial", "color": "layer", "dpi": 60}),
    "plot.genes": (None, {"groupby": "layer", "genes": ["GENE1", "GENE2"], "dpi": 60}),
    "plot.spatial": (None, {"color": ["layer", "GENE3"], "dpi": 60}),
    "qc.metrics": (None, {}),
    "read.h5ad": ("section.h5ad", {}),
    "read.table": ("counts.csv", {"coordinates": "places.csv", "min_spots": 1}),
    "read.visium": ("outs", {"min_counts": 10}),
    "read.zarr": ("section.zarr", {}),
    "svg.moran": (None, {"layer": "counts", "n_svg": 15}),
    "read.visium_hd": ("hd/outs", {"bin_um": 16, "min_counts": 10}),
    "svg.spatialde": (None, {"n_svg": 15}),
    "simulate.cohort": (None, {"n_spots": [60, 80], "n_genes": 200, "n_svg": 160, "image_size": 64}),
    "simulate.visium": (None, {"n_spots": 60, "n_genes": 40, "n_svg": 8, "image_size": 64, "seed": 1}),
    "simulate.visium_hd": (None, {"n_bins": 60, "n_genes": 40, "n_svg": 8, "image_size": 64, "seed": 1}),
}
"""Step type to the sample's path (for readers) and its parameters."""

BEFORE = {"cluster.leiden": "embed.neighbors", "embed.umap": "embed.neighbors"}
"""Step type to the one, of the same cases, that makes what it reads."""


def test_every_step_type_is_pinned() -> None:
    assert set(CASES) == set(catalogue.names())


@pytest.mark.parametrize("name", CASES)
def test_outputs_stay_what_they_are(name: str, section: Section, files: Path) -> None:
    path, params = CASES[name]
    step = catalogue.get(name)
    if path is not None:
        section = Section(section.root, files / path)
    if path == "hd/outs":
        bins = simulate_visium_hd(n_bins=60, n_genes=40, n_svg=8, image_size=64, seed=1)
        visium_hd_writer.write(bins, files / "hd")
    if path == "section.zarr":
        with anndata.settings.override(zarr_write_format=3):
            anndata.read_h5ad(files / "section.h5ad").write_zarr(files / path)
    (files / "genes.csv").write_text("gene,marker\nGENE1,yes\nGENE2,no\n")
    section.slots["files/given"] = files / "outs"
    if name in BEFORE:
        section.run(catalogue.get(BEFORE[name]), **CASES[BEFORE[name]][1])
    before = set(section.slots)
    if isinstance(step, CohortStep):
        cohort = Cohort(files, {"one": section, "half": half_of(section)})
        cohort.run(step, **params)
        together = {f"_cohort:{slot}": value for slot, value in cohort.together.items()}
    else:
        section.run(step, **params)
        together = {}
    made = {slot: value for slot, value in section.slots.items() if slot not in before} | together
    found = {slot: summary(value) for slot, value in made.items()}
    pin = PINS / f"{name}.json"
    if os.environ.get("SPATIALRUN_WRITE_PINS"):
        pin.parent.mkdir(exist_ok=True)
        pin.write_text(
            json.dumps({"version": step.version, "outputs": found}, indent=1, sort_keys=True) + "\n"
        )
    pinned = json.loads(pin.read_text())
    assert step.version == pinned["version"], "write the pins again for the new version"
    assert set(found) == set(pinned["outputs"])
    for slot, expected in pinned["outputs"].items():
        assert found[slot] == approximately(expected), f"{slot} moved: raise {type(step).__name__}.version"


def approximately(expected: Any) -> Any:
    if isinstance(expected, dict):
        return {key: approximately(value) for key, value in expected.items()}
    if isinstance(expected, list):
        return [approximately(value) for value in expected]
    return pytest.approx(expected, rel=1e-6, abs=1e-12) if isinstance(expected, float) else expected


def summary(value: Any) -> Any:
    """What a value is, and a few sums that would tell if it moved."""
    if isinstance(value, FileBytes):
        # Pixels depend on the fonts that are there; the figures' own tests look at them.
        return {"suffix": value.suffix}
    if isinstance(value, Path):
        return file_summary(value)
    if isinstance(value, pd.DataFrame):
        columns = {str(name): summary(column.array) for name, column in value.items()}
        return {"rows": [str(name) for name in value.index[:3]], **columns}
    if isinstance(value, dict):
        return {key: summary(part) for key, part in value.items()}
    if isinstance(value, xarray.DataArray):
        return {"dims": list(value.dims), **value.attrs, **summary(value.to_numpy())}
    if sp.issparse(value):
        return {
            "format": value.format,
            "shape": list(value.shape),
            **summary(value.data),
            **sums(value.indices),
        }
    if isinstance(value, pd.Categorical):
        names = [str(name) for name in value.categories]
        return {"categories": names[:9], "distinct": len(names), **sums(value.codes)}
    if isinstance(value, (int, float, str)):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "OUT":
        return {"first": [str(text) for text in array[:3]], "distinct": len(set(array))}
    return {"dtype": str(array.dtype), "shape": list(array.shape), **sums(array)}


def sums(array: Any) -> dict[str, float]:
    """The sum, and one in which the places of values count."""
    numbers = np.asarray(array, dtype=np.float64).ravel()
    known = ~np.isnan(numbers)
    weights = np.cos(np.arange(len(numbers)))
    kind = np.asarray(array).dtype.kind
    return {
        f"sum_{kind}": float(numbers[known].sum()),
        f"turned_{kind}": float(numbers[known] @ weights[known]),
        f"missing_{kind}": int((~known).sum()),
    }


def file_summary(path: Path) -> Any:
    if path.is_dir():
        return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".png":
        return list(imread(path).shape)
    if path.suffix == ".h5mu":
        import mudata

        return str(mudata.read_h5mu(path)).splitlines()
    if path.suffix == ".h5ad":
        import anndata

        return str(anndata.read_h5ad(path)).splitlines()
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter="\t"))
