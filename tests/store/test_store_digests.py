"""Digests: pinned for every kind of value, blind to representation, and never equal for different things."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from spatialrun.store.digests import canonical, file_digest, folder_digest, key_digest, value_digest
from spatialrun.values import FileBytes


def image(scalef=0.5):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    return xr.DataArray(pixels, dims=("c", "y", "x"), coords={"c": ["r", "g", "b"]}, attrs={"scalef": scalef})


def table():
    columns = {"n": [1, 2], "name": ["a", "b"], "group": pd.Categorical(["u", "v"])}
    return pd.DataFrame(columns, index=["i", "j"])


GOLDEN = {
    "floats": (
        np.array([1.0, -0.5, np.nan]),
        "fdccda284ece0440d6c783d981ad20206cc29d269b7bdaaa523697c1b4b97512",
    ),
    "bytes": (
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        "e2a8fa3c23cdf50c7aff84b79f4fd2fb6afca862836d6ff2abbd6ad2e458714c",
    ),
    "booleans": (np.array([True, False]), "478ad7a7168f5a2cb0c3854df41e00d1da1245325a77250ac5d37fb6071d1e4a"),
    "complex": (np.array([1 + 2j]), "50de819bd676861f824ca61bb5c33e407b951142d3b8c8e3a239ddd8b75f0dc8"),
    "strings": (
        np.array(["a", "µm"], dtype=object),
        "db6f6e486fb020ed676b80065e1c944126e70b6f15d618f2f287a6d748cb7526",
    ),
    "empty": (
        np.zeros((0, 3), dtype=np.float32),
        "0ab25b83eee55ab441b4fcb52b39acc4507183df0469f15594af2cb1c4ba474f",
    ),
    "categorical": (
        pd.Categorical(["b", None, "a"], categories=["b", "a"]),
        "4cb43d33fe1f6ddddeef2d3b603242fbc712359a212ca593d6282b8c3437d89e",
    ),
    "csc": (
        sp.csc_matrix([[0, 1], [2, 0]], dtype=np.int32),
        "6b5c3ff3b38d8cc443291303f40952080b61249ddc2dc428bb56f6de1e2666bd",
    ),
    "csr": (
        sp.csr_matrix([[0, 1], [2, 0]], dtype=np.int32),
        "cb6727e7abd6a968356ca5ea073f1a6d1773e0266c3fa9a7be626fcd3e864553",
    ),
    "table": (table(), "fd8bd1e3c06055ac4dca9a8eb6b8c400c523e78be96b339ac1587ea23b2b93b2"),
    "image": (image(), "ecbdc3b10216656f1c3eb361045f91f974d63993a52f9e61e836b93aba11810c"),
    "mapping": (
        {"a": 1, "b": {"c": "x", "d": np.array([1.5])}},
        "deb3f8fef8c8fe0d4f71663e3af196a94cd540f358e88fe334cd3880be381592",
    ),
    "text": ("text", "4a28e97b5025d5623ae47071438f3fa865565f769817c4efbac60f46bf643f68"),
    "integer": (3, "21031029400408e7f56b3166572851633d1637a72aa0384e1000ca565ff12aca"),
    "float": (2.5, "3e2783cc91e69bf59ac56514a726db3a09a0f76f453a4cba03e226c54753db3c"),
    "true": (True, "46228c3b0593fecbc675c1b865e9465aa51245620fc2677ebefbde2b6d778105"),
    "file": (
        FileBytes(b"content", ".png"),
        "25131b4eb382e04e020bd4da39af2688922aad620709f64c80ff45d6444eff0f",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_digests_never_drift(name):
    value, digest = GOLDEN[name]
    assert value_digest(value) == digest


def test_the_digest_of_a_key_never_drifts():
    content = {"step": "svg", "params": [None, True, 1, 2.5, "a", {"n": [1, 2]}], "raw": b"\0"}
    assert key_digest("action", content) == "cce1767c73143b1aac291ffd07a4f2fe5a6ed814aa7e2418d497de4b7442221d"


MATRIX = sp.random(30, 20, density=0.3, format="csc", random_state=0, dtype=np.float32)


def unsorted(matrix):
    """The same matrix with the entries of every column in reverse."""
    parts = [slice(a, b) for a, b in zip(matrix.indptr, matrix.indptr[1:], strict=False)]
    indices = np.concatenate([matrix.indices[p][::-1] for p in parts])
    data = np.concatenate([matrix.data[p][::-1] for p in parts])
    return sp.csc_matrix((data, indices, matrix.indptr), shape=matrix.shape)


def wide(matrix):
    """The same matrix with 64-bit indices."""
    same = matrix.copy()
    same.indices, same.indptr = same.indices.astype(np.int64), same.indptr.astype(np.int64)
    return same


ARRAY = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(ARRAY, np.asfortranarray(ARRAY), id="order in memory"),
        pytest.param(ARRAY, np.repeat(ARRAY, 2, axis=1)[:, ::2], id="strides"),
        pytest.param(ARRAY, ARRAY.astype(">f8"), id="byte order"),
        pytest.param(MATRIX, wide(MATRIX), id="index type"),
        pytest.param(MATRIX, unsorted(MATRIX), id="order of entries"),
        pytest.param(MATRIX, sp.csc_array(MATRIX), id="matrix or array"),
        pytest.param(np.array(["a", "bc"]), np.array(["a", "bc"], dtype=object), id="string type"),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, id="order of keys"),
        pytest.param({"a": [1, 2]}, {"a": np.array([1, 2])}, id="list in a mapping"),
        pytest.param(3, np.int64(3), id="scalar type"),
        pytest.param(table(), table().astype({"name": "string"}), id="string column"),
    ],
)
def test_representation_does_not_matter(one, other):
    assert value_digest(one) == value_digest(other)


def renamed_index():
    return table().rename_axis("gene")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(ARRAY, ARRAY.astype(np.float32), id="number type"),
        pytest.param(ARRAY, ARRAY.reshape(4, 3), id="shape"),
        pytest.param(np.zeros((0, 3)), np.zeros((3, 0)), id="shape of nothing"),
        pytest.param(np.array([1, 2]), np.array(["1", "2"]), id="numbers or strings"),
        pytest.param(np.array([1, 0]), np.array([True, False]), id="numbers or booleans"),
        pytest.param(1, 1.0, id="integer or float"),
        pytest.param(1, True, id="integer or boolean"),
        pytest.param(1, "1", id="number or string"),
        pytest.param(np.array(["ab", "c"]), np.array(["a", "bc"]), id="bounds of strings"),
        pytest.param({"a": "bc"}, {"ab": "c"}, id="bounds of keys"),
        pytest.param({"a": {}, "b": 1}, {"a": {"b": 1}}, id="nesting"),
        pytest.param(
            pd.Categorical(["a"], categories=["a", "b"]),
            pd.Categorical(["a"], categories=["b", "a"]),
            id="order of categories",
        ),
        pytest.param(
            pd.Categorical(["a"], ordered=True), pd.Categorical(["a"], ordered=False), id="ordered or not"
        ),
        pytest.param(pd.Categorical(["a", "b"]), np.array(["a", "b"]), id="categorical or strings"),
        pytest.param(MATRIX, MATRIX.tocsr(), id="sparse format"),
        pytest.param(MATRIX, MATRIX.toarray(), id="sparse or dense"),
        pytest.param(MATRIX, MATRIX.astype(np.float64), id="number type of a sparse matrix"),
        pytest.param(table(), table()[["name", "n", "group"]], id="order of columns"),
        pytest.param(table(), table().rename(columns={"n": "m"}), id="name of a column"),
        pytest.param(table(), renamed_index(), id="name of the index"),
        pytest.param(
            pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}),
            pd.DataFrame({"n": [1.0, np.nan]}),
            id="nullable or NaN",
        ),
        pytest.param(image(0.5), image(0.25), id="scale of an image"),
        pytest.param(FileBytes(b"x", ".png"), FileBytes(b"x", ".svg"), id="suffix of a file"),
    ],
)
def test_content_matters(one, other):
    assert value_digest(one) != value_digest(other)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(np.array(["a", 1], dtype=object), id="mixed"),
        pytest.param(np.array(["a", None], dtype=object), id="missing strings"),
        pytest.param(np.array(["2020-01-01"], dtype="M8[D]"), id="dates"),
        pytest.param(pd.DataFrame([[1, 2]], columns=["a", "a"]), id="columns of one name"),
        pytest.param(sp.coo_matrix(np.eye(2)), id="coo"),
        pytest.param(object(), id="anything"),
    ],
)
def test_what_slots_cannot_hold_is_refused(value):
    with pytest.raises(TypeError):
        value_digest(value)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def typed(content):
    """A form in which two contents are equal only if they are of the same types."""
    if isinstance(content, dict):
        return ("dict", sorted((key, typed(value)) for key, value in content.items()))
    if isinstance(content, list):
        return ("list", [typed(item) for item in content])
    return (type(content).__name__, repr(content + 0.0 if isinstance(content, float) else content))


@given(plain, plain)
def test_two_contents_have_one_encoding_only_if_they_are_equal(one, other):
    assert (canonical(one) == canonical(other)) == (typed(one) == typed(other))


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(content, random):
    items = list(content.items())
    random.shuffle(items)
    assert canonical(dict(items)) == canonical(content)


@given(st.lists(st.text(max_size=4), max_size=5), st.lists(st.text(max_size=4), max_size=5))
def test_arrays_of_strings_do_not_collide(one, other):
    digests = [value_digest(np.array(strings, dtype=object)) for strings in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


def test_tags_keep_domains_apart():
    assert key_digest("action", ["x"]) != key_digest("source", ["x"])


def test_a_file_is_its_bytes_whatever_its_name(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"x" * 3_000_000)
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b")


def test_a_folder_is_the_names_and_contents_of_its_files(tmp_path):
    def folder(name, **files):
        for path, content in files.items():
            target = tmp_path / name / path.replace("__", "/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
        return folder_digest(tmp_path / name)

    first = folder("first", a="1", b__c="2")
    assert folder("same", b__c="2", a="1") == first
    assert folder("content", a="1", b__c="3") != first
    assert folder("moved", a="1", c="2") != first
