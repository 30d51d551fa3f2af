import errno

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spatialrun.errors import DataError
from spatialrun.readers import h5ad


@pytest.fixture
def adata(sample) -> anndata.AnnData:
    obs = sample.obs[["in_tissue", "array_row", "array_col"]].assign(label=pd.Categorical(["a", "b"] * 30))
    return anndata.AnnData(
        X=sample.counts.astype(np.float32).tocsr(),
        obs=obs,
        var=sample.var[["gene_ids"]].copy(),
        obsm={"spatial": sample.spatial, "pca": np.ones((60, 3))},
        uns={
            "spatial": {
                "section": {
                    "images": {
                        "hires": sample.images["hires"].transpose(1, 2, 0),
                        "lowres": (sample.images["lowres"].transpose(1, 2, 0) / 255).astype(np.float32),
                    },
                    "scalefactors": dict(sample.scalefactors),
                }
            }
        },
    )


def save(adata, tmp_path):
    path = tmp_path / "sample.h5ad"
    adata.write_h5ad(path)
    return path


def test_everything_comes_along(adata, sample, tmp_path):
    path = save(adata, tmp_path)
    found = h5ad.read(path)
    assert (found.counts != sample.counts).nnz == 0
    assert found.counts.dtype == np.int32
    assert found.counts.format == "csc"
    np.testing.assert_array_equal(found.spatial, sample.spatial)
    assert list(found.obsm) == ["pca"]
    assert dict(found.scalefactors) == dict(sample.scalefactors)
    for name in ("hires", "lowres"):
        np.testing.assert_array_equal(found.images[name], sample.images[name])
    told = h5ad.headers(path)
    assert told.size == h5ad.peek(path) == (60, 150, sample.counts.nnz)
    assert told.obs == tuple(found.obs) == (*adata.obs.columns, "total_counts", "n_genes_by_counts")
    assert told.var == tuple(found.var)
    assert told.obsm == ("spatial", "pca")
    assert set(told.images) == {"hires", "lowres"}


@pytest.mark.parametrize("kind", [float, int, str, bool, "category"])
def test_whether_spots_are_in_the_tissue(adata, tmp_path, kind):
    adata.obs["in_tissue"] = [True, False] * 30
    adata.obs["in_tissue"] = adata.obs["in_tissue"].astype(kind)
    assert list(h5ad.read(save(adata, tmp_path)).obs["in_tissue"]) == [True, False] * 30


def test_spots_of_which_it_is_not_said_are_refused(adata, tmp_path):
    """As anndata.concat leaves them where one of the samples had no such column."""
    adata.obs["in_tissue"] = [1.0, np.nan] * 30
    with pytest.raises(DataError, match="of 30 of 60 spots"):
        h5ad.read(save(adata, tmp_path))


def test_order_in_which_counts_are_looked_for(adata, sample, tmp_path):
    logged = adata.X.log1p()
    adata.layers["counts"] = sample.counts.tocsr() * 2
    adata.raw = adata
    adata.X = logged
    assert (h5ad.read(save(adata, tmp_path)).counts != sample.counts * 2).nnz == 0
    del adata.layers["counts"]
    assert (h5ad.read(save(adata, tmp_path)).counts != sample.counts).nnz == 0


def test_raw_brings_its_own_genes(adata, sample, tmp_path):
    adata.raw = adata
    cut = adata[:, :40].copy()
    cut.X = cut.X.log1p()
    path = save(cut, tmp_path)
    found = h5ad.read(path)
    assert found.shape == (60, 150)
    assert list(found.var_names) == list(sample.var_names)
    assert h5ad.headers(path).size.n_genes == 150


def test_raw_that_is_no_counts_is_passed_over(adata, sample, tmp_path):
    logged = adata.copy()
    logged.X = logged.X.log1p()
    adata.raw = logged
    assert (h5ad.read(save(adata, tmp_path)).counts != sample.counts).nnz == 0


def test_dense_counts(adata, sample, tmp_path):
    adata.X = adata.X.toarray()
    path = save(adata, tmp_path)
    assert (h5ad.read(path).counts != sample.counts).nnz == 0
    assert h5ad.peek(path).nnz is None


def test_no_counts_says_what_was_looked_for(adata, tmp_path):
    adata.X = adata.X.log1p()
    path = save(adata, tmp_path)
    for look in (h5ad.headers, h5ad.read):
        with pytest.raises(DataError) as caught:
            look(path)
        assert caught.value.code == "data.counts"
        assert "layers/counts (absent), raw/X (absent), X (not whole numbers)" in caught.value.what


