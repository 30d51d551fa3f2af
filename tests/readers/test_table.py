import numpy as np
import pandas as pd
import pytest

from spatialrun.errors import DataError
from spatialrun.readers import h5ad, table


@pytest.fixture
def counts(sample) -> pd.DataFrame:
    return pd.DataFrame(sample.counts.toarray(), index=sample.obs_names, columns=sample.var_names)


@pytest.fixture
def coordinates(sample) -> pd.DataFrame:
    x, y = sample.spatial.T
    frame = pd.DataFrame({"x": x, "y": y, "label": ["a", "b"] * 30}, index=sample.obs_names)
    return frame[::-1]


def write(frame: pd.DataFrame, path) -> None:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="," if ".csv" in path.name else "\t")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".parquet"])
@pytest.mark.parametrize("genes", ["columns", "rows"])
def test_every_kind_of_table(counts, coordinates, sample, tmp_path, suffix, genes):
    paths = tmp_path / f"counts{suffix}", tmp_path / f"coordinates{suffix}"
    write(counts if genes == "columns" else counts.T, paths[0])
    write(coordinates, paths[1])
    found = table.read(*paths, genes=genes)
    assert (found.counts != sample.counts).nnz == 0
    assert list(found.obs_names) == list(sample.obs_names)
    assert list(found.var_names) == list(sample.var_names)
    np.testing.assert_array_equal(found.spatial, sample.spatial)
    told = table.headers(*paths, genes=genes)
    assert told.size == (60, 150, None)
    assert told.obs == tuple(found.obs) == ("label", "total_counts", "n_genes_by_counts")


def test_coordinates_in_the_names(counts, tmp_path):
    counts.index = [f"{16 + i}.50x-{i}" for i in range(60)]
    write(counts, tmp_path / "counts.csv")
    found = table.read(tmp_path / "counts.csv")
    assert found.obs_names[0] == "16.50x-0"
    np.testing.assert_array_equal(found.spatial, [[16.5 + i, -i] for i in range(60)])


def test_names_that_look_like_numbers_stay(counts, coordinates, tmp_path):
    counts.index = coordinates.index = [f"{i}.10" for i in range(60)]
    write(counts, tmp_path / "counts.csv")
    write(coordinates, tmp_path / "coordinates.csv")
    assert table.read(tmp_path / "counts.csv", tmp_path / "coordinates.csv").obs_names[3] == "3.10"


def test_columns_by_name(counts, coordinates, tmp_path):
    write(counts, tmp_path / "counts.csv")
    write(coordinates.rename(columns={"x": "east", "y": "north"}), tmp_path / "coordinates.csv")
    with pytest.raises(DataError, match="lacks the columns x, y") as caught:
        table.read(tmp_path / "counts.csv", tmp_path / "coordinates.csv")
    assert caught.value.code == "data.table"
    table.read(tmp_path / "counts.csv", tmp_path / "coordinates.csv", x="east", y="north")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda counts, places: (counts.replace(0, 0.5), places), "data.counts"),
        (lambda counts, places: (counts.assign(note="text"), places), "data.table"),
        (lambda counts, places: (counts.replace(0, np.nan), places), "data.counts"),
        (lambda counts, places: (counts[:0], places), "data.empty"),
        (lambda counts, places: (counts, places[:-2]), "data.barcodes"),
        (lambda counts, places: (counts, pd.concat([places, places[:1]])), "data.barcodes"),
        (lambda counts, places: (counts, places.assign(x=np.nan)), "data.coordinates"),
        (lambda counts, places: (counts, places.assign(x=1.0, y=1.0)), "data.coordinates"),
        (lambda counts, _: (counts, None), "data.coordinates"),
    ],
)
def test_faults(counts, coordinates, tmp_path, spoil, code):
    spoiled_counts, spoiled_coordinates = spoil(counts, coordinates)
    write(spoiled_counts, tmp_path / "counts.csv")
    if spoiled_coordinates is not None:
        write(spoiled_coordinates, tmp_path / "coordinates.csv")
    places = None if spoiled_coordinates is None else tmp_path / "coordinates.csv"
    with pytest.raises(DataError) as caught:
        table.read(tmp_path / "counts.csv", places)
    assert caught.value.code == code


def test_files_that_cannot_be_tables(tmp_path):
    with pytest.raises(DataError) as caught:
        table.locate(tmp_path / "counts.csv")
    assert caught.value.code == "data.missing-file"
    (tmp_path / "counts.xlsx").write_text("")
    (tmp_path / "counts.csv.gz").write_text("no gzip")
    (tmp_path / "counts.parquet").write_text("no parquet")
    (tmp_path / "empty.csv").write_text("")
    for name in ("counts.xlsx", "counts.csv.gz", "counts.parquet", "empty.csv"):
        with pytest.raises(DataError) as caught:
            table.read(tmp_path / name)
        assert caught.value.code == "data.table"


@pytest.mark.parametrize("suffix", [".csv", ".tsv.gz", ".parquet"])
def test_annotation(tmp_path, suffix):
    frame = pd.DataFrame({"layer": ["L1", None, "WM"], "depth": [1.0, 2.0, 3.0]}, index=list("abc"))
    write(frame, tmp_path / f"labels{suffix}")
    found = table.read_annotation(tmp_path / f"labels{suffix}")
    assert list(found.index) == list("abc")
    assert list(found["layer"].cat.categories) == ["L1", "WM"]
    assert found["layer"].isna().tolist() == [False, True, False]
    assert found["depth"].dtype == np.float64


def test_annotation_by_a_named_column(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("layer,spot\nL1,a\nL2,b\n")
    assert list(table.read_annotation(path, barcode="spot").index) == ["a", "b"]
    with pytest.raises(DataError, match="'id'") as caught:
        table.read_annotation(path, barcode="id")
    assert caught.value.code == "data.table"
    path.write_text("barcode,layer\na,L1\na,L2\n")
    with pytest.raises(DataError, match="twice"):
        table.read_annotation(path)


@pytest.mark.parametrize("header", ["barcode,layer", "layer,spot"])
def test_annotated_names_that_look_like_numbers_stay_what_they_are(tmp_path, header):
    names, barcode = ["1.1", "1.10", "007"], None if header.startswith("barcode") else "spot"
    rows = [f"{name},L" if barcode is None else f"L,{name}" for name in names]
    (path := tmp_path / "labels.csv").write_text("\n".join([header, *rows]))
    assert list(table.read_annotation(path, barcode=barcode).index) == names


def test_real_annotation(data):
    found = table.read_annotation(data / "dlpfc_151673/labels.csv")
    assert set(found["layer"].cat.categories) == {*(f"Layer{i}" for i in range(1, 7)), "WM"}


def test_real_names_that_are_coordinates(data, tmp_path):
    expected = h5ad.read(data / "spatialde_mob_rep11/spatialde_mob_rep11.h5ad")
    genes = expected.var_names[:50]
    frame = pd.DataFrame(expected.counts[:, :50].toarray(), index=expected.obs_names, columns=genes)
    frame.to_csv(tmp_path / "counts.csv")
    np.testing.assert_array_equal(table.read(tmp_path / "counts.csv").spatial, expected.spatial)
