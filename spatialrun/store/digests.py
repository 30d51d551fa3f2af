"""Digests: the identity of values and of actions.

Everything that is hashed is typed, length-prefixed and domain-tagged, so that no two different things share an
encoding. A value's digest is taken over its decoded content (never over stored bytes), in a canonical form: the
index type of a sparse matrix, the order of a mapping's keys and the byte order of an array do not matter;
the number type of an array's elements does.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialrun.values import ColumnStream, FileBytes, Value

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DOMAIN = b"spatialrun/1"
_CHUNK = 1 << 20


def key_digest(tag: str, content: Any) -> str:
    """Return the digest of plain data (None, booleans, numbers, strings, sequences, mappings)."""
    return _digest(tag, canonical(content)).hex()


def value_digest(value: Value) -> str:
    """Return the digest of a slot's value, by its decoded content.

    Raises
    ------
    TypeError
        For a value of a type that slots cannot hold.
    """
    return _value(value).hex()


def file_digest(path: Path) -> str:
    """Return the digest of a file's bytes, read in pieces."""
    return _file(path).hex()


def folder_digest(path: Path) -> str:
    """Return the digest of a folder: the relative names and contents of all its files."""
    files = sorted(p for p in path.rglob("*") if p.is_file())
    parts = [b for p in files for b in (p.relative_to(path).as_posix().encode(), _file(p))]
    return _digest("folder", *parts).hex()


def canonical(content: Any) -> bytes:
    """Encode plain data without ambiguity: a tag, a length, the content; mappings in the order of their keys."""
    kind = type(content)
    # Most of what is encoded, and there is much of it where there are many tasks, is of three types.
    if kind is str:
        # Names of files need not be valid text: Python keeps their odd bytes as lone surrogates.
        return _framed(b"S", content.encode(errors="surrogatepass"))
    if kind is list:
        return _framed(b"L", b"".join([canonical(item) for item in content]))
    if kind is dict:
        items = sorted([(canonical(key), canonical(value)) for key, value in content.items()])
        return _framed(b"M", b"".join([key + value for key, value in items]))
    match content:
        case None:
            return b"N"
        case bool():
            return b"T" if content else b"F"
        case int():
            return _framed(b"I", str(content).encode())
        case float():
            number = math.nan if math.isnan(content) else content + 0.0  # one NaN, and no negative zero
            return b"D" + struct.pack(">d", number)
        case str():  # of a type derived from it
            return _framed(b"S", str.encode(content, errors="surrogatepass"))
        case bytes():
            return _framed(b"B", content)
        case Mapping():
            return canonical(dict(content))
        case Sequence():
            return canonical(list(content))
        case set() | frozenset():
            return _framed(b"U", b"".join(sorted(map(canonical, content))))
        case _:
            raise TypeError(f"{type(content).__name__} has no canonical encoding")


def _framed(tag: bytes, content: bytes) -> bytes:
    return tag + _length(len(content)) + content


_length = struct.Struct(">Q").pack


def _hasher(tag: str) -> hashlib.blake2b:
    hasher = hashlib.blake2b(digest_size=32)
    hasher.update(_framed(b"", DOMAIN) + _framed(b"", tag.encode()))
    return hasher


def _digest(tag: str, *parts: bytes) -> bytes:
    hasher = _hasher(tag)
    for part in parts:
        hasher.update(_framed(b"", part))
    return hasher.digest()


def _file(path: Path) -> bytes:
    hasher = _hasher("file")
    with path.open("rb") as handle:
        while piece := handle.read(_CHUNK):
            hasher.update(piece)
    return hasher.digest()


def _value(value: Value) -> bytes:
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp
    import xarray as xr

    if isinstance(value, FileBytes):
        return _digest("file-bytes", value.suffix.encode(), value.content)
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, pd.Categorical):
        codes = _numbers("array", np.asarray(value.codes, dtype=np.int32))
        return _digest("categorical", _array(np.asarray(value.categories)), codes, canonical(value.ordered))
    if isinstance(value, pd.Series):
        return _column(value)
    if isinstance(value, pd.DataFrame):
        if not value.columns.is_unique:
            raise TypeError("a table holds two columns of one name")
        columns = [part for name in value.columns for part in (str(name).encode(), _column(value[name]))]
        return _digest("table", canonical(value.index.name), _array(value.index.to_numpy()), *columns)
    if sp.issparse(value):
        return _sparse(value)
    if isinstance(value, xr.DataArray):
        coordinates = {str(k): _array(np.asarray(v)).hex() for k, v in value.coords.items()}
        head = canonical(
            {"dims": list(map(str, value.dims)), "attrs": dict(value.attrs), "coords": coordinates}
        )
        return _digest("image", head, _array(value.to_numpy()))
    if isinstance(value, Mapping):
        items = sorted((str(key).encode(), _value(item)) for key, item in value.items())
        return _digest("mapping", *(part for item in items for part in item))
    if isinstance(value, list | tuple):
        return _array(np.asarray(value))  # what becomes of a list within a mapping when it is stored
    if isinstance(value, np.generic):
        return _digest("scalar", canonical(value.item()))
    return _digest("scalar", canonical(value))


