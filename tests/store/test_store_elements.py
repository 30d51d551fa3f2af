"""Elements: every kind of value comes back as it went in, and damage is found, never served."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import xarray as xr

from spatialrun.errors import StoreError
from spatialrun.store.digests import value_digest
from spatialrun.store.elements import ObjectRef
from spatialrun.values import FileBytes


def table():
    columns = {
        "n": np.array([0, 0], dtype=np.int32),
        "x": [np.nan, 1.5],
        "name": ["a", "µm"],
        "group": pd.Categorical(["u", None]),
        "flag": [True, False],
    }
    return pd.DataFrame(columns, index=pd.Index(["i", "j"], name="gene"))


VALUES = {
    "floats": np.array([1.0, np.nan, -0.0]),
    "integers": np.arange(6, dtype=np.uint16).reshape(2, 3),
    "booleans": np.array([True, False]),
    "zeros": np.zeros(7, dtype=np.int32),
    "fortran": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "big-endian": np.arange(5, dtype=">f8"),
    "no rows": np.zeros((0, 5)),
    "no columns": np.zeros((5, 0), dtype=np.float32),
    "sharded": np.arange(600_000).reshape(600, 1000),
    "strings": np.array(["", "µm", "日本", "a" * 1000], dtype=object),
    "no strings": np.array([], dtype=object),
    "categorical": pd.Categorical(["b", None, "a"], categories=["b", "a"], ordered=True),
    "numbered categories": pd.Categorical([3, 1, 3]),
    "csc": sp.random(50, 30, density=0.1, format="csc", dtype=np.float32, random_state=0),
    "csr": sp.random(50, 30, density=0.1, format="csr", random_state=0),
    "sparse without entries": sp.csc_matrix((4, 5), dtype=np.int32),
    "sparse without rows": sp.csc_matrix((0, 0)),
    "table": table(),
    "table without rows": table().iloc[:0],
    "table without columns": pd.DataFrame(index=["a", "b"]),
    "image": xr.DataArray(
        np.arange(60, dtype=np.uint8).reshape(3, 4, 5),
        dims=("c", "y", "x"),
        coords={"c": ["r", "g", "b"]},
        attrs={"scalef": 0.15},
    ),
    "mapping": {"a": 1, "b": {"c": "x", "list": ["u", "v"]}, "d": np.zeros(3), "t": table(), "none": {}},
    "text": "µm",
    "number": 2.5,
    "file": FileBytes(b"\x89PNG", ".png"),
}


@pytest.fixture
def written(store):
    def write(value):
        attempt = store.attempt()
        ref = attempt.write("group/name", value)
        attempt.verify()
        return ref

    return write


@pytest.mark.parametrize("kind", VALUES)
def test_values_come_back_as_they_went_in(store, written, kind):
    value = VALUES[kind]
    ref = written(value)
    assert ObjectRef.from_json(ref.to_json()) == ref
    found = store.element(ref).read()
    assert type(found) is type(value)
    assert value_digest(found) == ref.digest == value_digest(value)


def test_values_that_are_written_at_once_keep_their_zeros(store, monkeypatch):
    """The writers' settings are one for the whole process: none may end while another's value is on its way."""
    zeros = {"a": np.zeros(3), "b": np.zeros(3)}
    attempts, writing = [store.attempt(), store.attempt()], anndata.io.write_elem
    inside, first_done = threading.Event(), threading.Event()

    def write_elem(group, name, value, **options):
        if not inside.is_set():
            inside.set()
            writing(group, name, value, **options)
            first_done.set()
        else:
            first_done.wait(0.5)
            writing(group, name, value, **options)

    def write(attempt):
        return attempt.write("group/name", zeros)

    monkeypatch.setattr("anndata.io.write_elem", write_elem)
    with ThreadPoolExecutor(2) as threads:
        refs = list(threads.map(write, attempts))
    for ref in refs:
        assert value_digest(store.element(ref).read()) == value_digest(zeros)


def test_unsorted_matrices_are_stored_sorted(store, written):
    matrix = sp.csc_matrix((np.array([1, 2]), np.array([1, 0]), np.array([0, 2])), shape=(2, 1))
    found = store.element(written(matrix)).read()
    assert found.indices.tolist() == [0, 1]
    assert found.data.tolist() == [2, 1]


def test_strings_in_mappings_are_python_strings(store, written):
    found = store.element(written({"inner": {"names": ["a", "b"]}})).read()
    assert found["inner"]["names"].dtype == object


@pytest.mark.parametrize("bounds", [(0, 7), (7, 30), (12, 12), (0, 30)])
@pytest.mark.parametrize("kind", ["csc", "csr", "dense"])
def test_columns_of_a_matrix(store, written, kind, bounds):
    whole = VALUES["csc"].toarray()
    value = whole if kind == "dense" else sp.csc_matrix(whole).asformat(kind)
    found = store.element(written(value)).columns(*bounds)
    assert found.format == "csc"
    np.testing.assert_array_equal(found.toarray(), whole[:, slice(*bounds)])


def test_a_small_matrix_is_read_once_where_large_parts_are_asked_for(store, written, monkeypatch):
    matrix = sp.random(100, 200, density=0.3, format="csc", random_state=0)
    element, spans = store.element(written(matrix)), []
    reading = type(element)._read_entries
    monkeypatch.setattr(type(element), "_read_entries", lambda *a: spans.append(a[1]) or reading(*a))
    element.columns(7, 8)
    assert len(spans) == 1
    for start in range(0, 200, 40):
        found = element.columns(start, start + 40)
        assert (found != matrix[:, start : start + 40]).nnz == 0
        found.data[:] = 0.0  # whoever asked may change what they were given
    assert spans[1:] == [slice(0, matrix.nnz)]
    assert (element.columns(0, 200) != matrix).nnz == 0

    monkeypatch.setattr("spatialrun.values.SMALL", 100)
    element = store.element(written(matrix))
    element.columns(0, 40)
    element.columns(40, 80)
    assert len(spans) == 4


def chunks(store, ref):
    """The files under an object that hold values."""
    root = store.backend.local(ref.path)
    files = [root] if root.is_file() else [p for p in root.rglob("*") if p.is_file()]
    return [file for file in files if file.name != "zarr.json"]


@pytest.mark.parametrize(
    "kind",
    [
        "floats",
        "zeros",
        "sharded",
        "strings",
        "categorical",
        "csc",
        "table",
        "image",
        "mapping",
        "text",
        "file",
    ],
)
class TestDamage:
    @pytest.fixture
    def ref(self, written, kind):
        return written(VALUES[kind])

    def refuses(self, store, ref):
        with pytest.raises(StoreError) as caught:
            store.element(ref).read()
        assert caught.value.code == "store.corrupt"
        assert ref.path in caught.value.what
        assert f"rm -r {store.backend.local(ref.path)}" in caught.value.hint

    def test_a_flipped_bit_is_found(self, store, ref):
        for file in chunks(store, ref):
            content = file.read_bytes()
            damaged = bytearray(content)
            damaged[len(content) // 2] ^= 1
            file.write_bytes(damaged)
            self.refuses(store, ref)
            file.write_bytes(content)
        store.element(ref).read()

    def test_a_cut_file_is_found(self, store, ref):
        for file in chunks(store, ref):
            content = file.read_bytes()
            file.write_bytes(content[:-1])
            self.refuses(store, ref)
            file.write_bytes(content)

    def test_a_missing_file_is_not_taken_for_zeros(self, store, ref):
        for file in chunks(store, ref):
            aside = Path(f"{file}.aside")
            file.rename(aside)
            self.refuses(store, ref)
            aside.rename(file)


def test_damage_is_found_in_a_range_of_columns(store, written):
    ref = written(VALUES["csc"])
    (data,) = (file for file in chunks(store, ref) if "/data/c/" in file.as_posix())
    data.unlink()
    with pytest.raises(StoreError) as caught:
        store.element(ref).columns(0, 5)
    assert caught.value.code == "store.corrupt"


def test_what_is_known_without_reading(written):
    assert written(VALUES["csc"]).meta == {"shape": [50, 30], "dtype": "float32", "nnz": 150, "format": "csc"}
    assert written(VALUES["strings"]).meta == {"shape": [4], "dtype": "string"}
    assert written(VALUES["categorical"]).meta == {"shape": [3], "dtype": "category", "categories": 2}
    assert written(VALUES["file"]).meta == {"suffix": ".png", "size": 4}


def test_large_arrays_are_a_few_files(store, written):
    ref = written(np.zeros((2000, 1000)))
    assert len(chunks(store, ref)) == 1


@pytest.mark.parametrize("value", [None, object(), pd.Series([1]), np.array(["2020-01-01"], dtype="M8[D]")])
def test_other_values_are_refused(store, value):
    with pytest.raises(TypeError):
        store.attempt().write("x", value)


def test_the_names_of_a_mapping_come_in_their_order_whatever_the_folder_gives(store, written):
    names = [f"name{number * 37 % 100:02d}" for number in range(100)]
    ref = written(dict.fromkeys(names, 1) | {"inner": dict.fromkeys(names, "text")})
    found = store.element(ref).read()
    assert list(found) == sorted(found)
    assert list(found["inner"]) == sorted(names)
