import shutil
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import zarr
from heard import Heard
from scipy import sparse

from spatialrun.errors import DataError, RecipeError
from spatialrun.methods.reporter import SILENT
from spatialrun.readers import zarr_store


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(zarr_store, "PART", 500)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def adata(sample) -> anndata.AnnData:
    uns = {"spatial": {"section": {"scalefactors": dict(sample.scalefactors)}}}
    obs = sample.obs[["in_tissue", "array_row", "array_col"]].assign(label=pd.Categorical(["a", "b"] * 30))
    return anndata.AnnData(
        X=sample.counts.astype(np.float32).tocsr(),
        obs=obs,
        var=sample.var[["gene_ids"]].copy(),
        obsm={"spatial": sample.spatial, "pca": np.ones((60, 3))},
        uns=uns,
    )


def read(path, tmp_path, reporter=SILENT, **how):
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    located = zarr_store.locate(path, **how)
    found, told = zarr_store.read(located, scratch, reporter=reporter), zarr_store.headers(located)
    assert told.size[:2] == found.shape
    assert set(told.obs) == set(found.obs)
    assert set(told.images) == set(found.images)
    assert set(told.obsm) == {"spatial", *found.obsm}
    return found


def write(adata: anndata.AnnData, path: Path, format: int) -> Path:
    with anndata.settings.override(zarr_write_format=format):
        adata.write_zarr(path)
    return path


@pytest.mark.parametrize("format", [2, 3])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_anndata_of_either_format(adata, sample, tmp_path, format, kind):
    adata.X = adata.X.toarray() if kind == "dense" else adata.X.asformat(kind)
    found = read(write(adata, tmp_path / "a.zarr", format), tmp_path)
    assert (found.counts.tocsc() != sample.counts).nnz == 0
    assert found.counts.tocsc().has_sorted_indices
    assert len(list(tmp_path.glob("scratch/*/*.part"))) > 3
    np.testing.assert_array_equal(found.spatial, sample.spatial)
    assert list(found.obs["label"][:2]) == ["a", "b"]
    assert list(found.obsm) == ["pca"]
    assert dict(found.scalefactors) == dict(sample.scalefactors)
    assert found.obs["total_counts"].sum() == sample.counts.sum()


def spatialdata(adata, image: np.ndarray, path: Path, *, version: str, levels: int = 1) -> Path:
    """A store as spatialdata lays it out: tables, and an image 0.1 times as large as the section."""
    old = version == "0.4"
    root = zarr.open_group(path, mode="w", zarr_format=2 if old else 3)
    root.attrs["spatialdata_attrs"] = {"version": "0.2"}
    root.create_group("tables")
    for name in ("p1", "p2"):
        labelled = adata.copy()
        labelled.obs["region"], labelled.obs["instance"] = pd.Categorical(["x"] * 60), np.arange(60)
        write(labelled, path / "tables" / name, 2 if old else 3)
        table = zarr.open_group(path / "tables" / name, mode="r+")
        table.attrs.update({"region": "x", "region_key": "region", "instance_key": "instance"})
    group = root.create_group("images/p1_hires_image")
    datasets = []
    for level in range(levels):
        group.create_array(str(level), data=np.ascontiguousarray(image[:, :: 2**level, :: 2**level]))
        scale = {"type": "scale", "scale": [1.0, 2.0**level, 2.0**level]}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    axes = [{"name": "c", "type": "channel"}, *({"name": name, "type": "space"} for name in "yx")]
    to_global = {"type": "scale", "scale": [1.0, 10.0, 10.0], "output": {"name": "global"}}
    scales = {"axes": axes, "datasets": datasets, "coordinateTransformations": [to_global], "name": "p1"}
    multiscales = [{**scales, "version": version}]
    group.attrs.update({"multiscales": multiscales} if old else {"ome": {"multiscales": multiscales}})
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5-dev-spatialdata"])
def test_spatialdata_of_either_version(adata, sample, tmp_path, version):
    path = spatialdata(adata, sample.images["hires"], tmp_path / "s.zarr", version=version)
    found = read(path, tmp_path, table="p1")
    assert (found.counts.tocsc() != sample.counts).nnz == 0
    np.testing.assert_array_equal(found.images["hires"], sample.images["hires"])
    assert found.scalefactors["tissue_hires_scalef"] == sample.scalefactors["tissue_hires_scalef"]
    assert not {"region", "instance"} & set(found.obs)
    other = zarr_store.locate(path, table="p2")
    assert other.images == {}
    roles = zarr_store.locate(path, table="p1").files()
    assert any(name.startswith("images/p1_hires_image/0") for name in roles)
    assert not any("p2" in name for name in roles)


