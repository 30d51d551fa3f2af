"""Elements: values encoded as zarr, in AnnData's encoding, and lazy handles on them.

An object is one value under one path. Matrices and images are written here, in the chunks that streaming needs;
strings, categoricals, tables and mappings go through AnnData's own writer. Figures are plain files, ``files``
outputs plain folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialrun.errors import StoreError, Where
from spatialrun.store import pyramid
from spatialrun.store.backend import Backend
from spatialrun.store.digests import StreamDigest, value_digest
from spatialrun.store.layout import create_array, empty_array, plain_codecs, settings
from spatialrun.values import ColumnStream, FileBytes, Value, is_small

if TYPE_CHECKING:
    import zarr
    from scipy.sparse import csc_matrix
    from zarr.abc.store import Store as ZarrStore

    from spatialrun.store.ahead import AheadStore

SPARSE_VERSION = "0.1.0"
LARGE_PARTS = 64
"""Of a small matrix of at most so many such parts all is read once one of them is asked for."""
_ARRAY = {"encoding-type": "array", "encoding-version": "0.2.0"}


@dataclass(frozen=True)
class ObjectRef:
    """Where an object lies and what it is.

    Attributes
    ----------
    digest
        The digest of its decoded value.
    path
        Its place in the store.
    kind
        ``array``, ``sparse``, ``image``, ``categorical``, ``table``, ``mapping``, ``scalar``, ``file``,
        ``folder`` or ``export``.
    meta
        Shape, dtype, nnz, format, suffix: what can be known without reading.
    """

    digest: str
    path: str
    kind: str
    meta: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the reference as plain data."""
        return {"digest": self.digest, "path": self.path, "kind": self.kind, "meta": dict(self.meta)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ObjectRef:
        """Rebuild a reference from plain data."""
        return cls(data["digest"], data["path"], data["kind"], data["meta"])


def describe(value: Value) -> tuple[str, dict[str, Any]]:
    """Return a value's kind and meta data.

    Raises
    ------
    TypeError
        For values that slots cannot hold.
    """
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp
    import xarray as xr

    match value:
        case FileBytes():
            return "file", {"suffix": value.suffix, "size": len(value.content)}
        case np.ndarray():
            return "array", {"shape": list(value.shape), "dtype": _dtype_name(value.dtype)}
        case pd.Categorical():
            return "categorical", {
                "shape": [len(value)],
                "dtype": "category",
                "categories": len(value.categories),
            }
        case pd.DataFrame():
            return "table", {"shape": list(value.shape), "columns": list(map(str, value.columns))}
        case xr.DataArray():
            return "image", {"shape": list(value.shape), "dtype": str(value.dtype)}
        case Mapping():
            return "mapping", {"keys": sorted(map(str, value))}
        case str() | bool() | int() | float() | np.generic():
            return "scalar", {"dtype": type(value).__name__}
    if sp.issparse(value) or isinstance(value, ColumnStream):
        meta = {"shape": list(value.shape), "dtype": str(value.dtype), "nnz": int(value.nnz)}
        return "sparse", {**meta, "format": value.format}
    raise TypeError(f"a slot cannot hold a {type(value).__name__}")


def write(store: ZarrStore, name: str, value: Value, kind: str) -> None:
    """Write a value as element ``name`` of a zarr store (every kind but files and folders)."""
    import zarr

    group = zarr.open_group(store, mode="a", zarr_format=3)
    if kind == "sparse":
        _write_sparse(group, name, value)
    elif kind == "image":
        _write_image(group, name, value)
    elif kind == "array" and value.dtype.kind in "biufc":
        create_array(group, name, value, attributes=_ARRAY)
    else:
        write_plain(group, name, value)


def write_stream(store: ZarrStore, name: str, matrix: ColumnStream) -> str:
    """Write a matrix whose columns come a few at a time, and return its digest."""
    import numpy as np
    import zarr

    group = zarr.open_group(store, mode="a", zarr_format=3)
    digest = StreamDigest(matrix)
    node = group.create_group(name, attributes=_sparse_attributes(matrix))
    create_array(node, "indptr", matrix.indptr.astype(matrix.index_dtype), attributes=_ARRAY)
    kinds = (("data", matrix.dtype), ("indices", np.dtype(matrix.index_dtype)))
    arrays = [empty_array(node, part, (matrix.nnz,), kind, attributes=_ARRAY) for part, kind in kinds]
    size = (arrays[0].shards or arrays[0].chunks)[0]
    held: list[tuple[np.ndarray, np.ndarray]] = []
    written = 0
    for start, stop in matrix.stretches(size):
        held.append(matrix.entries(start, stop))
        digest.update(*held[-1])
        # Whole shards only: a shard that is written in parts is written as often.
        waiting = sum(len(data) for data, _ in held)
        ready = waiting if stop == matrix.shape[1] else waiting // size * size
        if ready:
            rest = []
            for array, parts in zip(arrays, zip(*held, strict=True), strict=True):
                joined = np.concatenate(parts)
                array[written : written + ready] = joined[:ready]
                rest.append(joined[ready:].copy())
            held, written = [(rest[0], rest[1])], written + ready
    return digest.hex()


def write_plain(group: zarr.Group, name: str, value: Value) -> None:
    """Write a small value (strings, categoricals, tables, mappings, scalars) through AnnData's own writer."""
    import anndata

    with settings():
        anndata.io.write_elem(group, name, _writable(value), dataset_kwargs=plain_codecs())


def read(node: zarr.Group | zarr.Array, kind: str) -> Value:
    """Read the element that is a node of a zarr store."""
    import numpy as np

    if kind == "sparse":
        return _read_sparse(node)
    if kind == "image":
        return _read_image(node)
    if kind == "array" and node.attrs["encoding-type"] == "array":
        return np.asarray(node[...])
    import anndata

    return _plain(anndata.io.read_elem(node))


class StoredElement:
    """A lazy handle on an object: :class:`spatialrun.steps.contract.Element`."""

    def __init__(self, backend: Backend, ref: ObjectRef) -> None:
        self._backend = backend
        self.ref = ref

    @property
    def meta(self) -> Mapping[str, Any]:
        """Shape, dtype, nnz ..., known without reading."""
        return self.ref.meta

    @property
    def path(self) -> Path:
        """The file or folder on a file system."""
        return self._backend.local(self.ref.path)

    def read(self) -> Value:
        """Load the whole value.

        Raises
        ------
        StoreError
            Where the object is missing or its bytes are not what was written.
        """
        if self.ref.kind == "file":
            content = self._backend.get(self.ref.path)
            if content is None:
                raise self._corrupt("is missing")
            value = FileBytes(content, self.ref.meta["suffix"])
            if value_digest(value) != self.ref.digest:
                raise self._corrupt("does not hold what was written")
            return value
        try:
            return read(self._node, self.ref.kind)
        except (KeyError, ValueError, OSError, RuntimeError, TypeError) as error:
            raise self._corrupt(f"cannot be read: {error}") from error

    def columns(self, start: int, stop: int) -> csc_matrix:
        """Load columns ``start`` to ``stop`` of a matrix as CSC.

        A CSC object is read only there; but a small one, of which a large part is asked for, once and for all.
        """
        from scipy.sparse import csc_matrix

        if self.ref.kind != "sparse" or self.ref.meta["format"] != "csc":
            return csc_matrix(self._whole[:, start:stop])
        try:
            indptr = self._indptr[start : stop + 1]
            span = slice(int(indptr[0]), int(indptr[-1]))
            data, indices = self._entries(span)
        except (KeyError, ValueError, OSError, RuntimeError) as error:
            raise self._corrupt(f"cannot be read: {error}") from error
        shape = (self.ref.meta["shape"][0], stop - start)
        matrix = csc_matrix(shape, dtype=data.dtype)
        matrix.data, matrix.indices, matrix.indptr = data, indices, (indptr - indptr[0]).astype(indices.dtype)
        return matrix

    def level(self, least: float) -> Value:
        """Load an image at the coarsest level that has ``least`` pixels along its longer side."""
        if self.ref.kind != "image":
            return self.read()
        try:
            return _read_image(self._node, least)
        except (KeyError, ValueError, OSError, RuntimeError, TypeError) as error:
            raise self._corrupt(f"cannot be read: {error}") from error

    def stream(self) -> ColumnStream:
        """Return a matrix as a stream of its columns; a CSC object is never read whole."""
        import numpy as np
        from scipy.sparse import csc_matrix

        if self.ref.kind != "sparse" or self.ref.meta["format"] != "csc":
            return ColumnStream.of(csc_matrix(self._whole))

        def entries(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
            try:
                data, indices = self._read_entries(slice(int(self._indptr[start]), int(self._indptr[stop])))
            except (KeyError, ValueError, OSError, RuntimeError) as error:
                raise self._corrupt(f"cannot be read: {error}") from error
            return data, indices

        shape, dtype = tuple(self.ref.meta["shape"]), np.dtype(self.ref.meta["dtype"])
        try:
            return ColumnStream(shape, dtype, np.asarray(self._indptr).astype(np.int64), entries)
        except (KeyError, ValueError, OSError, RuntimeError) as error:
            raise self._corrupt(f"cannot be read: {error}") from error

    def _entries(self, span: slice) -> tuple[Any, Any]:
        """Return a stretch of a sparse matrix's data and indices."""
        nnz = self.ref.meta["nnz"]
        if is_small(nnz) and (span.stop - span.start) * LARGE_PARTS >= nnz:
            data, indices = self._all_entries
            return data[span].copy(), indices[span].copy()
        return self._read_entries(span)

    @cached_property
    def _all_entries(self) -> tuple[Any, Any]:
        return self._read_entries(slice(0, self.ref.meta["nnz"]))

    def _read_entries(self, span: slice) -> tuple[Any, Any]:
        import numpy as np

        data, indices = self._parts
        if self._ahead is not None:
            data, indices = self._ahead.read([data, indices], span.start, span.stop)
            return data, indices
        return np.asarray(data[span]), np.asarray(indices[span])

    @cached_property
    def _parts(self) -> tuple[zarr.Array, zarr.Array]:
        return self._node["data"], self._node["indices"]

    @cached_property
    def _indptr(self) -> Any:
        return self._node["indptr"][...]

    @cached_property
    def _node(self) -> Any:
        import zarr

        from spatialrun.store.zarr_stores import StrictStore

        folder, _, name = self.ref.path.rpartition("/")
        store = self._ahead or self._backend.zarr(folder)
        return zarr.open(StrictStore(store), path=name, mode="r", zarr_format=3)

    @cached_property
    def _ahead(self) -> AheadStore | None:
        """The object, read ahead where files are a network away."""
        if not self._backend.remote:
            return None
        from spatialrun.store.ahead import AheadStore

        folder = self.ref.path.rpartition("/")[0]
        sizes = self._backend.sizes(self.ref.path)
        keys = {path[len(folder) + 1 :]: size for path, size in sizes.items()}
        return AheadStore(self._backend.zarr(folder), keys)

    @cached_property
    def _whole(self) -> Any:
        return self.read()

    def _corrupt(self, what: str) -> StoreError:
        return StoreError(
            "store.corrupt",
            f"the object {self.ref.path} {what}",
            where=Where(file=f"{self._backend.url}/{self.ref.path}"),
            hint=f"remove it and apply again, which computes it anew: {self._backend.removal(self.ref.path)}",
        )


def _write_sparse(group: zarr.Group, name: str, matrix: Any) -> None:
    if not matrix.has_sorted_indices:
        matrix = matrix.sorted_indices()
    node = group.create_group(name, attributes=_sparse_attributes(matrix))
    for part in ("data", "indices", "indptr"):
        create_array(node, part, getattr(matrix, part), attributes=_ARRAY)


def _sparse_attributes(matrix: Any) -> dict[str, Any]:
    encoding = {"encoding-type": f"{matrix.format}_matrix", "encoding-version": SPARSE_VERSION}
    return {**encoding, "shape": list(matrix.shape)}


def _read_sparse(node: zarr.Group) -> Any:
    import numpy as np
    import scipy.sparse as sp

    kind = sp.csc_matrix if node.attrs["encoding-type"] == "csc_matrix" else sp.csr_matrix
    shape = tuple(node.attrs["shape"])
    data, indices, indptr = (np.asarray(node[part][...]) for part in ("data", "indices", "indptr"))
    matrix = kind((data, indices, indptr), shape=shape)
    matrix.has_sorted_indices = True
    return matrix


def _write_image(group: zarr.Group, name: str, image: Any) -> None:
    channels = [str(c) for c in image.coords["c"].to_numpy()]
    node = group.create_group(name, attributes={"channels": channels, "attributes": dict(image.attrs)})
    pixels, names = image.to_numpy(), list(map(str, image.dims))
    levels = [
        empty_array(
            node, str(level), shape, pixels.dtype, dimension_names=names, tiling=pyramid.tiling(shape)
        )
        for level, size in enumerate(pyramid.sizes(*pixels.shape[1:]))
        if (shape := (pixels.shape[0], *size))
    ]
    for start, stop in pyramid.stripes(pixels.shape[1]):
        levels[0][:, start:stop] = pixels[:, start:stop]
    pyramid.fill(levels)


def _read_image(node: zarr.Group, least: float | None = None) -> Any:
    """The whole image, or a coarser level of at least so many pixels along its longer side."""
    import numpy as np
    import xarray as xr

    # Those that were stored before there were levels have one.
    there = [node[name] for name in sorted(node.array_keys(), key=int)] if least is not None else [node["0"]]
    array = there[0] if least is None else there[pyramid.enough([one.shape[1:] for one in there], least)]
    attributes = dict(node.attrs["attributes"])
    if "scalef" in attributes and array.shape != there[0].shape:
        # By the longer side: an odd edge of a level is rounded up.
        attributes["scalef"] *= max(array.shape[1:]) / max(there[0].shape[1:])
    coords = {"c": node.attrs["channels"]}
    dims = array.metadata.dimension_names
    return xr.DataArray(np.asarray(array[...]), dims=dims, coords=coords, attrs=attributes)


def _writable(value: Value) -> Value:
    """Give AnnData's writer the string type that it knows; nested mappings are handled by the writer itself."""
    import numpy as np
    import pandas as pd

    if isinstance(value, np.ndarray) and value.dtype.kind in "UT":
        return value.astype(object)
    if isinstance(value, pd.DataFrame):
        return value.set_axis([str(c) for c in value.columns], axis=1)
    return value


def _plain(value: Value) -> Value:
    """Turn arrays of zarr's string type, which few libraries know, into arrays of Python strings.

    The names of a mapping are sorted: a folder gives them in an order of its own, and files that are made of the
    mapping would show it.
    """
    import numpy as np

    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, np.ndarray) and value.dtype.kind == "T":
        return value.astype(object)
    return value


def _dtype_name(dtype: Any) -> str:
    return "string" if dtype.kind in "OUT" else str(dtype)
