"""The images of a SpatialData store: which are a table's, what they are called, how they lie under its spots."""

from pathlib import Path

import anndata
import numpy as np
import pytest
from heard import Heard
from spatialdata_store import DATASET, SQUARES, Store, scaled, to, visium_hd

from spatialrun.readers import zarr_images, zarr_store


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def bare(sample) -> anndata.AnnData:
    """A table as spatialdata-io makes it: nothing in uns; its spots lie within 900 x 900 pixels."""
    spread = sample.spatial - sample.spatial.min(axis=0)
    return anndata.AnnData(
        X=sample.counts.astype(np.float32).tocsr(),
        obs=sample.obs[["in_tissue", "array_row", "array_col"]].copy(),
        var=sample.var[["gene_ids"]].copy(),
        obsm={"spatial": 20.0 + spread * (850.0 / spread.max())},
    )


def read(path: Path, tmp_path: Path, heard: Heard, **how):
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    located = zarr_store.locate(path, **how)
    found = zarr_store.read(located, scratch, reporter=heard)
    assert set(zarr_store.headers(located).images) == set(found.images)
    return found


@pytest.fixture
def marked(bare) -> dict[str, np.ndarray]:
    """A section's images, white where a spot's centre is."""
    images = {}
    for name, scalef, side in (("full", 1.0, 900), ("hires", 0.1, 90), ("lowres", 0.05, 45)):
        images[name] = np.zeros((3, side, side), np.uint8)
        column, row = np.floor(bare.obsm["spatial"] * scalef).astype(int).T
        images[name][:, row, column] = 255
    return images


def check_places(found) -> None:
    """Every spot lies on a white pixel of every image."""
    for name, pixels in found.images.items():
        column, row = (
            np.floor(found.spatial * found.scalefactors[f"tissue_{name}_scalef"] + 1e-9).astype(int).T
        )
        assert (pixels[:, row, column] == 255).all(), name


@pytest.mark.parametrize("format", [2, 3])
@pytest.mark.parametrize(("tables", "dataset"), [(SQUARES, DATASET), (SQUARES[1:2], DATASET), (SQUARES, "")])
def test_visium_hd_of_spatialdata_io(bare, marked, tmp_path, format, tables, dataset, heard):
    path = visium_hd(bare, marked, tmp_path / "s.zarr", format, tables, dataset)
    found = read(path, tmp_path, heard, table="square_008um")
    assert set(found.images) == {"full", "hires", "lowres"}
    assert found.scalefactors == {
        "tissue_full_scalef": pytest.approx(1.0),
        "tissue_hires_scalef": pytest.approx(0.1),
        "tissue_lowres_scalef": pytest.approx(0.05),
    }
    check_places(found)
    assert heard.warnings == []
    roles = zarr_store.locate(path, table="square_008um").files()
    about = f"shapes/{dataset}_square_008um/" + ("zarr.json" if format == 3 else ".zattrs")
    assert about in roles  # where the spots lie decides the images' scale
    assert not any(name.endswith(".parquet") or "016" in name for name in roles)


@pytest.mark.parametrize("format", [2, 3])
@pytest.mark.parametrize("system", ["global", "ST8059048"])
def test_visium_of_spatialdata_io(bare, marked, tmp_path, format, system, heard):
    """Older versions have global coordinates, newer ones those of the dataset."""
    store = Store(tmp_path / "s.zarr", format)
    prefix = "" if system == "global" else f"{system}_"
    store.table(bare, "table", "ST8059048")
    down = to(f"{prefix}downscaled_hires", scaled(0.1, "xy"))
    store.shapes("ST8059048", [down, to(system, {"type": "identity"})])
    own = to(f"{prefix}downscaled_hires", {"type": "identity"}, "cyx")
    up = to(system, scaled(10.0, "cyx"), "cyx")
    store.image("ST8059048_hires_image", marked["hires"], [own, up])
    found = read(tmp_path / "s.zarr", tmp_path, heard)
    assert found.scalefactors == {"tissue_hires_scalef": pytest.approx(0.1)}
    check_places(found)
    assert heard.warnings == []


def test_sections_side_by_side_have_their_own_images(bare, marked, tmp_path, heard):
    """By name where a name tells, also where one is the other's beginning; else by their coordinates."""
    store = Store(tmp_path / "s.zarr", 3)
    for name, system in (("p1", "global"), ("p1_b", "global"), ("c", "space of c")):
        store.table(bare, name, f"{name}_spots")
        store.shapes(f"{name}_spots", [to(system, {"type": "identity"})])
    hires = marked["hires"]
    for name in ("p1_hires", "p1_b_hires"):
        store.image(name, hires, [to("global", scaled(10.0, "cyx"), "cyx")])
    store.image("stained", hires, [to("space of c", scaled(10.0, "cyx"), "cyx")])
    located = {name: zarr_store.locate(store.path, table=name) for name in ("p1", "p1_b", "c")}
    assert {name: dict(one.images) for name, one in located.items()} == {
        "p1": {"hires": "images/p1_hires"},
        "p1_b": {"hires": "images/p1_b_hires"},
        "c": {"stained": "images/stained"},
    }
    check_places(read(store.path, tmp_path, heard, table="c"))
    assert heard.warnings == []


def test_an_image_that_no_table_is_known_to_have(bare, marked, tmp_path, heard):
    store = Store(tmp_path / "s.zarr", 3)
    for name in ("p1", "p2"):
        store.table(bare, name, "lost")
    store.image("stained", marked["hires"], [to("global", scaled(10.0, "cyx"), "cyx")])
    assert read(store.path, tmp_path, heard, table="p1").images == {}
    assert heard.warnings == [
        "images/stained is left out: nothing tells which of the tables p1, p2 it belongs to"
    ]


