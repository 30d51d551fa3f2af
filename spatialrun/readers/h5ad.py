"""An ``.h5ad`` file: its headers for the planner, its counts and everything that goes with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from spatialrun.errors import DataError, Where
from spatialrun.readers.hdf5 import open_hdf5
from spatialrun.readers.headers import TOTALS, Headers, Size
from spatialrun.readers.table import SEPARATORS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from scipy.sparse import csc_matrix

    from spatialrun.readers.sample import Sample, Warn

    CountsOf = Callable[[Any, Sequence[str], Sequence[str], Where], Any]

COUNTS = ("layers/counts", "raw/X", "X")
"""Where counts are looked for, in this order."""

PROBE = 4096
"""How many stored values decide whether a matrix of floats holds counts, before it is read."""

COORDINATE_COLUMNS = (("x", "y"), ("array_col", "array_row"))
"""Obs columns that stand in for a missing ``obsm/spatial``, in this order."""


def locate(path: str | Path) -> Path:
    """Check that the file is there, without opening it.

    Raises
    ------
    DataError
        ``data.missing-file``.
    """
    from difflib import get_close_matches

    file = Path(path)
    if file.is_file():
        return file
    beside = sorted(entry.name for entry in file.parent.glob("*.h5ad")) if file.parent.is_dir() else []
    near = get_close_matches(file.name, beside, n=1, cutoff=0.3)
    hint = f"Did you mean {file.parent / near[0]}?" if near else None
    if file.is_dir():
        what = "is a folder, not an .h5ad file"
        hint = "A Space Ranger folder is read by read.visium, a zarr store by read.zarr."
    else:
        what = "does not exist"
    raise DataError("data.missing-file", f"{file} {what}", where=Where(file=str(file)), hint=hint)


def _opened(path: Path) -> AbstractContextManager[Any]:
    """The open file; one that is none, but is named as a table, is said to be for another reader."""
    is_table = Path(path.name.removesuffix(".gz")).suffix.lower() in SEPARATORS
    return open_hdf5(path, otherwise="A table of counts is read by read.table." if is_table else None)


def headers(path: str | Path) -> Headers:
    """What `read` will bring: size and names, from the headers and a few thousand stored values.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.bad-file``; ``data.counts`` when no matrix of the file holds counts.
    """
    path = locate(path)
    with _opened(path) as file:
        return headers_of(file, path)


def headers_of(group: Any, path: Path) -> Headers:
    """What `sample_of` will bring."""
    source = _counts_source(group, path)
    shape, nnz = _shape(group[source]), _stored(group[source])
    var = group["raw/var"] if source == "raw/X" else group["var"]
    columns = _columns(group["obs"], path)
    return Headers(
        size=Size(shape[0], shape[1], nnz),
        obs=(*(name for name in columns if name not in TOTALS), *TOTALS),
        var=_columns(var, path),
        obsm=("spatial", *sorted(set(_arrays(group)) - {"spatial"})),
        images=tuple(_library(group).get("images", {})),
    )


def peek(path: str | Path) -> Size:
    """Number of spots, genes and stored counts."""
    return headers(path).size


def read(path: str | Path, *, warn: Warn = lambda _: None) -> Sample:
    """Read counts, obs, var, obsm and what scanpy keeps in ``uns["spatial"]``.

    Counts come from ``layers/counts``, else ``raw/X`` (with the genes of ``raw/var``), else ``X``; those of
    the last two that do not hold whole numbers are passed over. Coordinates come from ``obsm/spatial``, else
    the obs columns ``x`` and ``y``, else ``array_col`` and ``array_row``.

    Parameters
    ----------
    path
        The file.
    warn
        Called with a line on each thing that was mended.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.bad-file``, ``data.counts``, ``data.coordinates``, ``data.image``,
        ``data.empty``.
    """
    path = locate(path)
    with _opened(path) as file:
        return sample_of(file, path, _whole, warn)


def _whole(element: Any, spots: Sequence[str], genes: Sequence[str], where: Where) -> csc_matrix:
    """Counts in memory."""
    from anndata.io import read_elem

    from spatialrun.readers.counts import canonical_counts

    try:
        matrix = read_elem(element)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise DataError("data.bad-file", f"the counts cannot be read: {error}", where=where) from error
    return canonical_counts(matrix, spots=spots, genes=genes, where=where)


def sample_of(group: Any, path: Path, counts_of: CountsOf, warn: Warn) -> Sample:
    """Read a sample from an open group in AnnData's encoding, of HDF5 or zarr.

    Parameters
    ----------
    group, path
        The group, and what errors call its file.
    counts_of
        Takes the element with the counts, names of spots and genes, and the place that an error names; returns
        checked counts.
    warn
        As for `read`.
    """
    import numpy as np
    import pandas as pd
    from anndata.io import read_elem

    from spatialrun.readers.positions import check_coordinates
    from spatialrun.readers.sample import Sample, make_unique, some, with_totals

    where = Where(file=str(path))
    source = _counts_source(group, path)
    try:
        obs: pd.DataFrame = read_elem(group["obs"])
        var: pd.DataFrame = read_elem(group["raw/var" if source == "raw/X" else "var"])
        obsm = {name: np.asarray(read_elem(group["obsm"][name])) for name in _arrays(group)}
        library = {name: read_elem(part) for name, part in _library(group).items()}
    except (ValueError, TypeError, NotImplementedError) as error:
        raise DataError("data.bad-file", f"{path.name} cannot be read: {error}", where=where) from error
    if not len(obs) or not len(var):
        raise DataError("data.empty", f"{path.name} has {len(obs)} spots and {len(var)} genes", where=where)
    obs.index, var.index = obs.index.astype(str), var.index.astype(str)
    if obs.index.has_duplicates:
        again = some(obs.index[obs.index.duplicated()])
        raise DataError("data.barcodes", f"spots of the same name: {again}", where=where)
    counts = counts_of(group[source], _names(obs), _names(var), Where(file=str(path), slot=source))
    symbols, twice = make_unique(var.index)
    if twice:
        warn(f"{len(twice)} gene symbols stand for several genes and got a number: {some(twice)}")
        var.index = pd.Index(symbols, dtype=object)
    spatial = _coordinates(obsm.pop("spatial", None), obs, where=where, warn=warn)
    check_coordinates(spatial, list(obs.index), where=where)
    if "in_tissue" in obs:
        obs["in_tissue"] = _in_tissue(obs["in_tissue"], Where(file=str(path), slot="obs/in_tissue"))
    return Sample(
        counts=counts,
        obs=with_totals(obs.drop(columns=[name for name in TOTALS if name in obs]), counts),
        var=var,
        spatial=spatial,
        scalefactors={name: float(value) for name, value in library.get("scalefactors", {}).items()},
        images={name: _pixels(image, name, where) for name, image in library.get("images", {}).items()},
        obsm=obsm,
        metadata={name: str(value) for name, value in library.get("metadata", {}).items()},
    )


def _in_tissue(column: pd.Series, where: Where) -> pd.Series:
    """Whether spots are in the tissue: 1 or 0, true or false, as numbers or text."""
    import pandas as pd

    words = {"True": 1, "False": 0}
    known = pd.to_numeric(column.astype(object).map(lambda value: words.get(value, value)), errors="coerce")
    if known.isna().any():
        raise DataError(
            "data.values",
            f"of {int(known.isna().sum())} of {len(column)} spots it is not said whether they are in the tissue",
            where=where,
            hint="fill in_tissue with 1 or 0, or drop the column: all spots are kept then",
        )
    return known.astype(bool)


def _counts_source(file: Any, path: Path) -> str:
    """The path within the file of the matrix that holds counts."""
    looked = []
    for source in COUNTS:
        if source not in file:
            looked.append(f"{source} (absent)")
        elif source != "layers/counts" and not _looks_whole(file[source]):
            looked.append(f"{source} (not whole numbers)")
        else:
            return source
    raise DataError(
        "data.counts",
        f"{path.name} has no counts: looked for {', '.join(looked)}",
        where=Where(file=str(path)),
        hint="Save the raw counts as a layer: adata.layers['counts'].",
    )


def _looks_whole(element: Any) -> bool:
    """Whether a matrix is of an integer type, or the first of its values are whole numbers."""
    import numpy as np

    values = element["data"] if _is_group(element) else element
    if values.dtype.kind in "biu":
        return True
    first = values[:PROBE] if values.ndim == 1 else values[: max(1, PROBE // max(1, values.shape[1]))]
    with np.errstate(invalid="ignore"):
        # NaN and negative values pass here: the check of all counts names the gene and the spot.
        return bool(((first == np.trunc(first)) | np.isnan(first)).all())


def _is_group(element: Any) -> bool:
    """Whether an element is a group, of HDF5 or zarr, and not an array."""
    return hasattr(element, "keys")


def _shape(element: Any) -> tuple[int, int]:
    n_spots, n_genes = element.attrs["shape"] if _is_group(element) else element.shape
    return int(n_spots), int(n_genes)


def _stored(element: Any) -> int | None:
    return int(element["data"].shape[0]) if _is_group(element) else None


def _columns(frame: Any, path: Path) -> tuple[str, ...]:
    if "column-order" not in frame.attrs:
        raise DataError(
            "data.bad-file",
            f"{frame.name} of {path.name} is not a table as anndata writes it since 0.7",
            where=Where(file=str(path)),
            hint="Open it with anndata and save it again.",
        )
    return tuple(str(name) for name in frame.attrs["column-order"])


def _arrays(file: Any) -> list[str]:
    """Names in obsm that are plain arrays; tables and sparse matrices are left to their owners."""
    if "obsm" not in file:
        return []
    return [str(name) for name in sorted(file["obsm"]) if not _is_group(file["obsm"][name])]


def _library(file: Any) -> Mapping[str, Any]:
    """The groups of the one library in ``uns/spatial``; nothing where there are several samples or none."""
    names = list(file["uns/spatial"]) if "uns/spatial" in file else []
    if len(names) != 1 or not _is_group(library := file["uns/spatial"][names[0]]):
        return {}
    return {str(name): library[name] for name in library}


def _coordinates(array: np.ndarray | None, obs: pd.DataFrame, *, where: Where, warn: Warn) -> np.ndarray:
    import numpy as np

    if array is not None:
        if array.ndim != 2 or array.shape[1] < 2:
            raise DataError(
                "data.coordinates", f"obsm/spatial has shape {array.shape}, not (spots, 2)", where=where
            )
        if array.shape[1] > 2:
            warn(f"obsm/spatial has {array.shape[1]} columns; x and y are the first two")
        return np.ascontiguousarray(array[:, :2], dtype=np.float64)
    for x, y in COORDINATE_COLUMNS:
        if x in obs and y in obs:
            warn(f"no obsm/spatial: x, y are the obs columns {x}, {y}")
            return obs[[x, y]].to_numpy(np.float64)
    raise DataError(
        "data.coordinates",
        "no coordinates: looked for obsm/spatial and the obs columns x and y, array_col and array_row",
        where=where,
    )


def _pixels(image: np.ndarray, name: str, where: Where) -> np.ndarray:
    """An image as scanpy keeps it, (y, x, c) of 0 to 1 or 0 to 255, as (3, y, x) uint8."""
    import numpy as np

    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype.kind not in "uif":
        raise DataError(
            "data.image", f"image {name} is {image.dtype} of shape {image.shape}, not RGB", where=where
        )
    scaled = np.round(image * 255.0) if image.dtype.kind == "f" and image.max(initial=0) <= 1 else image
    return np.ascontiguousarray(scaled[:, :, :3].astype(np.uint8).transpose(2, 0, 1))


def _names(table: pd.DataFrame) -> Sequence[str]:
    """A table's index, which nothing copies: it may be of half a million names."""
    names: Any = table.index
    return cast("Sequence[str]", names)
