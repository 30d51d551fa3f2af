import gzip
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from spatialrun.errors import DataError, RecipeError
from spatialrun.methods.reporter import SILENT, Silent
from spatialrun.methods.simulate import simulate_visium_hd
from spatialrun.readers import matrix_parts, positions, spaceranger, visium_hd, visium_hd_writer
from spatialrun.readers.headers import Size

SQUARE = "binned_outputs/square_008um"


@pytest.fixture(scope="module")
def simulated():
    return simulate_visium_hd(n_bins=400, n_genes=50, n_svg=4, mean_counts=60, image_size=64, seed=2)


@pytest.fixture(scope="module")
def written(simulated, tmp_path_factory) -> Path:
    return visium_hd_writer.write(simulated, tmp_path_factory.mktemp("hd"))


@pytest.fixture
def outs(written, tmp_path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(written, tmp_path / "copy" / "outs")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(matrix_parts, "PART", 1000)


def read(path, scratch, reporter=SILENT, **how):
    unplaced = how.pop("unplaced", "error")
    return visium_hd.read(visium_hd.locate(path, **how), scratch, unplaced=unplaced, reporter=reporter)


def test_it_reads_what_space_ranger_s_reader_reads(written, tmp_path):
    found, expected = read(written, tmp_path), spaceranger.read(spaceranger.locate(written / SQUARE))
    assert (found.counts.tocsc() != expected.counts).nnz == 0
    assert len(list(tmp_path.glob("*/*.part"))) > 3
    pd.testing.assert_frame_equal(found.obs, expected.obs)
    pd.testing.assert_frame_equal(found.var, expected.var)
    np.testing.assert_array_equal(found.spatial, expected.spatial)
    assert found.scalefactors == expected.scalefactors
    assert found.metadata == expected.metadata
    np.testing.assert_array_equal(found.images["lowres"], expected.images["lowres"])


@pytest.mark.parametrize("part", ["", "binned_outputs", SQUARE])
def test_the_folder_may_be_any_of_three(written, part):
    squares = visium_hd.locate(written / part)
    assert (squares.source_um, squares.factor) == (8, 1)
    assert squares.files.matrix == written / SQUARE / "filtered_feature_bc_matrix.h5"
    assert visium_hd.located(squares.files.roles(), None) == squares


def test_the_coarsest_that_will_do_is_taken(written, outs):
    for um in ("002", "016"):
        shutil.copytree(outs / SQUARE, outs / f"binned_outputs/square_{um}um")
    asked = {None: (8, 1), 2: (2, 1), 16: (16, 1), 24: (8, 3), 32: (16, 2), 6: (2, 3)}
    for um, expected in asked.items():
        squares = visium_hd.locate(outs, bin_um=um)
        assert (squares.source_um, squares.factor) == expected
    with pytest.raises(RecipeError, match=r"bins of 5 µm cannot be made of those in .*: 2 µm, 8 µm, 16 µm"):
        visium_hd.locate(outs, bin_um=5)


def test_coarser_bins_add_up(written, simulated, tmp_path):
    found = read(written, tmp_path, bin_um=24)
    fine = sparse.vstack(list(simulated.counts())).tocsr()
    row, col = simulated.array_row // 3, simulated.array_col // 3
    assert found.obs["total_counts"].sum() == fine.sum()
    for i in (0, 7, found.shape[0] - 1):
        mine = (row == found.obs["array_row"].iloc[i]) & (col == found.obs["array_col"].iloc[i])
        np.testing.assert_array_equal(
            found.counts.tocsc()[i].toarray().ravel(),
            np.asarray(fine[np.flatnonzero(mine)].sum(axis=0)).ravel(),
        )
        assert found.obs["n_genes_by_counts"].iloc[i] == (fine[np.flatnonzero(mine)].sum(axis=0) > 0).sum()
        # The middle of three by three bins is the middle one's centre.
        middle = simulated.spatial(
            *(found.obs[name].iloc[[i]].to_numpy() * 3 + 1 for name in ("array_row", "array_col"))
        )
        if found.obs["array_row"].iloc[i] * 3 + 2 < simulated.side:  # else some lie beyond the slide's edge
            np.testing.assert_allclose(found.spatial[i], middle[0])
    assert found.obs_names[0] == "s_024um_{:05d}_{:05d}-1".format(
        *found.obs[["array_row", "array_col"]].iloc[0]
    )
    assert found.scalefactors["bin_size_um"] == 24
    assert found.scalefactors["spot_diameter_fullres"] == 3 * simulated.scalefactors["spot_diameter_fullres"]
    assert found.counts.tocsc().has_canonical_format


def to_text(square: Path, shuffled: bool) -> None:
    """The matrix as three text files instead of one."""
    with h5py.File(square / "filtered_feature_bc_matrix.h5") as file:
        group = file["matrix"]
        names, ids = group["barcodes"][:], group["features/id"][:]
        symbols, kinds = group["features/name"][:], group["features/feature_type"][:]
        bins = np.repeat(np.arange(len(names)), np.diff(group["indptr"][:]))
        lines = np.column_stack([group["indices"][:] + 1, bins + 1, group["data"][:]])
    if shuffled:
        lines = np.random.default_rng(0).permutation(lines)
    folder = square / "filtered_feature_bc_matrix"
    folder.mkdir()
    with gzip.open(folder / "matrix.mtx.gz", "wt") as text:
        text.write(
            f"%%MatrixMarket matrix coordinate integer general\n%\n{len(ids)} {len(names)} {len(lines)}\n"
        )
        np.savetxt(text, lines, fmt="%d")
    (folder / "barcodes.tsv").write_bytes(b"\n".join(names))
    (folder / "features.tsv").write_bytes(b"\n".join(map(b"\t".join, zip(ids, symbols, kinds, strict=True))))
    (square / "filtered_feature_bc_matrix.h5").unlink()


@pytest.mark.parametrize("shuffled", [False, True])
def test_text_files_in_any_order(outs, simulated, tmp_path, shuffled):
    to_text(outs / SQUARE, shuffled)
    found = read(outs, tmp_path)
    assert (found.counts.tocsc() != sparse.vstack(list(simulated.counts()))).nnz == 0
    assert visium_hd.located(visium_hd.locate(outs).files.roles(), 16).factor == 2


def test_truncated_text(outs, tmp_path):
    to_text(outs / SQUARE, shuffled=False)
    file = outs / SQUARE / "filtered_feature_bc_matrix" / "matrix.mtx.gz"
    lines = gzip.decompress(file.read_bytes()).splitlines()
    file.write_bytes(gzip.compress(b"\n".join(lines[:-3])))
    with pytest.raises(DataError, match="damaged or truncated: it has") as raised:
        read(outs, tmp_path)
    assert raised.value.code == "data.bad-file"


def test_a_killed_reading_goes_on(written, simulated, tmp_path, monkeypatch):
    told: list[int] = []

    class Killed(Silent):
        def progress(self, done: int, total: int, unit: str = "") -> None:
            told.append(done)
            if len(told) == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(written, tmp_path, Killed())
    parts = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/*.part")}
    assert len(parts) == 3
    found = read(written, tmp_path)
    assert (found.counts.tocsc() != sparse.vstack(list(simulated.counts()))).nnz == 0
    assert {file: file.stat().st_mtime_ns for file in parts} == parts


def spoil(outs: Path, name: str, change) -> None:
    with h5py.File(outs / SQUARE / "filtered_feature_bc_matrix.h5", "r+") as file:
        values = file["matrix"][name][:]
        del file["matrix"][name]
        file["matrix"][name] = change(values)


def negative(values):
    values[5] = -3
    return values


def doubled(values):
    values[1] = values[0]
    return values


@pytest.mark.parametrize(
    ("name", "change", "code", "said"),
    [
        ("data", negative, "data.counts", "the count of gene .* in spot s_008um_.* is -3"),
        ("indices", lambda values: values + 1_000, "data.bad-file", "indices"),
        ("indptr", lambda values: values[:-1], "data.bad-file", "do not fit together"),
        ("barcodes", doubled, "data.barcodes", "barcodes stand twice in the matrix: s_008um"),
        ("barcodes", lambda values: np.char.replace(values, b"s_", b"z_"), "data.barcodes", "0 of 400"),
    ],
)
def test_faults_of_the_matrix(outs, tmp_path, name, change, code, said):
    spoil(outs, name, change)
    with pytest.raises(DataError, match=said) as raised:
        read(outs, tmp_path)
    assert raised.value.code == code


def test_bins_without_a_position(outs, simulated, tmp_path):
    path = outs / SQUARE / "spatial/tissue_positions.parquet"
    table = pd.read_parquet(path)
    lost = simulated.barcodes(simulated.array_row[3:5], simulated.array_col[3:5]).astype(str)
    table[~table["barcode"].isin(lost)].to_parquet(path)
    with pytest.raises(DataError, match="398 of 400 barcodes of the matrix have a position"):
        read(outs, tmp_path / "a")
    (tmp_path / "b").mkdir()
    found = read(outs, tmp_path / "b", unplaced="drop")
    kept = np.delete(np.arange(400), [3, 4])
    assert (found.counts.tocsc() != sparse.vstack(list(simulated.counts())).tocsr()[kept]).nnz == 0
    assert found.counts.tocsc().has_canonical_format


def test_no_visium_hd(tmp_path):
    with pytest.raises(DataError, match=r"no folders square_...um") as raised:
        visium_hd.locate(tmp_path)
    assert "read.visium" in raised.value.hint


def test_real_bins(data, tmp_path):
    found = read(data / "mini_visiumio/binned_outputs", tmp_path)
    assert found.shape == (10, 10)
    assert found.obs_names[0] == "s_002um_02448_01644-1"
    assert found.scalefactors["bin_size_um"] == 2
    coarse = read(data / "mini_visiumio", tmp_path, bin_um=16)
    assert coarse.shape[0] == 10
    assert (coarse.obs["array_row"] == np.sort(found.obs["array_row"] // 8)).all()


POSITIONS = SQUARE + "/spatial/tissue_positions.parquet"


def rewrite(outs: Path, change) -> None:
    """Positions as a changed data frame."""
    change(pd.read_parquet(outs / POSITIONS)).to_parquet(outs / POSITIONS)


def retyped(outs: Path, kind) -> None:
    """Positions with their barcodes as another type of text."""
    table = pq.read_table(outs / POSITIONS)
    names = table["barcode"].dictionary_encode() if kind is dict else table["barcode"].cast(kind)
    pq.write_table(table.set_column(0, "barcode", names), outs / POSITIONS)


@pytest.mark.parametrize("kind", [dict, pa.large_string(), pa.string_view(), pa.binary()], ids=str)
def test_barcodes_of_every_type_of_text(outs, tmp_path, kind):
    expected = read(outs, tmp_path).obs_names
    retyped(outs, kind)
    assert list(read(outs, tmp_path).obs_names) == list(expected)


@pytest.mark.parametrize("headed", [True, False])
def test_positions_as_text(outs, written, tmp_path, monkeypatch, headed):
    monkeypatch.setattr(positions, "PIECE", 100)
    table = pd.read_parquet(outs / POSITIONS)
    table.to_csv((outs / POSITIONS).with_suffix(".csv"), index=False, header=headed)
    (outs / POSITIONS).unlink()
    for um in (8, 16):
        scratch = tmp_path / str(um)
        scratch.mkdir()
        found, expected = read(outs, scratch, bin_um=um), read(written, scratch, bin_um=um)
        pd.testing.assert_frame_equal(found.obs, expected.obs)
        np.testing.assert_array_equal(found.spatial, expected.spatial)


def test_pieces_of_any_size_give_the_same(written, tmp_path, monkeypatch):
    expected = read(written, tmp_path, bin_um=24)
    monkeypatch.setattr(positions, "PIECE", 17)
    found = read(written, tmp_path, bin_um=24)
    pd.testing.assert_frame_equal(found.obs, expected.obs)
    np.testing.assert_array_equal(found.spatial, expected.spatial)


def bare(names):
    return names.str.replace("-1", "")


@pytest.mark.parametrize("where", ["matrix", "positions", "both"])
@pytest.mark.parametrize("um", [8, 16])
def test_barcodes_that_lost_their_number(outs, written, tmp_path, where, um):
    """As `read.visium` does it: compared without the number where not one is found with it."""
    expected = read(written, tmp_path, bin_um=um)
    if where != "positions":
        spoil(outs, "barcodes", lambda values: np.char.replace(values, b"-1", b""))
    if where != "matrix":
        rewrite(outs, lambda table: table.assign(barcode=bare(table["barcode"])))
    found = read(outs, tmp_path, bin_um=um)
    np.testing.assert_array_equal(found.spatial, expected.spatial)
    names = expected.obs_names if where == "positions" or um == 16 else bare(expected.obs_names)
    assert list(found.obs_names) == list(names)
    squares = visium_hd.locate(outs, bin_um=um)
    assert visium_hd.located(squares.files.roles(), um) == squares


def test_positions_that_stand_twice(outs, tmp_path):
    rewrite(outs, lambda table: pd.concat([table, table[table["in_tissue"] == 1][:1]]))
    with pytest.raises(DataError, match="barcodes stand twice in the positions: s_008um_") as raised:
        read(outs, tmp_path)
    assert raised.value.code == "data.barcodes"


def off_tissue(table, column, value):
    return table.assign(**{column: table[column].where(table["in_tissue"] == 1, value)})


@pytest.mark.parametrize("um", [8, 24])
def test_bins_that_the_matrix_lacks_need_no_place(outs, written, tmp_path, um):
    expected = read(written, tmp_path, bin_um=um)
    rewrite(outs, lambda table: off_tissue(table, "pxl_row_in_fullres", np.nan))
    found = read(outs, tmp_path, bin_um=um)
    pd.testing.assert_frame_equal(found.obs, expected.obs)
    assert np.isfinite(found.spatial).all()


@pytest.mark.parametrize("um", [8, 24])
def test_bins_of_the_matrix_need_a_place(outs, tmp_path, um):
    rewrite(outs, lambda table: table.assign(pxl_col_in_fullres=np.nan))
    with pytest.raises(DataError, match="400 spots have no finite coordinates: s_008um") as raised:
        read(outs, tmp_path, bin_um=um)
    assert raised.value.code == "data.coordinates"


@pytest.mark.parametrize("column", ["array_row", "array_col", "in_tissue"])
@pytest.mark.parametrize("text", [False, True])
def test_empty_numbers_of_positions(outs, tmp_path, column, text):
    rewrite(
        outs, lambda table: table.assign(**{column: table[column].where(table.index > 3).astype("Int32")})
    )
    if text:
        pd.read_parquet(outs / POSITIONS).to_csv((outs / POSITIONS).with_suffix(".csv"), index=False)
        (outs / POSITIONS).unlink()
    with pytest.raises(DataError, match=f"{column} holds values that are no whole numbers") as raised:
        read(outs, tmp_path)
    assert raised.value.code == "data.bad-file"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.assign(array_row="x"), "array_row holds values that are no whole numbers"),
        (lambda table: table.assign(pxl_row_in_fullres="x"), "pxl_row_in_fullres holds values"),
        (lambda table: table.drop(columns="array_col"), r"lacks the columns array_col \(found: barcode"),
        (lambda table: table[:0], "0 of 400 barcodes of the matrix have a position"),
    ],
)
def test_faults_of_the_positions(outs, tmp_path, change, said):
    rewrite(outs, change)
    with pytest.raises(DataError, match=said):
        read(outs, tmp_path)


def test_truncated_positions(outs, tmp_path):
    (outs / POSITIONS).write_bytes((outs / POSITIONS).read_bytes()[:1000])
    with pytest.raises(DataError, match=r"tissue_positions.parquet cannot be read") as raised:
        read(outs, tmp_path)
    assert raised.value.code == "data.bad-file"


def test_half_a_copy_is_not_passed_over(outs):
    """Bins of 16 µm are not read for those of 8 whose folder lacks a part."""
    shutil.copytree(outs / SQUARE, outs / "binned_outputs/square_016um")
    shutil.rmtree(outs / SQUARE / "spatial")
    for um in (None, 8, 24):
        with pytest.raises(DataError, match=r"square_008um lacks the folder spatial") as raised:
            visium_hd.locate(outs, bin_um=um)
        assert raised.value.code == "data.missing-file"
        assert "16 µm" in raised.value.hint
    assert visium_hd.locate(outs, bin_um=16).source_um == 16
    with pytest.raises(DataError, match=r"square_008um lacks the folder spatial"):
        visium_hd.locate(outs / SQUARE)


@pytest.mark.parametrize("part", ["binned_outputs/square_08um", "binned_outputs/square_002um", "square_08um"])
def test_a_missing_folder_of_bins(outs, part):
    shutil.copytree(outs / SQUARE, outs / "binned_outputs/square_016um")
    with pytest.raises(DataError, match="does not exist") as raised:
        visium_hd.locate(outs / part)
    assert "square_008um, square_016um" in str(raised.value)
    if part.startswith("binned"):
        assert raised.value.hint == f"Did you mean {outs / SQUARE}?"


def test_bins_of_8_in_bins_of_16(simulated, written, tmp_path):
    """What headers tell of coarser bins is near what they are."""
    told = visium_hd.headers(visium_hd.locate(written, bin_um=16)).size
    found = read(written, tmp_path, bin_um=16)
    assert told.nnz == pytest.approx(found.counts.nnz, rel=0.2)
    assert told.n_spots <= found.shape[0]
    nnz = sum(counts.nnz for counts in simulated.counts())
    assert visium_hd.headers(visium_hd.locate(written)).size == (400, 50, nnz)


def test_fine_bins_that_are_merged_have_fewer_counts():
    fine = Size(6_000_000, 18_000, 200_000_000)
    assert visium_hd.merged(fine, 1) == fine
    sizes = [visium_hd.merged(fine, factor) for factor in (2, 4, 8, 50)]
    assert [size.n_spots for size in sizes] == [1_500_000, 375_000, 93_750, 2_400]
    numbers = [fine.nnz, *(size.nnz for size in sizes)]
    assert numbers == sorted(numbers, reverse=True)
    assert sizes[2].nnz == 179_104_478
    assert all(size.nnz <= size.n_spots * size.n_genes for size in sizes)
    assert visium_hd.merged(Size(10, 10, 0), 8) == (1, 10, 0)
    assert visium_hd.merged(Size(10, 10, 100), 8) == (1, 10, 10)
    assert visium_hd.merged(Size(0, 10, 0), 8) == (0, 10, 0)


@pytest.mark.parametrize("sample", ["dlpfc_151673", "visium_mouse_cytassist"])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_merged_spots_of_real_sections(data, sample, factor):
    """Thinned to the counts that bins of 2 µm have; spots side by side for bins side by side."""
    section = spaceranger.read(spaceranger.locate(data / sample / "outs"))
    counts = section.counts.tocsr()
    counts.data = np.random.default_rng(0).binomial(counts.data, 20 * counts.shape[0] / counts.sum())
    counts.eliminate_zeros()
    row, col = section.obs["array_row"] // factor, section.obs["array_col"] // (2 * factor)
    _, parent = np.unique(1000 * row + col, return_inverse=True)
    coarse = sparse.csr_matrix((np.ones(len(parent), int), (parent, np.arange(len(parent))))) @ counts
    told = visium_hd.merged(Size(*counts.shape, counts.nnz), factor)
    assert coarse.nnz <= told.nnz <= 2.2 * coarse.nnz


MEMORY = """
    import sys
    from pathlib import Path
    from spatialrun.execute.memory import Peak
    from spatialrun.methods.reporter import SILENT
    from spatialrun.readers import visium_hd
    from spatialrun.readers.filter import filter_sample
    from spatialrun.store.digests import StreamDigest
    sample = visium_hd.read(visium_hd.locate(sys.argv[1]), Path(sys.argv[2]), reporter=SILENT)
    kept = filter_sample(sample, min_counts=100, min_spots=3)
    digest = StreamDigest(kept.counts)
    for start, stop in kept.counts.stretches():
        digest.update(*kept.counts.entries(start, stop))
    print(digest.hex(), Peak().read())
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_counts(tmp_path):
    """1 GB and 300 bytes a bin, also where the counts are many times as large."""
    large = simulate_visium_hd(
        n_bins=30_000, n_genes=6000, n_svg=0, mean_counts=3000, abundance_sigma=1.0, image_size=64
    )
    outs = visium_hd_writer.write(large, tmp_path)
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-c", textwrap.dedent(MEMORY), str(outs), str(tmp_path / "scratch")]
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    peak = int(found.stdout.split()[1])
    with h5py.File(outs / SQUARE / "filtered_feature_bc_matrix.h5") as file:
        whole = 8 * len(file["matrix/data"])
    assert whole > 300e6
    assert peak < 1e9 + 300 * 30_000


PEAK = """
    import sys
    from pathlib import Path
    from spatialrun.execute.memory import Peak
    from spatialrun.methods.reporter import SILENT
    from spatialrun.readers import visium_hd
    squares = visium_hd.locate(sys.argv[1], bin_um=int(sys.argv[3]))
    sample = visium_hd.read(squares, Path(sys.argv[2]), reporter=SILENT)
    print(len(sample.obs), Peak().read())
"""


@pytest.mark.parametrize("um", [2, 16])
def test_memory_does_not_grow_with_the_slide(tmp_path, um):
    """Positions of bins that the matrix lacks take next to nothing, as many as they are."""
    section = simulate_visium_hd(n_bins=30_000, n_genes=20, n_svg=0, mean_counts=5, image_size=64, bin_um=2)
    outs = visium_hd_writer.write(section, tmp_path)
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-c", textwrap.dedent(PEAK), str(outs), str(tmp_path / "scratch"), str(um)]

    def peak() -> int:
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        return int(found.stdout.split()[1])

    of_bins = peak()
    path = outs / "binned_outputs/square_002um/spatial/tissue_positions.parquet"
    listed, side = pq.read_table(path), 1300
    rows, cols = (axis.ravel().astype(np.int32) for axis in np.indices((side, side)))
    others = np.flatnonzero((rows >= section.side) | (cols >= section.side))
    rows, cols = rows[others], cols[others]
    names = pa.array(section.barcodes(rows, cols)).cast(pa.string())
    x, y = section.spatial(rows, cols).T
    columns = [names, np.zeros(len(rows), np.int32), rows, cols, y, x]
    pq.write_table(pa.concat_tables([listed, pa.table(columns, schema=listed.schema)]), path)
    assert peak() - of_bins < 150e6