WAYS = {
    "a scale": (scaled(10.0, "cyx"), None),
    "an affine that is a scale": (
        {"type": "affine", "affine": [[1.0, 0, 0, 0], [0, 10.0, 0, 0], [0, 0, 10.0, 0]]},
        None,
    ),
    "two scales": (
        {"type": "sequence", "transformations": [scaled(5.0, "cyx"), scaled(2.0, "cyx")]},
        None,
    ),
    "turned": (
        {"type": "affine", "affine": [[1.0, 0, 0, 0], [0, 0, -10.0, 900.0], [0, 10.0, 0, 0]]},
        "it is shifted, turned or stretched against the spots",
    ),
    "shifted": (
        {
            "type": "sequence",
            "transformations": [{"type": "translation", "translation": [0, 20.0, 0]}, scaled(10.0, "cyx")],
        },
        "it is shifted, turned or stretched against the spots",
    ),
    "stretched": (
        {"type": "scale", "scale": [1.0, 10.0, 12.0]},
        "it is shifted, turned or stretched against the spots",
    ),
    "flat": ({"type": "scale", "scale": [1.0, 0.0, 10.0]}, "its transformation cannot be reversed"),
    "odd": ({"type": "displacements"}, "its transformation is of a kind that is not known"),
}


@pytest.mark.parametrize("way", WAYS)
def test_only_an_image_that_can_be_placed_is_read(bare, marked, tmp_path, way, heard):
    how, why = WAYS[way]
    store = Store(tmp_path / "s.zarr", 3)
    store.table(bare, "table", "spots")
    store.shapes("spots", [to("global", {"type": "identity"})])
    store.image("hires", marked["hires"], [to("global", how, "cyx")])
    found = read(store.path, tmp_path, heard)
    assert heard.warnings == ([f"images/hires is left out: {why}"] if why else [])
    assert found.scalefactors == ({} if why else {"tissue_hires_scalef": pytest.approx(0.1)})
    assert set(found.images) == (set() if why else {"hires"})


def test_a_section_that_is_turned_with_its_image(bare, marked, tmp_path, heard):
    """As aligned sections are: what counts is how the image lies under the spots."""
    store = Store(tmp_path / "s.zarr", 3)
    store.table(bare, "table", "spots")
    turned = {"type": "affine", "affine": [[0.0, 1.0, 7.0], [-1.0, 0.0, 900.0]]}
    store.shapes("spots", [to("global", turned)])
    both = [scaled(10.0, "cyx"), {"type": "affine", "affine": [[1, 0, 0, 0], [0, 0, -1, 900], [0, 1, 0, 7]]}]
    store.image(
        "hires", marked["hires"], [to("global", {"type": "sequence", "transformations": both}, "cyx")]
    )
    check_places(read(store.path, tmp_path, heard))
    assert heard.warnings == []


def test_where_the_scale_factors_are_told_they_count(bare, marked, tmp_path, heard):
    bare.uns["spatial"] = {"section": {"scalefactors": {"tissue_hires_scalef": 0.2}}}
    store = Store(tmp_path / "s.zarr", 3)
    store.table(bare, "table", "spots")
    store.image("hires", marked["hires"], [to("elsewhere", WAYS["turned"][0], "cyx")])
    found = read(store.path, tmp_path, heard)
    assert found.scalefactors == {"tissue_hires_scalef": 0.2}
    # But no scale factor tells that a part was cut out of the image.
    store.shapes("spots", [to("elsewhere", {"type": "identity"})])
    assert read(store.path, tmp_path, heard).images == {}
    assert heard.warnings == [
        "images/hires is left out: it is shifted, turned or stretched against the spots"
    ]
    assert set(found.images) == {"hires"}


def test_images_without_the_spots_shapes(bare, marked, tmp_path, heard):
    """The coordinates that all images have are the spots'; where there are several or none, nothing is known."""
    store = Store(tmp_path / "s.zarr", 3)
    store.table(bare, "table", ["left", "right"])
    for kind, factor in (("hires", 0.1), ("lowres", 0.05)):
        own = to(f"downscaled_{kind}", {"type": "identity"}, "cyx")
        store.image(f"x_{kind}_image", marked[kind], [own, to("x", scaled(1 / factor, "cyx"), "cyx")])
    found = read(store.path, tmp_path, heard)
    assert set(found.images) == {"hires", "lowres"}
    check_places(found)
    assert heard.warnings == []
    store.image("y_hires_image", marked["hires"], [to("y", {"type": "identity"}, "cyx")])
    assert read(store.path, tmp_path, heard).images == {}
    assert heard.warnings == [
        f"images/{name} is left out: it shares no coordinate system with the spots"
        for name in ("x_hires_image", "x_lowres_image", "y_hires_image")
    ]
    assert set(zarr_store.locate(store.path).images) == {"x_hires", "lowres", "y_hires"}


def test_names_that_several_images_could_have():
    names = zarr_images._names(["p1_hires", "qc_hires", "he_image", "a_full_image"], {"p1_"})
    assert names == {"hires": "p1_hires", "qc_hires": "qc_hires", "he": "he_image", "full": "a_full_image"}
    assert zarr_images._names(["p1_he", "p1_he_image"], {"p1_"}) == {
        "he": "p1_he",
        "p1_he_image": "p1_he_image",
    }
