"""Every layout of Space Ranger, written here from one simulated section; then the real folders."""

import gzip
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spatialrun.errors import DataError
from spatialrun.readers import spaceranger, spaceranger_writer
from spatialrun.readers.positions import COLUMNS
from spatialrun.readers.sample import Sample
from spatialrun.readers.spaceranger import SpaceRangerFiles, headers, locate, peek


def read(path, **options) -> Sample:
    return spaceranger.read(locate(path), **options)


def assert_same(found: Sample, expected: Sample) -> None:
    assert found.counts.dtype == expected.counts.dtype == np.int32
    assert found.counts.format == "csc"
    assert found.counts.has_sorted_indices
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(found.counts, part), getattr(expected.counts, part))
    pd.testing.assert_frame_equal(found.obs, expected.obs, check_names=False)
    pd.testing.assert_frame_equal(found.var, expected.var, check_names=False)
    np.testing.assert_array_equal(found.spatial, expected.spatial)
    assert dict(found.scalefactors) == dict(expected.scalefactors)
    assert set(found.images) == set(expected.images)
    for name, image in expected.images.items():
        np.testing.assert_array_equal(found.images[name], image)


@pytest.fixture
def folder(sample, tmp_path) -> Path:
    """The folder above ``outs``, with h5 and mtx."""
    spaceranger_writer.write(sample, tmp_path / "run", mtx=True)
    return tmp_path / "run"


def headerless(positions: Path) -> None:
    table = pd.read_csv(positions, float_precision="round_trip")
    table.to_csv(positions.with_name("tissue_positions_list.csv"), index=False, header=False)
    positions.unlink()


def headed_under_old_name(positions: Path) -> None:
    positions.rename(positions.with_name("tissue_positions_list.csv"))


def parquet(positions: Path) -> None:
    pd.read_csv(positions, float_precision="round_trip").to_parquet(
        positions.with_name("tissue_positions.parquet")
    )
    positions.unlink()


def whole_slide(positions: Path) -> None:
    """More spots than the matrix has, in another order, as Space Ranger writes them."""
    table = pd.read_csv(positions, float_precision="round_trip")
    others = table.assign(barcode="T" + table["barcode"], in_tissue=0)
    pd.concat([others, table[::-1]]).to_csv(positions, index=False)


@pytest.mark.parametrize("relayout", [headerless, headed_under_old_name, parquet, whole_slide])
def test_positions_in_every_format(folder, sample, relayout):
    relayout(folder / "outs/spatial/tissue_positions.csv")
    found = read(folder)
    assert_same(found, sample)


@pytest.mark.parametrize("inner", ["", "outs"])
def test_outs_or_the_folder_above(folder, sample, inner):
    assert_same(read(folder / inner), sample)


def unzip(folder: Path) -> None:
    for zipped in folder.glob("*.gz"):
        zipped.with_suffix("").write_bytes(gzip.decompress(zipped.read_bytes()))
        zipped.unlink()


def cell_ranger_2(folder: Path) -> None:
    unzip(folder)
    features = pd.read_csv(folder / "features.tsv", sep="\t", header=None)
    features[[0, 1]].to_csv(folder / "genes.tsv", sep="\t", header=False, index=False)
    (folder / "features.tsv").unlink()


def plain_text_called_gz(folder: Path) -> None:
    for zipped in folder.glob("*.gz"):
        zipped.write_bytes(gzip.decompress(zipped.read_bytes()))


def quoted(folder: Path) -> None:
    unzip(folder)
    lines = (folder / "features.tsv").read_text().splitlines()
    text = "\n".join("\t".join(f'"{field}"' for field in line.split("\t")) for line in lines)
    (folder / "features.tsv").write_text(text)


