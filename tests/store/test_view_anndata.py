"""A run's view as AnnData reads it: the slots, nothing else, and no second copy."""

import warnings

import anndata
import numpy as np
import pytest
import zarr
from handmade import N_GENES, N_SPOTS, make_run, sample_slots

from spatialrun.methods.reporter import SILENT
from spatialrun.readers import zarr_store
from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.store.digests import value_digest
from spatialrun.store.view import ANNDATA_GROUPS, INSTANCE_KEY, REGION_KEY, write_view

SAMPLE = "p2-t5"


@pytest.fixture
def slots():
    return sample_slots()


@pytest.fixture
def viewed(store):
    """Write slots as a run's only sample and return the path of its view."""

    def view(slots, **others):
        run = make_run(store, {SAMPLE: slots, **others})
        return store.backend.local(write_view(store, run))

    return view


@pytest.fixture
def view(viewed, slots):
    return viewed(slots)


@pytest.fixture
def table(view):
    return view / "tables" / SAMPLE


def test_the_table_is_the_slots(table, slots):
    adata = anndata.read_zarr(table)
    assert adata.shape == (N_SPOTS, N_GENES)
    assert adata.obs_names.tolist() == slots["axes/obs"].tolist()
    assert adata.var_names.tolist() == slots["axes/var"].tolist()
    assert value_digest(adata.X) == value_digest(slots["layers/lognorm"])
    for slot, value in slots.items():
        group = group_of(slot)
        if group in ("obs", "var") or (group in ANNDATA_GROUPS and slot != "uns/spatial"):
            found = getattr(adata, group)[name_of(slot)]
            assert value_digest(found) == value_digest(value), slot


def test_nothing_else_is_in_the_table(table, slots):
    adata = anndata.read_zarr(table)
    for group in ("obs", "var", *ANNDATA_GROUPS):
        expected = {name_of(slot) for slot in slots if group_of(slot) == group}
        expected |= {REGION_KEY, INSTANCE_KEY} if group == "obs" else set()
        expected |= {"spatialdata_attrs"} if group == "uns" else set()
        assert set(getattr(adata, group)) == expected, group


def test_scale_factors_are_where_scanpy_looks(table, slots):
    assert anndata.read_zarr(table).uns["spatial"] == {SAMPLE: slots["uns/spatial"]}


def test_x_is_counts_where_there_is_no_lognorm(viewed, slots):
    del slots["layers/lognorm"]
    adata = anndata.read_zarr(viewed(slots) / "tables" / SAMPLE)
    assert value_digest(adata.X) == value_digest(slots["layers/counts"])


def test_axes_alone_make_a_table(viewed, slots):
    adata = anndata.read_zarr(viewed({s: slots[s] for s in ("axes/obs", "axes/var")}) / "tables" / SAMPLE)
    assert adata.shape == (N_SPOTS, N_GENES)
    assert adata.X is None


def test_a_sample_that_was_not_read_is_left_out(viewed, slots):
    view = viewed(slots, failed={}, **{COHORT: {"uns/scores": slots["uns/spatialde"]}})
    assert set(zarr.open_group(view, mode="r")["tables"]) == {SAMPLE}


def test_a_run_without_samples_has_an_empty_view(store):
    view = store.backend.local(write_view(store, make_run(store, {})))
    assert set(zarr.open_group(view, mode="r")) == {"tables", "images"}


def test_the_table_opens_lazily(table, slots):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a table within a store is not consolidated by itself
        adata = anndata.experimental.read_lazy(table)
    assert adata.X.chunks
    assert value_digest(adata.X.compute()) == value_digest(slots["layers/lognorm"])
    assert value_digest(adata.layers["counts"].compute()) == value_digest(slots["layers/counts"])
    assert value_digest(adata[:, ["g3", "g1"]].to_memory().layers["counts"]) == value_digest(
        slots["layers/counts"][:, [3, 1]]
    )


def test_large_files_are_links_to_objects(store, view, table):
    refs = store.runs.latest().slots(SAMPLE)
    places = {
        "layers/lognorm": [table / "X", table / "layers/lognorm"],
        "obs/spagcn.domain": [table / "obs/spagcn.domain"],
    }
    places["axes/obs"] = [table / "obs/_index"]
    places["uns/spatial"] = [table / "uns/spatial" / SAMPLE]
    for slot, roots in places.items():
        source = store.backend.local(refs[slot].path)
        files = [file for file in source.rglob("*") if file.is_file()]
        assert files
        for root in roots:
            for file in files:
                assert file.samefile(root / file.relative_to(source))
    pixels = store.backend.local(refs["images/hires"].path) / "0/c"
    chunk = next(file for file in pixels.rglob("*") if file.is_file())
    assert chunk.samefile(view / f"images/{SAMPLE}_hires/0/c" / chunk.relative_to(pixels))


def test_where_links_are_refused_the_view_is_a_copy(viewed, slots, monkeypatch):
    import errno
    import os

    def refuse(source, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    adata = anndata.read_zarr(viewed(slots) / "tables" / SAMPLE)
    assert value_digest(adata.X) == value_digest(slots["layers/lognorm"])


def test_images_are_scaled_to_full_resolution(view, slots):
    images = zarr.open_group(view, mode="r")["images"]
    assert set(images) == {f"{SAMPLE}_hires", f"{SAMPLE}_lowres"}
    node = images[f"{SAMPLE}_hires"]
    (scales,) = node.attrs["ome"]["multiscales"]
    assert scales["coordinateTransformations"][0]["scale"] == [1.0, 4.0, 4.0]
    assert [channel["label"] for channel in node.attrs["ome"]["omero"]["channels"]] == ["r", "g", "b"]
    assert node["0"].metadata.dimension_names == ("c", "y", "x")
    np.testing.assert_array_equal(node["0"][...], slots["images/hires"].to_numpy())


def test_the_root_knows_all_metadata(view):
    root = zarr.open_consolidated(view)
    assert f"tables/{SAMPLE}/layers/counts/data" in root.metadata.consolidated_metadata.flattened_metadata


def test_a_view_is_written_without_warnings_and_can_be_written_again(store, slots):
    run = make_run(store, {SAMPLE: slots})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = write_view(store, run)
        (store.backend.local(first) / "left-over").touch()
        assert write_view(store, run) == first
    assert not store.backend.exists(f"{first}/left-over")


def test_a_view_is_read_as_a_sample(view, slots, tmp_path):
    """``read.zarr`` brings back what lies in the view: the round trip of a run."""
    sample = zarr_store.read(zarr_store.locate(view), tmp_path, reporter=SILENT)
    assert value_digest(sample.counts.tocsc()) == value_digest(slots["layers/counts"])
    assert list(sample.obs_names) == slots["axes/obs"].tolist()
    assert value_digest(sample.spatial) == value_digest(slots["obsm/spatial"])
    hires = slots["images/hires"]
    np.testing.assert_array_equal(sample.images["hires"], hires.to_numpy())
    assert sample.scalefactors["tissue_hires_scalef"] == pytest.approx(hires.attrs["scalef"])
    assert not {REGION_KEY, INSTANCE_KEY} & set(sample.obs)
    columns = {name_of(slot) for slot in slots if group_of(slot) == "obs"}
    assert set(sample.obs) == columns | {"total_counts", "n_genes_by_counts"}
