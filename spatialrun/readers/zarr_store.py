"""A zarr store of AnnData or SpatialData, of zarr's format 2 or 3: one table as a sample, with its images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialrun.errors import DataError, RecipeError, Where
from spatialrun.readers import h5ad
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
    images
        Name of an image, as the sample has it, to its path within the store.
    """

    root: Path
    table: str
    images: Mapping[str, str]

    def files(self) -> dict[str, Path]:
        """Name to path of every file that belongs to the table and its images: what identifies the input."""
        return {
            file.relative_to(self.root).as_posix(): file
            for part in (self.table, *self.images.values())
            for file in _files(self.root / part)
        }


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
        stored = sorted(map(str, group["images"])) if "images" in group else []
        mine = [image for image in stored if image.startswith(f"{name}_")]
        images = mine or (stored if len(tables) == 1 else [])
        return Located(root, tables[name], {_called(image, name): f"images/{image}" for image in images})


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
        images = [name for name, place in located.images.items() if _Image.of(group[place]) is not None]
        return replace(
            found,
            obs=tuple(name for name in found.obs if name not in own),
            images=tuple(dict.fromkeys([*images, *found.images])),
        )


def read(located: Located, scratch: Path, *, reporter: Reporter) -> Sample:
    """Read a table, and the images that belong to it.

    Counts and coordinates are looked for as in an h5ad file (`spatialrun.readers.h5ad.read`); columns that only
    link the table to its shapes are left out. Of an image the finest level is read that is not too large
    (`spatialrun.readers.images.MAX_PIXELS`); its scale is that of ``uns/spatial``, or else of its transformation
    to the global coordinates.

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
        for name, place in located.images.items():
            image = _Image.of(group[place])
            if image is None:
                reporter.warn(f"{place} is no image of 8 bits in red, green and blue, and is left out")
                continue
            pixels, scalef = image.read()
            known = scalefactors.get(f"tissue_{name}_scalef")
            # A coarser level of the image has fewer pixels than the scale factor tells of.
            scalefactors[f"tissue_{name}_scalef"] = known * image.shrunk if known else scalef
            images[name] = pixels
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


def _called(image: str, table: str) -> str:
    """An image's name in the sample: ``p1_hires``, ``p1_hires_image`` of table p1 are its ``hires``."""
    return image.removeprefix(f"{table}_").removesuffix("_image") or image


@dataclass(frozen=True, eq=False)
class _Image:
    """A level of an OME-NGFF image."""

    array: Any
    shrunk: float
    """Its size over that of the finest level."""
    scalef: float

    @classmethod
    def of(cls, group: zarr.Group) -> _Image | None:
        """The finest level that can be read; ``None`` where it is no image of three colours."""
        from spatialrun.readers.images import MAX_PIXELS

        attributes = dict(group.attrs)
        multiscales = attributes.get("ome", attributes).get("multiscales")
        if not multiscales:
            return None
        (scales,) = multiscales[:1]
        names = [axis["name"] for axis in scales.get("axes", [])]
        levels = [group[level["path"]] for level in scales["datasets"]]
        finest = levels[0]
        if names != ["c", "y", "x"] or finest.shape[0] < 3 or finest.dtype != "uint8":
            return None
        fitting = [level for level in levels if level.shape[1] * level.shape[2] <= MAX_PIXELS]
        if not fitting:
            return None
        to_global = _scale([*scales["datasets"][0].get("coordinateTransformations", []), *_whole(scales)])
        shrunk = fitting[0].shape[2] / finest.shape[2]
        return cls(fitting[0], shrunk, shrunk / to_global)

    def read(self) -> tuple[np.ndarray, float]:
        """(3, y, x) uint8, and its pixels per unit of the global coordinates."""
        import numpy as np

        return np.ascontiguousarray(self.array[:3]), self.scalef


def _whole(scales: Mapping[str, Any]) -> list[Any]:
    """Transformations of the image to the global coordinates."""
    found: list[Any] = scales.get("coordinateTransformations", [])
    to_global = [one for one in found if one.get("output", {}).get("name", "global") == "global"]
    return to_global[:1]


def _scale(transformations: Sequence[Mapping[str, Any]]) -> float:
    """How long a pixel is along x; what is no scale (a shift, a rotation) does not change it."""
    scale = 1.0
    for one in transformations:
        if one.get("type") == "scale":
            scale *= float(one["scale"][-1])
        elif one.get("type") == "sequence":
            scale *= _scale(one.get("transformations", []))
    return scale


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
