"""Visium HD: one of Space Ranger's bin sizes, or coarser bins made of it, read in parts.

Nothing of the matrix's size is ever in memory: parts of the file are turned into columns on disk
(`spatialrun.readers.transposition`), and the sample's counts are a stream of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spatialrun.errors import DataError, RecipeError, Where
from spatialrun.readers import matrix_parts, spaceranger
from spatialrun.readers.headers import Headers, Size
from spatialrun.readers.matrix_parts import BarcodeNames, Hdf5Parts, MtxParts
from spatialrun.readers.misspelt import meant
from spatialrun.readers.spaceranger import MatrixKind, SpaceRangerFiles

if TYPE_CHECKING:
    import numpy as np

    from spatialrun.methods.reporter import Reporter
    from spatialrun.readers.sample import Sample

BINNED = "binned_outputs"
DEFAULT_UM = 8
_SQUARE = re.compile(r"square_(\d{3})um\Z")
_BARCODE = re.compile(rb"s_(\d+)um_\d+_\d+(-\d+)?\Z")


@dataclass(frozen=True)
class Squares:
    """The folder of one bin size, and how many of its bins make one that is asked for.

    Attributes
    ----------
    files
        The folder's files.
    source_um
        Side of its bins in micrometres.
    factor
        Bins along a side of one that is asked for; 1 where they are the same.
    """

    files: SpaceRangerFiles
    source_um: int
    factor: int


def is_square(folder: Path) -> bool:
    """Whether a folder is named as Space Ranger names that of one bin size."""
    return _SQUARE.match(folder.name) is not None


def locate(path: str | Path, *, bin_um: int | None = None, matrix: MatrixKind = "auto") -> Squares:
    """Find the folder of a bin size, or the coarsest of which such bins can be made, without opening files.

    Parameters
    ----------
    path
        The ``outs`` folder (or the one above it), its ``binned_outputs``, or the folder of one bin size.
    bin_um
        Side of a bin in micrometres. ``None``: that of the folder; of several folders 8, else the finest.
    matrix
        As in `spatialrun.readers.spaceranger.locate`.

    Raises
    ------
    DataError
        ``data.missing-file``: what was looked for, and what is there.
    RecipeError
        ``recipe.out-of-range``: no bins are there of which such ones can be made.
    """
    root = Path(path)
    squares = _squares(root)
    if bin_um is None:
        bin_um = DEFAULT_UM if DEFAULT_UM in squares else min(squares)
    sources = [um for um in squares if bin_um % um == 0]
    if not sources:
        raise RecipeError(
            "recipe.out-of-range",
            f"bins of {bin_um} µm cannot be made of those in {root}: {_listed(squares)}",
            where=Where(file=str(root)),
            hint="bin_um is one of these sizes, or a multiple of one.",
        )
    source = max(sources)
    _check_whole(squares, source)
    return Squares(spaceranger.files_of(squares[source], matrix), source, bin_um // source)


def located(roles: Mapping[str, Path], bin_um: int | None) -> Squares:
    """The same from the files' roles: which bins they are, the barcodes say."""
    files = SpaceRangerFiles(**roles)
    source = Hdf5Parts(files.matrix) if files.features is None else MtxParts(files)
    match = _BARCODE.match(source.barcodes[0]) if len(source.barcodes) else None
    if match is None:
        what = "the matrix has no barcodes"
        if len(source.barcodes):
            first = BarcodeNames(source.barcodes)[0]
            what = f"the barcodes are not those of Visium HD (s_008um_00012_00034-1): {first}"
        raise DataError("data.barcodes", what, where=Where(file=str(files.matrix)))
    um = int(match[1])
    return Squares(files, um, max(1, (bin_um or um) // um))


def headers(squares: Squares) -> Headers:
    """What `read` will bring. Of coarser bins and their counts the numbers are about right (`merged`).

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.bad-file``.
    """
    found = spaceranger.headers(squares.files)
    return replace(found, size=merged(found.size, squares.factor))


def merged(size: Size, factor: int) -> Size:
    """About what becomes of a matrix when factor x factor of its bins are added up: for estimates of memory.

    A gene has no count in a coarser bin where it has none in all k = factor² of its bins. Were all genes and
    places alike, the share of entries that are not zero would rise from p to 1 - (1 - p)^k. They are not, and
    what is abundant falls together the more: where the means of a bin's counts are distributed exponentially
    over genes and places, the odds p / (1 - p) become k times as large, which is what is taken here. Real
    sections are more uneven yet: four, thinned to 10 to 35 counts a bin, spots of up to 8 x 8 added up, have 2 to
    32 % less (human cortex, breast cancer) or 11 to 55 % less (mouse brain). It is too much rather than too
    little, as an estimate of memory should be; only of panels whose genes are all alike it is up to a quarter
    too low.
    """
    n_spots, n_genes, nnz = size
    k = factor**2
    bins = -(-n_spots // k)
    if not nnz or factor == 1:
        return Size(bins, n_genes, nnz)
    share = nnz / (n_spots * n_genes)
    return Size(bins, n_genes, min(nnz, round(bins * n_genes * k * share / (1 + (k - 1) * share))))


def read(
    squares: Squares,
    scratch: Path,
    *,
    unplaced: Literal["error", "drop"] = "error",
    reporter: Reporter,
) -> Sample:
    """Read the bins of a located folder.

    Parameters
    ----------
    squares
        From `locate`.
    scratch
        Folder for the counts by gene (8 bytes for every count that is not zero), which must stay as long as the
        sample is used. What a reading of the same files has left there is not read again.
    unplaced
        What to do about barcodes of the matrix that the positions lack: stop, or leave these bins out.
    reporter
        Told of what was mended, and of the progress.

    Returns
    -------
    Sample
        ``counts`` are a stream. Bins in the order of the matrix, or row by row where they are made of finer ones:
        then a bin's counts are the sum of theirs, its place is the mean of the places of all bins of the slide
        within it that have one, it is on tissue if one of them is, and it is named as Space Ranger would name it.

    Raises
    ------
    DataError
        As for `spatialrun.readers.spaceranger.read`.
    """
    import numpy as np
    import pandas as pd

    from spatialrun.readers.images import read_image
    from spatialrun.readers.matrix import GENE_EXPRESSION
    from spatialrun.readers.positions import check_coordinates
    from spatialrun.readers.sample import Sample, make_unique, some, with_totals
    from spatialrun.readers.scalefactors import read_scalefactors
    from spatialrun.readers.slide import Slide
    from spatialrun.readers.transposition import Transposition

    files, factor = squares.files, squares.factor
    source = MtxParts(files) if files.features is not None else Hdf5Parts(files.matrix)
    types = np.array(source.feature_types, dtype=object)
    genes = np.flatnonzero(types == GENE_EXPRESSION)
    if len(genes) < len(types):
        others = sorted(set(types) - {GENE_EXPRESSION})
        reporter.warn(
            f"{len(types) - len(genes)} features are not gene expression and are left out: {some(others)}"
        )
    if not len(source.barcodes) or not len(genes):
        raise DataError(
            "data.empty",
            f"{files.matrix.name} has {len(source.barcodes)} bins and {len(genes)} genes",
            where=Where(file=str(files.matrix)),
        )
    symbols, twice = make_unique(source.symbols[i] for i in genes)
    if twice:
        reporter.warn(f"{len(twice)} gene symbols stand for several genes and got a number: {some(twice)}")

    slide = Slide(files.positions, source.barcodes, unplaced)
    placed = slide.placed
    if lost := int((~placed).sum()):
        reporter.warn(f"{lost} of {len(placed)} bins have no position and are left out")
    bins = slide.bins()
    spatial = bins[["x", "y"]].to_numpy(np.float64)
    kept = BarcodeNames(source.barcodes[placed])
    check_coordinates(spatial, kept, where=Where(file=str(files.positions)))
    if factor == 1:
        names = list(kept)
        row_of = np.where(placed, np.cumsum(placed) - 1, -1)
    else:
        bins, row_of = slide.coarser(factor)
        spatial = bins[["x", "y"]].to_numpy(np.float64)
        um = squares.source_um * factor
        pairs = zip(bins["array_row"].tolist(), bins["array_col"].tolist(), strict=True)
        names = [f"s_{um:03d}um_{row:05d}_{col:05d}-1" for row, col in pairs]
    bins.index = pd.Index(names, dtype=object)

    ordered = factor == 1 and source.ordered
    transposition = Transposition(_folder(scratch), (len(bins), len(genes)), ordered=ordered)
    _transpose(source, transposition, row_of, genes, bins=len(bins), reporter=reporter)
    counts = transposition.stream()
    if not counts.nnz:
        reporter.warn("the matrix holds no count at all")
    var = {
        "gene_ids": np.array(source.ids, dtype=object)[genes],
        "feature_types": pd.Categorical(types[genes]),
    }
    if source.genomes is not None:
        var["genome"] = pd.Categorical(np.array(source.genomes, dtype=object)[genes])
    return Sample(
        counts=counts,
        obs=with_totals(bins[["in_tissue", "array_row", "array_col"]], counts),
        var=pd.DataFrame(var, index=pd.Index(symbols, dtype=object)),
        spatial=spatial,
        scalefactors=_scaled(read_scalefactors(files.scalefactors), squares, files),
        images={name: read_image(image) for name, image in files.images.items()},
        metadata=source.metadata,
    )


def _squares(root: Path) -> dict[int, Path]:
    """Side of the bins to the folder that has them, be it whole or not."""
    if not root.is_dir():
        raise _absent(root)
    if match := _SQUARE.match(root.name):
        return {int(match[1]): root}
    if squares := _squares_in(root):
        return squares
    there = ", ".join(sorted(entry.name for entry in root.iterdir())[:8])
    raise DataError(
        "data.missing-file",
        f"no folders square_...um in {root} or its {BINNED} (found: {there or 'nothing'})",
        where=Where(file=str(root)),
        hint="Give the folder outs that Space Ranger wrote, its binned_outputs, or one folder of that; "
        "Visium without HD is read by read.visium.",
    )


def _squares_in(root: Path) -> dict[int, Path]:
    for binned in (root, root / BINNED, root / "outs" / BINNED):
        folders = (folder for folder in sorted(binned.glob("square_*um")) if folder.is_dir())
        if squares := {int(match[1]): folder for folder in folders if (match := _SQUARE.match(folder.name))}:
            return squares
    return {}


def _absent(root: Path) -> DataError:
    """What to say of a folder that is not there: what was meant, and the folders of bins beside it."""
    there = root.exists()
    what, near = ("is a file, not a folder", None) if there else ("does not exist", meant(root))
    beside = ", ".join(folder.name for folder in _squares_in(root.parent).values())
    return DataError(
        "data.missing-file",
        f"{root} {what}" + (f" (beside it: {beside})" if beside else ""),
        where=Where(file=str(root)),
        hint=f"Did you mean {near}?" if near else "Give the folder outs that Space Ranger wrote.",
    )


def _check_whole(squares: dict[int, Path], um: int) -> None:
    """Refuse a folder of bins without places: half a copy is not to be passed over for other bins.

    Raises
    ------
    DataError
        ``data.missing-file``.
    """
    folder = squares[um]
    if (folder / "spatial").is_dir():
        return
    others = [um for um, other in squares.items() if (other / "spatial").is_dir()]
    hint = "Copy it again."
    if others:
        hint += f" To read other bins instead, give bin_um: {min(others)} (there are {_listed(others)})."
    there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8])
    raise DataError(
        "data.missing-file",
        f"{folder} lacks the folder spatial (found: {there or 'nothing'})",
        where=Where(file=str(folder)),
        hint=hint,
    )


def _listed(squares: Iterable[int]) -> str:
    return ", ".join(f"{um} µm" for um in sorted(squares))


def _folder(scratch: Path) -> Path:
    """Parts are of one size: those of another version's size are not taken for them."""
    folder = scratch / f"parts-{matrix_parts.PART}"
    folder.mkdir(exist_ok=True)
    return folder


def _scaled(scalefactors: dict[str, float], squares: Squares, files: SpaceRangerFiles) -> dict[str, float]:
    for name in files.images:
        if f"tissue_{name}_scalef" not in scalefactors:
            raise DataError(
                "data.bad-file",
                f"{files.scalefactors.name} lacks tissue_{name}_scalef, the scale of the {name} image",
                where=Where(file=str(files.scalefactors)),
            )
    if squares.factor > 1:
        if "spot_diameter_fullres" in scalefactors:
            scalefactors["spot_diameter_fullres"] *= squares.factor
        scalefactors["bin_size_um"] = float(squares.source_um * squares.factor)
    return scalefactors


def _transpose(
    source: Hdf5Parts | MtxParts,
    transposition: Any,
    row_of: np.ndarray,
    genes: np.ndarray,
    *,
    bins: int,
    reporter: Reporter,
) -> None:
    """Hand all parts over that are not there yet: bins renumbered, features that are no genes left out."""
    import numpy as np
    from scipy.sparse import csc_matrix

    reporter.progress(0, source.nnz, "counts")
    for number, first, done, part in source.parts(lambda number: not transposition.holds(number)):
        counts = part if len(genes) == part.shape[1] else part[:, genes]
        rows = row_of[first : first + counts.shape[0]]
        if (rows < 0).any():
            counts, rows = counts[rows >= 0], rows[rows >= 0]
        counts.sort_indices()
        moved = csc_matrix(
            (counts.data, rows[counts.indices].astype(np.int32), counts.indptr), shape=(bins, len(genes))
        )
        moved.sum_duplicates()
        transposition.add(number, moved)
        reporter.progress(done, source.nnz, "counts")