def _column(column: pd.Series[Any]) -> bytes:
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return _value(column.array)
    if isinstance(column.dtype, np.dtype) or column.dtype.kind == "O":
        return _array(column.to_numpy())
    missing = column.isna().to_numpy()
    numbers = column.to_numpy(dtype=column.dtype.type, na_value=0)
    return _digest("nullable", _array(missing), _array(numbers))


def _array(array: np.ndarray) -> bytes:
    if array.dtype.kind in "OUT":
        return _strings(array)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"a slot cannot hold an array of {array.dtype}")
    return _numbers("array", array)


class StreamDigest:
    """The digest of a matrix that is hashed while its columns go by: that of the whole matrix as CSC."""

    def __init__(self, matrix: ColumnStream) -> None:
        import numpy as np

        self._head = canonical([matrix.format, list(matrix.shape)])
        self._indptr = _numbers("indptr", matrix.indptr, "<i8")
        self._types = {"indices": np.dtype("<i8"), "array": matrix.dtype.newbyteorder("<")}
        self._hashers = {tag: _hasher(tag) for tag in self._types}
        for tag, hasher in self._hashers.items():
            hasher.update(canonical([self._types[tag].str, [matrix.nnz]]))

    def update(self, data: np.ndarray, indices: np.ndarray) -> None:
        """Take the next entries."""
        for tag, values in (("array", data), ("indices", indices)):
            _feed(self._hashers[tag], values, self._types[tag])

    def hex(self) -> str:
        """Return the digest, when all entries have gone by."""
        indices, data = (self._hashers[tag].digest() for tag in ("indices", "array"))
        return _digest("sparse", self._head, self._indptr, indices, data).hex()


def _numbers(tag: str, array: np.ndarray, dtype: str | None = None) -> bytes:
    """Hash the numbers in C order, little-endian, a piece at a time (a whole copy would double the memory)."""
    import numpy as np

    wanted = np.dtype(dtype) if dtype else array.dtype.newbyteorder("<")
    hasher = _hasher(tag)
    hasher.update(canonical([wanted.str, list(array.shape)]))
    _feed(hasher, array.reshape(-1) if array.flags.c_contiguous else array.ravel(order="C"), wanted)
    return hasher.digest()


def _feed(hasher: hashlib.blake2b, flat: np.ndarray, wanted: np.dtype[Any]) -> None:
    import numpy as np

    step = max(_CHUNK // wanted.itemsize, 1)
    for start in range(0, flat.size, step):
        hasher.update(np.ascontiguousarray(flat[start : start + step], dtype=wanted).data)


def _strings(array: np.ndarray) -> bytes:
    hasher = _hasher("strings")
    hasher.update(canonical(list(array.shape)))
    hasher.update(b"".join(_framed_strings(array.ravel(order="C").tolist())))
    return hasher.digest()


def _framed_strings(items: Iterable[Any]) -> Iterable[bytes]:
    for item in items:
        if not isinstance(item, str):
            raise TypeError(
                f"an array of strings holds {item!r}; use a categorical where values can be missing"
            )
        yield _framed(b"S", item.encode())


def _sparse(matrix: Any) -> bytes:
    if matrix.format not in ("csc", "csr"):
        raise TypeError(f"sparse matrices are stored as CSC or CSR, not {matrix.format}")
    if not matrix.has_sorted_indices:
        matrix = matrix.sorted_indices()
    head = canonical([matrix.format, list(matrix.shape)])
    indptr = _numbers("indptr", matrix.indptr, "<i8")
    indices = _numbers("indices", matrix.indices, "<i8")
    return _digest("sparse", head, indptr, indices, _numbers("array", matrix.data))