@pytest.mark.parametrize("relayout", [lambda _: None, unzip, cell_ranger_2, plain_text_called_gz, quoted])
def test_matrix_market_in_every_form(folder, sample, relayout):
    (folder / "outs/filtered_feature_bc_matrix.h5").unlink()
    relayout(folder / "outs/filtered_feature_bc_matrix")
    files = locate(folder)
    assert set(files.roles()) >= {"matrix", "features", "barcodes"}
    assert_same(spaceranger.read(files), replace(sample, var=sample.var.drop(columns="genome")))
    assert headers(files).var == ("gene_ids", "feature_types")
    assert peek(files) == (*sample.shape, sample.counts.nnz)


def test_auto_takes_filtered_else_raw(folder, sample):
    outs = folder / "outs"
    raw = outs / "raw_feature_bc_matrix.h5"
    shutil.copy(outs / "filtered_feature_bc_matrix.h5", raw)
    assert locate(folder).matrix.name == "filtered_feature_bc_matrix.h5"
    assert locate(folder, matrix="raw").matrix == raw
    shutil.rmtree(outs / "filtered_feature_bc_matrix")
    (outs / "filtered_feature_bc_matrix.h5").unlink()
    assert_same(read(folder), sample)
    with pytest.raises(DataError) as caught:
        locate(folder, matrix="filtered")
    assert caught.value.code == "data.missing-file"
    assert "raw_feature_bc_matrix.h5" in caught.value.hint


@pytest.mark.parametrize("missing", [("hires",), ("lowres",), ("hires", "lowres")])
def test_images_are_optional(folder, sample, missing):
    for name in missing:
        (folder / f"outs/spatial/tissue_{name}_image.png").unlink()
    found = read(folder)
    kept = {name: image for name, image in sample.images.items() if name not in missing}
    assert_same(found, replace(sample, images=kept))
    assert headers(locate(folder)).images == tuple(kept)


def test_headers_tell_what_reading_brings(folder):
    files = locate(folder)
    told, found = headers(files), read(folder)
    assert told.size == (*found.shape, found.counts.nnz)
    assert (told.obs, told.var) == (tuple(found.obs), tuple(found.var))
    assert told.images == tuple(found.images)
    assert told.slots[:3] == ("layers/counts", "obs/in_tissue", "obs/array_row")


def test_files_rebuild_from_their_roles(folder):
    files = locate(folder)
    assert SpaceRangerFiles(**files.roles()) == files
    assert list(files.roles()) == ["matrix", "positions", "scalefactors", "hires", "lowres"]