def test_scale_from_the_image_s_transformation(adata, sample, tmp_path):
    del adata.uns["spatial"]
    path = spatialdata(adata, sample.images["hires"], tmp_path / "s.zarr", version="0.5")
    assert read(path, tmp_path, table="p1").scalefactors == {"tissue_hires_scalef": pytest.approx(0.1)}


def test_of_a_large_image_a_coarser_level(adata, sample, tmp_path, monkeypatch):
    image = sample.images["hires"]
    path = spatialdata(adata, image, tmp_path / "s.zarr", version="0.5", levels=3)
    monkeypatch.setattr("spatialrun.readers.images.MAX_PIXELS", image[0].size // 2)
    found = read(path, tmp_path, table="p1")
    assert found.images["hires"].shape[2] == -(-image.shape[2] // 2)
    half = found.scalefactors["tissue_hires_scalef"] / sample.scalefactors["tissue_hires_scalef"]
    assert half == pytest.approx(0.5, rel=2e-3)


def test_an_image_that_is_none_of_colours(adata, tmp_path, heard):
    path = spatialdata(adata, np.zeros((1, 20, 20), np.uint16), tmp_path / "s.zarr", version="0.5")
    assert read(path, tmp_path, heard, table="p1").images == {}
    assert heard.warnings == [
        "images/p1_hires_image is left out: it is no image of 8 bits in red, green and blue"
    ]


def test_an_image_that_is_too_large(adata, sample, tmp_path, monkeypatch, heard):
    path = spatialdata(adata, sample.images["hires"], tmp_path / "s.zarr", version="0.5", levels=2)
    monkeypatch.setattr("spatialrun.readers.images.MAX_PIXELS", 100)
    assert read(path, tmp_path, heard, table="p1").images == {}
    assert heard.warnings == ["images/p1_hires_image is left out: it has more than 100 pixels in every level"]


def test_which_table(adata, sample, tmp_path):
    path = spatialdata(adata, sample.images["hires"], tmp_path / "s.zarr", version="0.5")
    with pytest.raises(RecipeError, match="several tables: p1, p2"):
        zarr_store.locate(path)
    with pytest.raises(RecipeError, match="no table 'p3', but p1, p2"):
        zarr_store.locate(path, table="p3")


def test_what_is_no_store(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        zarr_store.locate(tmp_path / "a.zarr")
    with pytest.raises(DataError, match="is not a zarr store"):
        zarr_store.locate(tmp_path)
    zarr.open_group(tmp_path / "b.zarr", mode="w").create_group("thing")
    with pytest.raises(DataError, match="neither an AnnData nor a SpatialData store: it holds thing"):
        zarr_store.locate(tmp_path / "b.zarr")


def test_damage(adata, tmp_path):
    path = write(adata, tmp_path / "a.zarr", 3)
    shutil.rmtree(path / "X" / "indptr")
    with pytest.raises(DataError, match="cannot be read") as raised:
        read(path, tmp_path)
    assert raised.value.code == "data.bad-file"


def test_impossible_counts_are_named(adata, tmp_path):
    adata.X = sparse.csr_matrix(adata.X)
    adata.X.data[3] = -1
    with pytest.raises(DataError, match=r"the count of gene .* in spot .* is -1"):
        read(write(adata, tmp_path / "a.zarr", 3), tmp_path)