def test_a_layer_called_counts_must_hold_counts(adata, tmp_path):
    layer = adata.X.tolil()
    layer[5, 7] = -3
    adata.layers["counts"] = sparse.csr_matrix(layer)
    with pytest.raises(DataError, match=r"is -3.0: negative") as caught:
        h5ad.read(save(adata, tmp_path))
    assert caught.value.code == "data.counts"
    assert f"gene {adata.var_names[7]} in spot {adata.obs_names[5]}" in caught.value.what
    assert caught.value.where.slot == "layers/counts"


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("array_col", "array_row")])
def test_coordinates_from_columns(adata, tmp_path, x, y):
    del adata.obsm["spatial"]
    adata.obs = adata.obs.drop(columns=["array_row", "array_col"]).assign(
        **{x: np.arange(60.0), y: np.arange(60.0) * 2}
    )
    warnings: list[str] = []
    found = h5ad.read(save(adata, tmp_path), warn=warnings.append)
    np.testing.assert_array_equal(found.spatial, np.outer(np.arange(60), [1, 2]))
    assert len(warnings) == 1


def test_no_coordinates(adata, tmp_path):
    del adata.obsm["spatial"]
    adata.obs = adata.obs.drop(columns=["array_row", "array_col"])
    with pytest.raises(DataError) as caught:
        h5ad.read(save(adata, tmp_path))
    assert caught.value.code == "data.coordinates"


def test_totals_of_the_file_are_replaced(adata, sample, tmp_path):
    adata.obs["total_counts"] = -1.0
    path = save(adata, tmp_path)
    found = h5ad.read(path)
    np.testing.assert_array_equal(found.obs["total_counts"], sample.obs["total_counts"])
    assert h5ad.headers(path).obs == tuple(found.obs)


def test_several_libraries_bring_no_image(adata, tmp_path):
    adata.uns["spatial"]["other"] = adata.uns["spatial"]["section"]
    path = save(adata, tmp_path)
    assert h5ad.read(path).images == {}
    assert h5ad.headers(path).images == ()


def test_missing_and_damaged_files(adata, tmp_path):
    path = save(adata, tmp_path)
    with pytest.raises(DataError, match=r"Did you mean .*sample\.h5ad") as caught:
        h5ad.locate(tmp_path / "sampel.h5ad")
    assert caught.value.code == "data.missing-file"
    path.write_bytes(path.read_bytes()[:5000])
    for look in (h5ad.headers, h5ad.read):
        with pytest.raises(DataError) as caught:
            look(path)
        assert caught.value.code == "data.bad-file"


@pytest.mark.parametrize("look", [h5ad.headers, h5ad.read])
def test_files_of_other_kinds_are_for_other_readers(tmp_path, look):
    for name in ("counts.csv", "counts.tsv.gz", "counts.TXT"):
        (tmp_path / name).write_text("spot,gene\na,1\n")
        with pytest.raises(DataError, match=f"{name} is no HDF5 file") as caught:
            look(tmp_path / name)
        assert (caught.value.code, "read.table" in caught.value.hint) == ("data.bad-file", True)
    (tmp_path / "other.h5ad").write_text("neither")
    with pytest.raises(DataError, match=r"other\.h5ad is no HDF5 file") as caught:
        look(tmp_path / "other.h5ad")
    assert "another kind" in caught.value.hint
    (tmp_path / "near.h5ad").mkdir()
    with pytest.raises(DataError, match=r"is a folder, not an \.h5ad file") as caught:
        look(tmp_path / "near.h5ad")
    assert caught.value.code == "data.missing-file"
    assert "read.visium" in caught.value.hint
    assert "read.zarr" in caught.value.hint


def test_files_that_may_not_be_read_are_not_called_damaged(adata, tmp_path, monkeypatch):
    path = save(adata, tmp_path)

    def refused(*_, **__):
        raise PermissionError(errno.EACCES, "Unable to synchronously open file (errno = 13)")

    monkeypatch.setattr(h5py, "File", refused)
    with pytest.raises(DataError, match="cannot be read: permission denied") as caught:
        h5ad.headers(path)
    assert (caught.value.code, caught.value.hint) == ("data.bad-file", "check the file's mode")


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("eevee_visium_breast/eevee_visium_breast.h5ad", (709, 18037)),
        ("spatialde_mob_rep11/spatialde_mob_rep11.h5ad", (262, 16218)),
    ],
)
def test_real_files(data, path, shape):
    found, told = h5ad.read(data / path), h5ad.headers(data / path)
    assert found.shape == shape == told.size[:2]
    assert told.size.nnz == found.counts.nnz
    assert told.obs == tuple(found.obs)
    assert (found.obs["total_counts"] > 0).all()