def test_locating_imports_nothing_heavy(folder):
    code = (
        f"import sys; from spatialrun.readers import spaceranger as s; s.locate({str(folder)!r});"
        "print([m for m in ('numpy', 'pandas', 'scipy', 'h5py', 'PIL', 'anndata') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def edit_hdf5(folder: Path, **datasets) -> None:
    with h5py.File(folder / "outs/filtered_feature_bc_matrix.h5", "a") as file:
        for name, values in datasets.items():
            path = f"matrix/{name}" if name in file["matrix"] else f"matrix/features/{name}"
            del file[path]
            file[path] = values


def stored(folder: Path, name: str) -> np.ndarray:
    with h5py.File(folder / "outs/filtered_feature_bc_matrix.h5") as file:
        return file["matrix"][name][:]


def test_barcodes_stay_as_they_are_without_their_number(folder, sample):
    bare = [name.removesuffix("-1") for name in sample.obs_names]
    edit_hdf5(folder, barcodes=np.array(bare, dtype="S"))
    found = read(folder)
    assert list(found.obs_names) == bare
    np.testing.assert_array_equal(found.spatial, sample.spatial)


def test_repeated_symbols_are_told_apart_with_a_warning(folder, sample):
    names = list(sample.var_names)
    edit_hdf5(folder, name=np.array([names[0], names[0], *names[2:]], dtype="S"))
    warnings: list[str] = []
    found = read(folder, warn=warnings.append)
    assert list(found.var_names) == [names[0], f"{names[0]}-1", *names[2:]]
    assert list(found.var["gene_ids"]) == list(sample.var["gene_ids"])
    assert len(warnings) == 1
    assert names[0] in warnings[0]


def test_only_gene_expression_is_read(folder, sample):
    kinds = ["Antibody Capture"] * 5 + ["Gene Expression"] * (sample.shape[1] - 5)
    edit_hdf5(folder, feature_type=np.array(kinds, dtype="S"))
    warnings: list[str] = []
    found = read(folder, warn=warnings.append)
    assert list(found.var_names) == list(sample.var_names[5:])
    assert (found.counts != sample.counts[:, 5:]).nnz == 0
    np.testing.assert_array_equal(found.obs["total_counts"], found.counts.sum(axis=1).A1)
    assert "Antibody Capture" in warnings[0]


def test_stored_zeros_and_floats_give_the_same_counts(folder, sample):
    edit_hdf5(folder, data=stored(folder, "data").astype(np.float64))
    assert_same(read(folder), sample)
    data = stored(folder, "data")
    data[:4] = 0
    edit_hdf5(folder, data=data)
    found = read(folder)
    assert found.counts.nnz == sample.counts.nnz - 4


def test_transparent_pixels_become_white(folder):
    path = folder / "outs/spatial/tissue_hires_image.png"
    image = Image.open(path).convert("RGBA")
    image.putpixel((3, 5), (0, 0, 0, 0))
    image.save(path)
    hires = read(folder).images["hires"]
    assert hires.shape[0] == 3
    assert hires[:, 5, 3].tolist() == [255, 255, 255]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


H5, MTX, SPATIAL = "outs/filtered_feature_bc_matrix.h5", "outs/filtered_feature_bc_matrix", "outs/spatial"


@pytest.mark.parametrize(
    ("remove", "named"),
    [
        (f"{SPATIAL}/tissue_positions.csv", "tissue_positions_list.csv"),
        (f"{SPATIAL}/scalefactors_json.json", "scalefactors_json.json"),
        (SPATIAL, "no folder spatial/"),
    ],
)
def test_missing_files_are_found_before_anything_is_read(folder, remove, named):
    path = folder / remove
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError) as caught:
        locate(folder)
    assert caught.value.code == "data.missing-file"
    assert named in str(caught.value)
    assert caught.value.hint


def test_a_misspelt_or_wrong_level_of_folder_is_suggested(folder):
    for path, suggestion in [
        (folder.with_name("rum"), "run"),
        (folder.parent, "run"),
        (folder / SPATIAL, "outs"),
        (folder / H5, "folder"),
    ]:
        with pytest.raises(DataError) as caught:
            locate(path)
        assert caught.value.code == "data.missing-file"
        assert suggestion in caught.value.hint


def test_visium_hd_points_to_its_own_reader(tmp_path):
    (tmp_path / "binned_outputs/square_008um/spatial").mkdir(parents=True)
    with pytest.raises(DataError, match=r"read\.visium_hd"):
        locate(tmp_path)


@pytest.mark.parametrize("spoil", [truncate, lambda path: path.write_text("no matrix")])
def test_damaged_h5(folder, spoil):
    spoil(folder / H5)
    files = locate(folder)
    for look in (spaceranger.read, headers):
        with pytest.raises(DataError) as caught:
            look(files)
        assert caught.value.code == "data.bad-file"
        assert caught.value.where.file == str(folder / H5)


def test_h5_with_other_groups(folder):
    with h5py.File(folder / H5, "a") as file:
        file.move("matrix", "GRCh38")
    with pytest.raises(DataError, match="GRCh38") as caught:
        read(folder)
    assert caught.value.code == "data.bad-file"


