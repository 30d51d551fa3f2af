from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from memory import Section
from pydantic import ValidationError
from spatialdata_store import visium_hd

from spatialrun.errors import DataError, RecipeError
from spatialrun.methods.simulate import simulate_visium_hd
from spatialrun.readers import visium_hd_writer
from spatialrun.steps import catalogue
from spatialrun.steps.contract import Site, parameter_names

Unread = Callable[[Path | None], Section]

COMMON = {
    "axes/obs",
    "axes/var",
    "layers/counts",
    "obs/total_counts",
    "obs/n_genes_by_counts",
    "obsm/spatial",
    "uns/spatial",
}


def test_visium(unread: Unread, files: Path, section: Section) -> None:
    read = unread(files / "outs")
    read.run(catalogue.get("read.visium"), in_tissue=False)
    assert set(read.slots) >= COMMON | {"obs/in_tissue", "var/gene_ids", "images/hires", "images/lowres"}
    for slot in ("layers/counts", "obsm/spatial", "axes/obs", "axes/var", "obs/array_row", "images/hires"):
        found, expected = read.slots[slot], section.slots[slot]
        if slot == "layers/counts":
            found, expected = found.toarray(), expected.toarray()
        np.testing.assert_array_equal(found, expected, err_msg=slot)
    assert read.slots["layers/counts"].format == "csc"
    assert read.slots["layers/counts"].dtype == np.int32
    assert read.slots["images/hires"].attrs == {"scalef": pytest.approx(0.1)}
    assert read.slots["uns/spatial"]["scalefactors"] == section.slots["uns/spatial"]["scalefactors"]
    assert isinstance(read.slots["var/feature_types"], pd.Categorical)


def test_visium_filters_and_counts_again(unread: Unread, files: Path) -> None:
    read = unread(files / "outs")
    context = read.run(catalogue.get("read.visium"), min_counts=1, exclude_genes="(?i)^mt-")
    assert read.slots["layers/counts"].shape == (94, 58)
    assert context.logs == ["94 of 96 spots, 58 of 60 genes"]
    np.testing.assert_array_equal(
        read.slots["obs/total_counts"], np.asarray(read.slots["layers/counts"].sum(axis=1)).ravel()
    )


