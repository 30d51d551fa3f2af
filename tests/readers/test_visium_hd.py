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
import pytest
from scipy import sparse

from spatialrun.errors import DataError, RecipeError
from spatialrun.methods.reporter import SILENT, Silent
from spatialrun.methods.simulate import simulate_visium_hd
from spatialrun.readers import matrix_parts, spaceranger, visium_hd, visium_hd_writer

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