@pytest.mark.parametrize("name", ["indices", "indptr", "barcodes"])
def test_h5_whose_parts_do_not_fit(folder, name):
    values = stored(folder, name)
    if name == "barcodes":
        edit_hdf5(folder, barcodes=values[:-1])
    else:
        values[len(values) // 2] = 10**6
        edit_hdf5(folder, **{name: values})
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.code == "data.bad-file"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: truncate(folder / "matrix.mtx.gz"),
        lambda folder: (folder / "matrix.mtx.gz").write_text(
            "%%MatrixMarket matrix array real general\n1 1\n1\n"
        ),
        lambda folder: (folder / "matrix.mtx.gz").write_text(
            "%%MatrixMarket matrix coordinate pattern symmetric\n10 10 0\n"
        ),
        lambda folder: (folder / "barcodes.tsv.gz").write_text("AAAC-1\n"),
        lambda folder: (folder / "features.tsv.gz").write_bytes(b"\xff\xfe\x00"),
    ],
)
def test_damaged_text_matrix(folder, spoil):
    (folder / H5).unlink()
    spoil(folder / MTX)
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.code == "data.bad-file"


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (-2, np.int32, "negative"),
        (0.5, np.float64, "not a whole number"),
        (np.nan, np.float32, "NaN"),
        (2**40, np.int64, "more than"),
    ],
)
def test_values_that_are_no_counts(folder, sample, value, dtype, said):
    data, indices = stored(folder, "data").astype(dtype), stored(folder, "indices")
    position = int(stored(folder, "indptr")[7]) + 1
    data[position] = value
    edit_hdf5(folder, data=data)
    with pytest.raises(DataError, match=said) as caught:
        read(folder)
    assert caught.value.code == "data.counts"
    assert f"gene {sample.var_names[indices[position]]} in spot {sample.obs_names[7]}" in caught.value.what


def edit_positions(folder: Path, edit) -> None:
    path = folder / SPATIAL / "tissue_positions.csv"
    edit(pd.read_csv(path)).to_csv(path, index=False)


def test_positions_of_another_sample(folder):
    edit_positions(folder, lambda table: table.assign(barcode="T" + table["barcode"]))
    with pytest.raises(DataError, match="0 of 60 barcodes") as caught:
        read(folder, unplaced="drop")
    assert caught.value.code == "data.barcodes"


def test_spots_without_a_position_are_an_error_unless_dropped(folder, sample):
    edit_positions(folder, lambda table: table.drop(index=[4, 9]))
    with pytest.raises(DataError, match="58 of 60 barcodes") as caught:
        read(folder)
    assert caught.value.code == "data.barcodes"
    assert sample.obs_names[4] in caught.value.what
    warnings: list[str] = []
    found = read(folder, unplaced="drop", warn=warnings.append)
    kept = np.delete(np.arange(60), [4, 9])
    assert list(found.obs_names) == list(sample.obs_names[kept])
    assert (found.counts != sample.counts[kept]).nnz == 0
    assert warnings == ["2 of 60 spots have no position and are left out"]


def test_repeated_barcodes(folder):
    edit_positions(folder, lambda table: pd.concat([table, table[:1]]))
    with pytest.raises(DataError, match="twice") as caught:
        read(folder)
    assert caught.value.code == "data.barcodes"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda table: table.assign(pxl_row_in_fullres=[np.nan, *table["pxl_row_in_fullres"][1:]]),
            "1 of 60",
        ),
        (lambda table: table.assign(pxl_row_in_fullres=7.0, pxl_col_in_fullres=7.0), "same place"),
    ],
)
def test_impossible_coordinates(folder, edit, said):
    edit_positions(folder, edit)
    with pytest.raises(DataError, match=said) as caught:
        read(folder)
    assert caught.value.code == "data.coordinates"


@pytest.mark.parametrize(
    "edit",
    [
        lambda table: table.drop(columns=COLUMNS[5]),
        lambda table: table.assign(array_row="first"),
        lambda table: table.assign(in_tissue=np.nan),
    ],
)
def test_positions_with_other_columns_or_values(folder, edit):
    edit_positions(folder, edit)
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.code == "data.bad-file"


