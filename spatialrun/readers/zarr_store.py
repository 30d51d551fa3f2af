"""A zarr store of AnnData or SpatialData, of zarr's format 2 or 3: one table as a sample, with its images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialrun.errors import DataError, RecipeError, Where
from spatialrun.readers import h5ad, zarr_images
from spatialrun.readers.headers import Headers

if TYPE_CHECKING:
    import numpy as np
    import zarr

    from spatialrun.methods.reporter import Reporter
    from spatialrun.readers.sample import Sample
    from spatialrun.values import ColumnStream

TABLES = ("tables", "table")
"""Groups of a SpatialData store that hold its tables."""
PART = 1 << 22
"""Entries of the matrix that are sorted by gene at once."""
_METADATA = ("zarr.json", ".zgroup", ".zattrs")
_LINKS = ("region_key", "instance_key")


@dataclass(frozen=True)
class Located:
    """A table in its store.

    Attributes
    ----------
    root
        The store's folder.
    table
        The table's path within it; empty where the store is the table.
    images, region, strays
        As `spatialrun.readers.zarr_images.Owned` has them.
    """

    root: Path
    table: str
    images: Mapping[str, str]
    region: str | None = None
    strays: tuple[str, ...] = ()

    def files(self) -> dict[str, Path]:
        """Name to path of every file that belongs to the table and its images: what identifies the input.

        Of the shapes only what they say of themselves: how the images lie under the spots depends on it.
        """
        files = [file for part in (self.table, *self.images.values()) for file in _files(self.root / part)]
        if self.region is not None:
            said = (self.root / self.region / name for name in _METADATA)
            files += [file for file in said if file.is_file()]
        return {file.relative_to(self.root).as_posix(): file for file in files}


def is_store(path: Path) -> bool:
    """Whether a folder is a zarr group."""
    return any((path / name).is_file() for name in _METADATA[:2])


def locate(path: str | Path, *, table: str | None = None) -> Located:
    """Find a table and its images in a zarr store.

    Parameters
    ----------
    path
        The store's folder: of SpatialData, or of AnnData.
    table
        Which table of a SpatialData store; ``None`` where there is one.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.bad-file``: no store, or one without a table.
    RecipeError
        ``recipe.missing-key`` where there are several tables, ``recipe.out-of-range`` where none is so called.
    """
    root = Path(path)
    where = Where(file=str(root))
    if not is_store(root):
        what = "is not a zarr store" if root.exists() else "does not exist"
        raise DataError("data.missing-file", f"{root} {what}", where=where, hint="Give its folder, *.zarr.")
    with _opened(root) as group:
        tables = {
            str(name): f"{place}/{name}"
            for place in TABLES
            if place in group
            for name in sorted(group[place])
            if (root / place / name).is_dir() and "obs" in group[place][name]
        }
        if not tables and "obs" in group and "var" in group:
            return Located(root, "", {})
        if not tables:
            raise DataError(
                "data.bad-file",
                f"{root.name} is neither an AnnData nor a SpatialData store: it holds "
                f"{', '.join(sorted(map(str, group))) or 'nothing'}",
                where=where,
            )
        if table is None and len(tables) > 1:
            raise RecipeError(
                "recipe.missing-key",
                f"{root.name} has several tables: {', '.join(tables)}",
                where=where,
                hint="`table` says which one this sample is.",
            )
        name = table or next(iter(tables))
        if name not in tables:
            raise RecipeError(
                "recipe.out-of-range",
                f"{root.name} has no table {name!r}, but {', '.join(tables)}",
                where=where,
            )
        own = zarr_images.owned(group, name, tables)
        return Located(root, tables[name], own.images, own.region, own.strays)


def headers(located: Located) -> Headers:
    """What `read` will bring: size and names, from the headers and a few thousand stored values.

    Raises
    ------
    DataError
        ``data.bad-file``, ``data.counts``.
    """
    with _opened(located.root) as group:
        table = group[located.table] if located.table else group
        found = h5ad.headers_of(table, located.root)
        own = {str(table.attrs[key]) for key in _LINKS if key in table.attrs}
        images, _ = zarr_images.placed(group, located.images, located.region, _scalefactors(table))
        return replace(
            found,
            obs=tuple(name for name in found.obs if name not in own),
            images=tuple(dict.fromkeys([*images, *found.images])),
        )


def read(located: Located, scratch: Path, *, reporter: Reporter) -> Sample:
    """Read a table, and the images that belong to it.

    Counts and coordinates are looked for as in an h5ad file (`spatialrun.readers.h5ad.read`); columns that only
    link the table to its shapes are left out. Of an image the finest level is read that is not too large
    (`spatialrun.readers.images.MAX_PIXELS`); its scale is that of ``uns/spatial``, or else follows from the
    coordinate system that it shares with the table's shapes. One that no scale lays under the spots is left out.

    Parameters
    ----------
    located
        From `locate`.
    scratch
        Folder for the counts by gene, as for `spatialrun.readers.visium_hd.read`.
    reporter
        Told of what was mended, and of the progress.

    Returns
    -------
    Sample
        ``counts`` are a stream.

    Raises
    ------
    DataError
        ``data.bad-file``, ``data.counts``, ``data.coordinates``, ``data.empty``.
    """
    with _opened(located.root) as group:
        table = group[located.table] if located.table else group

        def counts_of(element: Any, spots: Sequence[str], genes: Sequence[str], where: Where) -> ColumnStream:
            return _transposed(element, spots, genes, where, scratch, reporter)

        sample = h5ad.sample_of(table, located.root, counts_of, reporter.warn)
        links = [str(table.attrs[key]) for key in _LINKS if key in table.attrs]
        scalefactors, images = dict(sample.scalefactors), dict(sample.images)
        placed, left_out = zarr_images.placed(group, located.images, located.region, scalefactors)
        for line in left_out:
            reporter.warn(line)
        for stray in located.strays:
            tables = ", ".join(sorted(group[located.table.partition("/")[0]]))
            reporter.warn(f"{stray} is left out: nothing tells which of the tables {tables} it belongs to")
        for name, image in placed.items():
            scalefactors[f"tissue_{name}_scalef"] = image.scalef
            images[name] = image.read()
    return replace(
        sample,
        obs=sample.obs.drop(columns=[name for name in links if name in sample.obs]),
        scalefactors=scalefactors,
        images=images,
    )


@contextmanager
def _opened(root: Path) -> Iterator[zarr.Group]:
    """The open store; whatever is wrong with it ends as one coded error."""
    import zarr

    try:
        yield zarr.open_group(str(root), mode="r")
    except (DataError, RecipeError):
        raise
    except (KeyError, ValueError, TypeError, OSError, RuntimeError) as error:
        raise DataError(
            "data.bad-file",
            f"{root.name} cannot be read: {error}",
            where=Where(file=str(root)),
            hint="It is damaged, incomplete, or of a kind that is not known.",
        ) from error


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(place, name)


def _scalefactors(table: zarr.Group) -> dict[str, float]:
    """Scale factors of the one library in ``uns/spatial``, as `spatialrun.readers.h5ad.sample_of` has them."""
    libraries = list(table["uns/spatial"]) if "uns/spatial" in table else []
    if len(libraries) != 1 or (place := f"uns/spatial/{libraries[0]}/scalefactors") not in table:
        return {}
    return {str(name): float(value[()]) for name, value in table[place].arrays()}


def _transposed(
    element: Any,
    spots: Sequence[str],
    genes: Sequence[str],
    where: Where,
    scratch: Path,
    reporter: Reporter,
) -> ColumnStream:
    """Counts of any encoding, checked, as a stream of columns."""
    import numpy as np
    from scipy.sparse import csc_matrix

    from spatialrun.readers.counts import canonical_counts
    from spatialrun.readers.transposition import Transposition

    folder = scratch / f"parts-{PART}"
    folder.mkdir(exist_ok=True)
    shape = (len(spots), len(genes))
    transposition = Transposition(folder, shape, ordered=True)
    kind = str(element.attrs.get("encoding-type", ""))
    by_gene = kind == "csc_matrix"
    ends = _ends(element, shape, by_gene)
    start = number = 0
    while start < len(ends) - 1:
        stop = int(ends.searchsorted(ends[start] + PART, side="right")) - 1
        stop = min(max(stop, start + 1), len(ends) - 1)
        if not transposition.holds(number):
            part = _part(element, kind, ends, start, stop, shape)
            mine = slice(start, stop)
            counts = canonical_counts(
                part,
                spots=spots if by_gene else spots[mine],
                genes=genes[mine] if by_gene else genes,
                where=where,
            )
            if by_gene:
                indptr = np.zeros(shape[1] + 1, dtype=np.int64)
                indptr[start : stop + 1] = counts.indptr
                indptr[stop + 1 :] = counts.indptr[-1]
                whole = csc_matrix((counts.data, counts.indices, indptr), shape=shape)
            else:
                whole = csc_matrix((counts.data, counts.indices + start, counts.indptr), shape=shape)
            transposition.add(number, whole)
        reporter.progress(int(ends[stop]), int(ends[-1]), "counts")
        start, number = stop, number + 1
    return transposition.stream()


def _ends(element: Any, shape: tuple[int, int], by_gene: bool) -> np.ndarray:
    """Where the entries of each gene (by gene) or spot begin, and where the last end."""
    import numpy as np

    if not hasattr(element, "keys"):
        return np.arange(shape[0] + 1, dtype=np.int64) * shape[1]
    ends: np.ndarray = np.asarray(element["indptr"][...]).astype(np.int64)
    if len(ends) != shape[by_gene] + 1 or (np.diff(ends) < 0).any() or ends[-1] != element["data"].shape[0]:
        raise ValueError(f"the matrix's indptr does not fit its shape {shape}")
    return ends


def _part(element: Any, kind: str, ends: np.ndarray, start: int, stop: int, shape: tuple[int, int]) -> Any:
    import numpy as np
    from scipy.sparse import csc_matrix, csr_matrix

    if not hasattr(element, "keys"):
        return np.asarray(element[start:stop])
    span = slice(int(ends[start]), int(ends[stop]))
    arrays = (
        np.asarray(element["data"][span]),
        np.asarray(element["indices"][span]),
        ends[start : stop + 1] - span.start,
    )
    if kind == "csc_matrix":
        return csc_matrix(arrays, shape=(shape[0], stop - start))
    return csr_matrix(arrays, shape=(stop - start, shape[1]))