@pytest.mark.parametrize(
    ("name", "params"), [("read.visium", {"genes": "(MT-"}), ("read.table", {"exclude_genes": "["})]
)
def test_impossible_patterns(name: str, params: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        catalogue.get(name).Params(**params)


def test_filters_are_late(files: Path) -> None:
    step = catalogue.get("read.visium")
    assert parameter_names(step.Params, "late") == set(step.Params.model_fields) - {"matrix", "unplaced"}


def test_visium_size_from_headers(files: Path) -> None:
    step = catalogue.get("read.visium")
    shape = step.peek(step.Params(), Site(path=files / "outs"))
    assert shape is not None
    assert (shape.n_obs, shape.n_vars) == (96, 60)
    assert shape.nnz > 0


def test_visium_without_the_folder(unread: Unread, files: Path) -> None:
    with pytest.raises(DataError) as error:
        unread(files / "otus").run(catalogue.get("read.visium"))
    assert error.value.code == "data.missing-file"


def test_visium_reads_what_was_simulated(unread: Unread) -> None:
    section = unread(None)
    step = catalogue.get("read.visium")
    assert step.peek(step.Params(), Site()) is None
    section.run(catalogue.get("simulate.visium"), n_spots=40, n_genes=30, n_svg=4, image_size=64)
    assert set(section.slots) == {"files/spaceranger", "uns/truth.spots", "uns/truth.genes"}
    section.run(step)
    spots, genes = section.slots["uns/truth.spots"], section.slots["uns/truth.genes"]
    assert list(spots.index) == list(section.slots["axes/obs"])
    assert list(genes.index) == list(section.slots["axes/var"])
    assert isinstance(spots["domain"].dtype, pd.CategoricalDtype)


def test_h5ad(unread: Unread, files: Path) -> None:
    read = unread(files / "section.h5ad")
    read.run(catalogue.get("read.h5ad"), in_tissue=False)
    assert set(read.slots) >= COMMON | {"obs/leiden", "var/hvg", "var/gene_ids", "obsm/pca"}
    assert isinstance(read.slots["obs/leiden"], pd.Categorical)


def test_h5ad_leaves_out_what_is_written_anew(unread: Unread, files: Path) -> None:
    read = unread(files / "section.h5ad")
    read.run(catalogue.get("read.h5ad"), skip=["var/*", "obsm/*", "obs/total_counts"])
    assert "var/hvg" not in read.slots
    assert "obsm/pca" not in read.slots
    assert set(read.slots) >= COMMON


def test_h5ad_needs_a_path(unread: Unread) -> None:
    with pytest.raises(RecipeError) as error:
        unread(None).run(catalogue.get("read.h5ad"))
    assert error.value.code == "recipe.missing-key"


def test_table(unread: Unread, files: Path, section: Section) -> None:
    read = unread(files / "counts.csv")
    read.run(catalogue.get("read.table"), coordinates="places.csv")
    np.testing.assert_array_equal(read.slots["obsm/spatial"], section.slots["obsm/spatial"])
    np.testing.assert_array_equal(
        read.slots["layers/counts"].toarray(), section.slots["layers/counts"].toarray()
    )


@pytest.mark.parametrize(
    ("path", "n_spots"), [("dlpfc_151673/outs", 3639), ("visium_mouse_cytassist/outs", 2898)]
)
def test_real_folders(data: Path, unread: Unread, path: str, n_spots: int) -> None:
    step = catalogue.get("read.visium")
    shape = step.peek(step.Params(), Site(path=data / path))
    assert shape is not None
    assert shape.n_obs == n_spots
    read = unread(data / path)
    read.run(step)
    assert read.slots["layers/counts"].shape[0] == n_spots


def test_visium_hd_reads_what_was_simulated(unread: Unread) -> None:
    section = unread(None)
    section.run(catalogue.get("simulate.visium_hd"), n_bins=300, n_genes=40, n_svg=4, image_size=64)
    context = section.run(catalogue.get("read.visium_hd"), bin_um=16, min_spots=3)
    assert section.slots["layers/counts"].shape[0] < 100
    assert context.logs[0] == "bins are 2 x 2 of those of 8 µm"
    assert set(section.slots) >= COMMON | {"obs/array_row", "images/hires", "uns/truth.spots"}


def test_visium_hd_s_filters_are_late() -> None:
    step = catalogue.get("read.visium_hd")
    filters = {"in_tissue", "min_counts", "min_genes", "min_spots", "genes", "exclude_genes"}
    assert parameter_names(step.Params, "late") == filters
    assert "images/hires" in step.headers(step.Params(), Site()).slots


@pytest.mark.parametrize("um", [2, 8])
def test_visium_hd_needs_memory_for_the_bins_that_it_reads(tmp_path: Path, um: int) -> None:
    """However many of them make one; the steps after it work on those that they make."""
    bins = simulate_visium_hd(n_bins=500, n_genes=20, n_svg=2, image_size=64, bin_um=um)
    step, site = catalogue.get("read.visium_hd"), Site(path=visium_hd_writer.write(bins, tmp_path))
    for coarse in (um, 16, 48):
        params = step.Params(bin_um=coarse)
        shape = step.peek(params, site)
        assert shape is not None
        assert (shape.n_obs, shape.n_vars) == (-(-500 // (coarse // um) ** 2), 20)
        assert shape.nnz <= shape.n_obs * shape.n_vars
        assert step.memory(shape, params) == 1_000_000_000 + 300 * 500


def test_real_visium_hd_reads_and_is_drawn(unread: Unread, data: Path) -> None:
    section = unread(data / "mini_visiumio" / "binned_outputs")
    context = section.run(catalogue.get("read.visium_hd"))
    assert context.warnings == ["the matrix holds no count at all"]
    assert section.slots["layers/counts"].shape == (10, 10)
    section.run(catalogue.get("plot.spatial"), color="total_counts", shape="square", crop="image")
    assert len(section.slots["figures/spatial"].content) > 20_000


def test_zarr_without_the_store(unread: Unread, files: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        unread(files / "none.zarr").run(catalogue.get("read.zarr"))
    with pytest.raises(RecipeError, match="needs the sample's file"):
        unread(None).run(catalogue.get("read.zarr"))


@pytest.mark.parametrize("format", [2, 3])
def test_visium_hd_of_spatialdata_io_is_drawn_on_its_image(
    unread: Unread, files: Path, section: Section, format: int
) -> None:
    """The picture is the same as that of the same spots read from Space Ranger's folder."""
    images = {name: section.slots[f"images/{name}"].to_numpy() for name in ("hires", "lowres")}
    images["full"] = images["hires"].repeat(10, axis=1).repeat(10, axis=2)
    adata = anndata.read_h5ad(files / "section.h5ad")
    figures = {}
    for name, path, params in (
        ("read.visium", files / "outs", {}),
        ("read.zarr", visium_hd(adata, images, files / "hd.zarr", format), {"table": "square_008um"}),
    ):
        read = unread(path)
        context = read.run(catalogue.get(name), **params)
        assert context.warnings == []
        assert read.slots["images/hires"].attrs == {"scalef": pytest.approx(0.1)}
        read.run(
            catalogue.get("plot.spatial"), color="GENE1", crop="image", ptsize=8, scale_bar=False, dpi=60
        )
        figures[name] = read.slots["figures/spatial"].content
    assert figures["read.zarr"] == figures["read.visium"]