def test_no_spots(folder):
    edit_hdf5(
        folder,
        barcodes=np.array([], dtype="S18"),
        data=np.array([], dtype=np.int32),
        indices=np.array([], dtype=np.int64),
        indptr=np.array([0]),
    )
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.code == "data.empty"


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"tissue_hires_scalef": "wide"}', '{"tissue_hires_scalef": 0}']
)
def test_damaged_scalefactors(folder, content):
    (folder / SPATIAL / "scalefactors_json.json").write_text(content)
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.code == "data.bad-file"


def test_an_image_without_its_scale(folder, sample):
    scalefactors = {key: value for key, value in sample.scalefactors.items() if "lowres" not in key}
    (folder / SPATIAL / "scalefactors_json.json").write_text(json.dumps(scalefactors))
    with pytest.raises(DataError, match="tissue_lowres_scalef") as caught:
        read(folder)
    assert caught.value.code == "data.bad-file"


def bomb(path: Path) -> None:
    """A valid png whose header claims 60,000 x 60,000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize(
    "spoil",
    [
        truncate,
        bomb,
        lambda path: path.write_text("no image"),
        lambda path: Image.fromarray(np.zeros((9, 9), np.uint16)).save(path),
    ],
)
def test_images_that_cannot_be_decoded(folder, spoil):
    path = folder / SPATIAL / "tissue_hires_image.png"
    spoil(path)
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.code == "data.image"
    assert caught.value.where.file == str(path)


@pytest.mark.parametrize(
    ("path", "size", "images"),
    [
        ("dlpfc_151673/outs", (3639, 8474, 3169550), ["lowres"]),
        ("dlpfc_151675", (3592, 8541, 2610398), ["lowres"]),
        ("visium_mouse_cytassist", (2898, 19465, 1069459), ["lowres"]),
        ("mini_scanpy_visium/1.0.0", (100, 100, 656), ["hires", "lowres"]),
        ("mini_visiumio/10xVisium/section1", (50, 49, 344), ["lowres"]),
        ("mini_visiumio/binned_outputs/square_002um", (10, 10, 0), ["lowres"]),
    ],
)
def test_real_folders(data, path, size, images):
    files = locate(data / path)
    found = spaceranger.read(files)
    assert peek(files) == size == (*found.shape, found.counts.nnz)
    assert list(found.images) == images
    # Spots on tissue lie on every image that comes with them.
    for name, image in found.images.items():
        x, y = (found.spatial[found.obs["in_tissue"]] * found.scalefactors[f"tissue_{name}_scalef"]).T
        assert 0 <= x.min() <= x.max() < image.shape[2]
        assert 0 <= y.min() <= y.max() < image.shape[1]


def test_real_layer_markers_lie_in_their_layers(data):
    found = read(data / "dlpfc_151673")
    labels = pd.read_csv(data / "dlpfc_151673/labels.csv", index_col=0)["layer"].reindex(found.obs_names)
    mobp = found.counts[:, found.var_names.get_loc("MOBP")].toarray().ravel() / found.obs["total_counts"]
    assert mobp.groupby(labels).mean().idxmax() == "WM"


def test_real_h5_and_text_hold_the_same(data, tmp_path):
    outs = data / "visium_mouse_cytassist/outs"
    (tmp_path / "spatial").symlink_to(outs / "spatial")
    (tmp_path / "filtered_feature_bc_matrix").symlink_to(outs / "filtered_feature_bc_matrix")
    from_text, from_h5 = read(tmp_path), read(outs)
    assert_same(from_text, replace(from_h5, var=from_h5.var.drop(columns="genome")))


def test_real_section_with_a_spot_that_has_no_position(data):
    section = data / "mini_visiumio/10xVisium/section2"
    with pytest.raises(DataError, match="49 of 50 barcodes"):
        read(section)
    assert read(section, unplaced="drop").shape == (49, 49)
