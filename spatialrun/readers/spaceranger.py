"""A Space Ranger folder: found and checked first (`locate`), sized (`headers`), then read (`read`)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spatialrun.errors import DataError, Where
from spatialrun.readers.headers import TOTALS, Headers, Size
from spatialrun.readers.misspelt import meant

if TYPE_CHECKING:
    from spatialrun.readers.sample import Sample, Warn

MatrixKind = Literal["auto", "filtered", "raw"]

POSITIONS = ("tissue_positions.csv", "tissue_positions.parquet", "tissue_positions_list.csv")
SCALEFACTORS = "scalefactors_json.json"
IMAGES = ("hires", "lowres")


@dataclass(frozen=True)
class SpaceRangerFiles:
    """The files of a Space Ranger folder that are read, by role.

    ``matrix`` is an h5 file, or a ``matrix.mtx(.gz)`` that goes with ``features`` and ``barcodes``.
    ``SpaceRangerFiles(**files.roles()) == files``.
    """

    matrix: Path
    positions: Path
    scalefactors: Path
    features: Path | None = None
    barcodes: Path | None = None
    hires: Path | None = None
    lowres: Path | None = None

    def roles(self) -> dict[str, Path]:
        """Role to file, in a fixed order, absent files left out: what identifies the input by content."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: path for name, path in pairs if path is not None}

    @property
    def images(self) -> dict[str, Path]:
        """Name of the image to file: ``hires`` and ``lowres``, where they are."""
        return {name: path for name, path in self.roles().items() if name in IMAGES}


def locate(path: str | Path, *, matrix: MatrixKind = "auto") -> SpaceRangerFiles:
    """Find the files of a Space Ranger folder without opening them.

    Parameters
    ----------
    path
        The ``outs`` folder, the folder above it, or any folder that holds a matrix and ``spatial/``.
    matrix
        ``filtered`` (spots on tissue), ``raw`` (all spots), or ``auto``: filtered, else raw. An h5 file is
        preferred to a folder of text files.

    Raises
    ------
    DataError
        ``data.missing-file``: says what was looked for, and the nearest thing that is there.
    """
    return files_of(_root(Path(path)), matrix)


def files_of(root: Path, matrix: MatrixKind) -> SpaceRangerFiles:
    """The files of the folder that holds the matrix and ``spatial/`` itself."""
    kinds = ("filtered", "raw") if matrix == "auto" else (matrix,)
    names = [name for kind in kinds for name in (f"{kind}_feature_bc_matrix.h5", f"{kind}_feature_bc_matrix")]
    found = next((root / name for name in names if (root / name).exists()), None)
    if found is None:
        raise _missing("a counts matrix", names, root)
    spatial = root / "spatial"
    images = {name: spatial / f"tissue_{name}_image.png" for name in IMAGES}
    return SpaceRangerFiles(
        **(_text_files(found) if found.is_dir() else {"matrix": found}),
        positions=_first("the spots' positions", spatial, POSITIONS),
        scalefactors=_first("the scale factors", spatial, (SCALEFACTORS,)),
        **{name: image for name, image in images.items() if image.is_file()},
    )


def headers(files: SpaceRangerFiles) -> Headers:
    """What `read` will bring, from the headers of the matrix alone.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.bad-file``.
    """
    from spatialrun.readers import matrix

    if files.features is None:
        size, has_genome = matrix.size_of_hdf5(files.matrix)
    else:
        size, has_genome = matrix.size_of_mtx(files.matrix), False
    return Headers(
        size=size,
        obs=("in_tissue", "array_row", "array_col", *TOTALS),
        var=("gene_ids", "feature_types", *(["genome"] if has_genome else [])),
        images=tuple(files.images),
    )


def peek(files: SpaceRangerFiles) -> Size:
    """Number of spots, genes and stored counts, from the headers of the matrix."""
    return headers(files).size


def read(
    files: SpaceRangerFiles,
    *,
    unplaced: Literal["error", "drop"] = "error",
    warn: Warn = lambda _: None,
) -> Sample:
    """Read a located Space Ranger folder.

    Parameters
    ----------
    files
        From `locate`.
    unplaced
        What to do about barcodes of the matrix that the positions lack: stop, or leave these spots out with a
        warning.
    warn
        Called with a line on each thing that was mended: symbols made unique, features left out.

    Returns
    -------
    Sample
        Spots in the order of the matrix, barcodes as they stand there. Only ``Gene Expression`` features.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.bad-file``, ``data.barcodes``, ``data.counts``, ``data.coordinates``,
        ``data.image``, ``data.empty``.
    """
    import numpy as np
    import pandas as pd

    from spatialrun.readers.counts import canonical_counts
    from spatialrun.readers.images import read_image
    from spatialrun.readers.matrix import GENE_EXPRESSION, read_hdf5, read_mtx
    from spatialrun.readers.positions import check_coordinates, place, read_positions
    from spatialrun.readers.sample import Sample, make_unique, some, with_totals
    from spatialrun.readers.scalefactors import read_scalefactors

    if files.features is None or files.barcodes is None:
        found = read_hdf5(files.matrix)
    else:
        found = read_mtx(files.matrix, files.features, files.barcodes)
    in_matrix, in_positions = Where(file=str(files.matrix)), Where(file=str(files.positions))

    types = np.array(found.feature_types, dtype=object)
    genes = np.flatnonzero(types == GENE_EXPRESSION)
    if len(genes) < len(types):
        others = sorted(set(types) - {GENE_EXPRESSION})
        warn(f"{len(types) - len(genes)} features are not gene expression and are left out: {some(others)}")
    if not found.barcodes or not len(genes):
        raise DataError(
            "data.empty",
            f"{files.matrix.name} has {len(found.barcodes)} spots and {len(genes)} genes",
            where=in_matrix,
        )
    symbols, twice = make_unique(found.symbols[i] for i in genes)
    if twice:
        warn(f"{len(twice)} gene symbols stand for several genes and got a number: {some(twice)}")

    positions = read_positions(files.positions)
    kept, rows = place(found.barcodes, positions, where=in_positions, unplaced=unplaced)
    barcodes = [found.barcodes[i] for i in kept]
    if lost := len(found.barcodes) - len(kept):
        warn(f"{lost} of {len(found.barcodes)} spots have no position and are left out")
    spots = positions.iloc[rows].set_axis(pd.Index(barcodes, dtype=object), axis=0)
    spatial = spots[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64)
    check_coordinates(spatial, barcodes, where=in_positions)

    # Checked whole, before anything is left out: a matrix with one impossible count is not to be trusted.
    counts = canonical_counts(found.counts, spots=found.barcodes, genes=found.symbols, where=in_matrix)
    if counts.shape != (len(kept), len(genes)):
        counts = counts[:, genes][kept]
        counts.sort_indices()
    if not counts.nnz:
        warn("the matrix holds no count at all")

    var = {
        "gene_ids": np.array(found.ids, dtype=object)[genes],
        "feature_types": pd.Categorical(types[genes]),
    }
    if found.genomes is not None:
        var["genome"] = pd.Categorical(np.array(found.genomes, dtype=object)[genes])
    scalefactors = read_scalefactors(files.scalefactors)
    for name in files.images:
        if f"tissue_{name}_scalef" not in scalefactors:
            raise DataError(
                "data.bad-file",
                f"{files.scalefactors.name} lacks tissue_{name}_scalef, the scale of the {name} image",
                where=Where(file=str(files.scalefactors)),
            )
    return Sample(
        counts=counts,
        obs=with_totals(spots[["in_tissue", "array_row", "array_col"]], counts),
        var=pd.DataFrame(var, index=pd.Index(symbols, dtype=object)),
        spatial=spatial,
        scalefactors=scalefactors,
        images={name: read_image(image) for name, image in files.images.items()},
        metadata=found.metadata,
    )


def _root(path: Path) -> Path:
    """The folder that holds the matrix and ``spatial/``: ``path`` itself, or its ``outs``."""
    where = Where(file=str(path))
    if not path.is_dir():
        what = "is a file, not a Space Ranger folder" if path.exists() else "does not exist"
        near = meant(path)
        hint = (
            "Give the folder that holds the matrix and spatial/."
            if path.exists()
            else f"Did you mean {near}?"
            if near
            else None
        )
        raise DataError("data.missing-file", f"{path} {what}", where=where, hint=hint)
    for root in (path, path / "outs"):
        if (root / "spatial").is_dir():
            return root
    if (path / "binned_outputs").is_dir() or (path / "outs" / "binned_outputs").is_dir():
        hint = "This is Visium HD: use read.visium_hd, or give one folder of binned_outputs."
    elif (path.parent / "spatial").is_dir():
        hint = f"Give the folder above it: {path.parent}"
    elif below := sorted(path.glob("*/spatial")) + sorted(path.glob("*/outs/spatial")):
        hint = f"Did you mean {below[0].parent}?"
    else:
        hint = "Give the folder 'outs' that Space Ranger wrote."
    raise DataError(
        "data.missing-file",
        f"no folder spatial/ in {path} or {path / 'outs'} (found: {_listed(path)})",
        where=where,
        hint=hint,
    )


def _text_files(folder: Path) -> dict[str, Path]:
    """Matrix, features and barcodes of a folder in Matrix Market format."""
    lists = {
        "matrix": ("matrix.mtx.gz", "matrix.mtx"),
        "features": ("features.tsv.gz", "features.tsv", "genes.tsv.gz", "genes.tsv"),
        "barcodes": ("barcodes.tsv.gz", "barcodes.tsv"),
    }
    return {role: _first(f"the {role} of the counts", folder, names) for role, names in lists.items()}


def _first(what: str, folder: Path, names: tuple[str, ...]) -> Path:
    """The first of ``names`` that is a file in ``folder``."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise _missing(what, names, folder)


def _missing(what: str, names: list[str] | tuple[str, ...], folder: Path) -> DataError:
    present = _listing(folder)
    near = list(dict.fromkeys(match for name in names for match in get_close_matches(name, present, n=1)))
    return DataError(
        "data.missing-file",
        f"{what} is not in {folder}: looked for {', '.join(names)}",
        where=Where(file=str(folder)),
        hint=f"Nearest there: {', '.join(near)}." if near else f"The folder holds {_listed(folder)}.",
    )


def _listing(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def _listed(folder: Path, limit: int = 8) -> str:
    names = _listing(folder)
    return (", ".join(names[:limit]) + (", ..." if len(names) > limit else "")) or "nothing"
