"""Visium HD: one of Space Ranger's bin sizes, or coarser bins made of it, read in parts.

Nothing of the matrix's size is ever in memory: parts of the file are turned into columns on disk
(`spatialrun.readers.transposition`), and the sample's counts are a stream of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spatialrun.errors import DataError, RecipeError, Where
from spatialrun.readers import spaceranger
from spatialrun.readers.headers import Headers
from spatialrun.readers.spaceranger import MatrixKind, SpaceRangerFiles

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from spatialrun.methods.reporter import Reporter
    from spatialrun.readers.sample import Sample

BINNED = "binned_outputs"
DEFAULT_UM = 8
PART = 1 << 22
"""Entries of the matrix that are sorted by gene at once."""
_SQUARE = re.compile(r"square_(\d{3})um\Z")
_BARCODE = re.compile(rb"s_(\d+)um_\d+_\d+-\d+\Z")


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
    return Squares(spaceranger.files_of(squares[source], matrix), source, bin_um // source)


def located(roles: Mapping[str, Path], bin_um: int | None) -> Squares:
    """The same from the files' roles: which bins they are, the barcodes say."""
    files = SpaceRangerFiles(**roles)
    source = _Hdf5Source(files.matrix) if files.features is None else _MtxSource(files)
    match = _BARCODE.match(source.barcodes[0]) if len(source.barcodes) else None
    if match is None:
        raise DataError(
            "data.barcodes",
            f"the barcodes are not those of Visium HD (s_008um_00012_00034-1): {_Names(source.barcodes[:1])[0]}"
            if len(source.barcodes)
            else "the matrix has no barcodes",
            where=Where(file=str(files.matrix)),
        )
    um = int(match[1])
    return Squares(files, um, max(1, (bin_um or um) // um))


def headers(squares: Squares) -> Headers:
    """What `read` will bring. Of coarser bins the number is about right, for the estimates of memory.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.bad-file``.
    """
    found = spaceranger.headers(squares.files)
    return replace(found, size=found.size._replace(n_spots=-(-found.size.n_spots // squares.factor**2)))


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
        within it, it is on tissue if one of them is, and it is named as Space Ranger would name it.

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
    from spatialrun.readers.transposition import Transposition

    files, factor = squares.files, squares.factor
    source = _MtxSource(files) if files.features is not None else _Hdf5Source(files.matrix)
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

    slide = _Slide(files.positions)
    rows = slide.rows_of(source.barcodes, unplaced)
    if lost := int((rows < 0).sum()):
        reporter.warn(f"{lost} of {len(rows)} bins have no position and are left out")
    if factor == 1:
        kept = np.flatnonzero(rows >= 0)
        bins = slide.bins(rows[kept])
        names = [source.barcodes[i].decode() for i in kept.tolist()]
        row_of = np.where(rows >= 0, np.cumsum(rows >= 0) - 1, -1)
    else:
        bins, row_of = slide.coarser(rows, factor)
        um = squares.source_um * factor
        pairs = zip(bins["array_row"].tolist(), bins["array_col"].tolist(), strict=True)
        names = [f"s_{um:03d}um_{row:05d}_{col:05d}-1" for row, col in pairs]
    bins.index = pd.Index(names, dtype=object)
    spatial = bins[["x", "y"]].to_numpy(np.float64)
    check_coordinates(spatial, names, where=Where(file=str(files.positions)))

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
    """Side of the bins to the folder that has them."""
    if match := _SQUARE.match(root.name):
        spaceranger.locate(root)  # which says what is missing
        return {int(match[1]): root}
    for binned in (root, root / BINNED, root / "outs" / BINNED):
        squares = {
            int(match[1]): folder
            for folder in sorted(binned.glob("square_*um"))
            if (match := _SQUARE.match(folder.name)) and (folder / "spatial").is_dir()
        }
        if squares:
            return squares
    there = sorted(entry.name for entry in root.iterdir())[:8] if root.is_dir() else []
    what = f"found: {', '.join(there) or 'nothing'}" if root.is_dir() else "there is no such folder"
    raise DataError(
        "data.missing-file",
        f"no folders square_...um in {root} or its {BINNED} ({what})",
        where=Where(file=str(root)),
        hint="Give the folder outs that Space Ranger wrote, its binned_outputs, or one folder of that; "
        "Visium without HD is read by read.visium.",
    )


def _listed(squares: dict[int, Path]) -> str:
    return ", ".join(f"{um} µm" for um in sorted(squares))


def _folder(scratch: Path) -> Path:
    """Parts are of one size: those of another version's size are not taken for them."""
    folder = scratch / f"parts-{PART}"
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


class _Slide:
    """Every bin of the slide, as ``tissue_positions`` lists them."""

    def __init__(self, path: Path) -> None:
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        from spatialrun.readers.positions import COLUMNS, read_positions

        self._where = Where(file=str(path))
        if path.suffix != ".parquet":
            table = read_positions(path)
            self._names = pa.array(table.index, type=pa.string())
            columns = {name: table[name].to_numpy() for name in COLUMNS[1:]}
        else:
            # As arrow has them: as Python's strings, the names alone would take the memory that a bin may.
            try:
                arrow = pq.read_table(path)
                missing = [name for name in COLUMNS if name not in arrow.column_names]
                if missing:
                    raise ValueError(f"it lacks the columns {', '.join(missing)}")
                self._names = arrow["barcode"].combine_chunks()
                columns = {name: arrow[name].to_numpy() for name in COLUMNS[1:]}
            except (ValueError, OSError) as error:  # pyarrow's errors are ValueErrors
                raise DataError(
                    "data.bad-file", f"{path.name} cannot be read: {error}", where=self._where
                ) from error
        try:
            self._in_tissue = columns["in_tissue"].astype(np.int8).astype(bool)
            self._row, self._col = (columns[name].astype(np.int32) for name in ("array_row", "array_col"))
            self._x = columns["pxl_col_in_fullres"].astype(np.float64)
            self._y = columns["pxl_row_in_fullres"].astype(np.float64)
        except ValueError as error:
            raise DataError(
                "data.bad-file", f"{path.name} holds values that are no numbers: {error}", where=self._where
            ) from error

    def rows_of(self, barcodes: np.ndarray, unplaced: Literal["error", "drop"]) -> np.ndarray:
        """(M,): each barcode's row; -1 where there is none."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from spatialrun.readers.sample import some

        names = pa.array(barcodes).cast(pa.string())
        for what, found in (("the matrix", names), ("the positions", self._names)):
            if len(pc.unique(found)) < len(found):
                counted = pc.value_counts(found)
                again = [entry["values"].as_py() for entry in counted.filter(pc.greater(counted.field(1), 1))]
                raise DataError(
                    "data.barcodes", f"barcodes stand twice in {what}: {some(again)}", where=self._where
                )
        rows: np.ndarray = pc.fill_null(pc.index_in(names, value_set=self._names), -1).to_numpy()
        placed = int((rows >= 0).sum())
        if placed < len(rows) and (unplaced == "error" or not placed):
            without = [barcodes[i].decode() for i in np.flatnonzero(rows < 0)[:4].tolist()]
            raise DataError(
                "data.barcodes",
                f"{placed} of {len(rows)} barcodes of the matrix have a position; without one: {some(without)}; "
                f"barcodes of the positions: {some(self._names[:3].to_pylist())}",
                where=self._where,
                hint="The matrix and the positions are of different samples, or one was cut."
                + (" To go on without these bins: unplaced: drop." if placed else ""),
            )
        return rows

    def bins(self, rows: np.ndarray) -> pd.DataFrame:
        """in_tissue, array_row, array_col, x and y of some rows."""
        import pandas as pd

        columns = {"in_tissue": self._in_tissue, "array_row": self._row, "array_col": self._col}
        columns |= {"x": self._x, "y": self._y}
        return pd.DataFrame({name: values[rows] for name, values in columns.items()})

    def coarser(self, rows: np.ndarray, factor: int) -> tuple[pd.DataFrame, np.ndarray]:
        """As `bins`, of the coarser bins that hold these rows, and in which of them each row (or none, -1) is."""
        import numpy as np
        import pandas as pd

        width = int(self._col.max()) // factor + 1
        of_slide = self._row.astype(np.int64) // factor * width + self._col // factor
        placed = rows >= 0
        keys, inverse = np.unique(of_slide[rows[placed]], return_inverse=True)
        row_of = np.full(len(rows), -1)
        row_of[placed] = inverse
        nearest = np.minimum(np.searchsorted(keys, of_slide), len(keys) - 1)
        within = np.flatnonzero(keys[nearest] == of_slide)
        parent = nearest[within]
        number = np.bincount(parent, minlength=len(keys))
        columns = {
            "in_tissue": np.bincount(inverse, self._in_tissue[rows[placed]], len(keys)) > 0,
            "array_row": (keys // width).astype(np.int32),
            "array_col": (keys % width).astype(np.int32),
            "x": np.bincount(parent, self._x[within], len(keys)) / number,
            "y": np.bincount(parent, self._y[within], len(keys)) / number,
        }
        return pd.DataFrame(columns), row_of


class _Hdf5Source:
    """The matrix as one h5 file: parts are stretches of bins."""

    ordered = True

    def __init__(self, path: Path) -> None:
        import numpy as np

        from spatialrun.readers.hdf5 import open_hdf5, text
        from spatialrun.readers.matrix import matrix_group, metadata_of

        self._path, self._where = path, Where(file=str(path))
        with open_hdf5(path) as file:
            group = matrix_group(file, path)
            features = group["features"]
            self.barcodes: np.ndarray = np.asarray(group["barcodes"][:], dtype=bytes)
            self.ids, self.symbols = text(features["id"][:]), text(features["name"][:])
            self.feature_types = text(features["feature_type"][:])
            self.genomes = text(features["genome"][:]) if "genome" in features else None
            self.metadata = metadata_of(file.attrs)
            self._indptr = group["indptr"][:].astype(np.int64)
            self.nnz = len(group["data"])
            lengths = [len(names) for names in (self.ids, self.symbols, self.feature_types)]
            if (
                len(self._indptr) != len(self.barcodes) + 1
                or len(group["indices"]) != self.nnz
                or len(set(lengths)) > 1
                or (np.diff(self._indptr) < 0).any()
                or (self._indptr[0], self._indptr[-1]) != (0, self.nnz)
            ):
                raise DataError(
                    "data.bad-file",
                    f"parts of {path.name} do not fit together: {len(self.barcodes)} barcodes, "
                    f"{len(self._indptr)} indptr up to {self._indptr[-1:]}, {self.nnz} data, "
                    f"{len(group['indices'])} indices, features of lengths {lengths}",
                    where=self._where,
                )

    def parts(self, wanted: Callable[[int], bool]) -> Iterator[tuple[int, int, int, Any]]:
        """Yield number, first bin, entries up to its end and counts (n, features) CSC of the parts wanted."""
        from scipy import sparse

        from spatialrun.readers.counts import canonical_counts
        from spatialrun.readers.hdf5 import open_hdf5
        from spatialrun.readers.matrix import matrix_group

        with open_hdf5(self._path) as file:
            group = matrix_group(file, self._path)
            start = number = 0
            while start < len(self.barcodes):
                first = int(self._indptr[start])
                stop = int(self._indptr.searchsorted(first + PART, side="right")) - 1
                stop = min(max(stop, start + 1), len(self.barcodes))
                last = int(self._indptr[stop])
                if wanted(number):
                    arrays = (group["data"][first:last], group["indices"][first:last].astype("i8"))
                    shape = (stop - start, len(self.ids))
                    indptr = self._indptr[start : stop + 1] - first
                    try:
                        counts = sparse.csr_matrix((*arrays, indptr), shape=shape)
                    except ValueError as error:
                        raise DataError(
                            "data.bad-file",
                            f"{self._path.name} holds no valid matrix: {error}",
                            where=self._where,
                        ) from error
                    names = _Names(self.barcodes[start:stop])
                    yield (
                        number,
                        start,
                        last,
                        canonical_counts(counts, spots=names, genes=self.symbols, where=self._where),
                    )
                start, number = stop, number + 1


class _MtxSource:
    """The matrix as three text files: parts are stretches of lines, in whatever order they are."""

    ordered = False
    genomes = None

    def __init__(self, files: SpaceRangerFiles) -> None:
        import numpy as np

        from spatialrun.readers.matrix import GENE_EXPRESSION, mtx_header, open_text, text_rows

        assert files.features is not None
        assert files.barcodes is not None
        self._path, self._where = files.matrix, Where(file=str(files.matrix))
        features = text_rows(files.features)
        self.barcodes: np.ndarray = np.array(
            [row[0].encode() for row in text_rows(files.barcodes)], dtype=bytes
        )
        self.ids = [row[0] for row in features]
        self.symbols = [row[1] if len(row) > 1 else row[0] for row in features]
        self.feature_types = [row[2] if len(row) > 2 else GENE_EXPRESSION for row in features]
        self.metadata: dict[str, str] = {}
        with open_text(self._path) as file:
            n_features, n_barcodes, self.nnz = mtx_header(file, self._path)
        if (n_features, n_barcodes) != (len(self.ids), len(self.barcodes)):
            raise DataError(
                "data.bad-file",
                f"{self._path.name} has {n_features} features and {n_barcodes} barcodes, but "
                f"{files.features.name} lists {len(self.ids)} and {files.barcodes.name} {len(self.barcodes)}",
                where=self._where,
            )

    def parts(self, wanted: Callable[[int], bool]) -> Iterator[tuple[int, int, int, Any]]:
        """Yield number, 0, entries up to its end and counts (bins, features) CSC of the parts wanted."""
        import pandas as pd
        from scipy import sparse

        from spatialrun.readers.counts import canonical_counts
        from spatialrun.readers.matrix import mtx_header, open_text

        shape, done = (len(self.barcodes), len(self.ids)), 0
        with open_text(self._path) as file:
            mtx_header(file, self._path)
            try:
                lines = pd.read_csv(
                    file, sep=" ", header=None, names=["gene", "bin", "count"], chunksize=PART
                )
                for number, part in enumerate(lines):
                    done += len(part)
                    if wanted(number):
                        places = (part["bin"].to_numpy() - 1, part["gene"].to_numpy() - 1)
                        found = sparse.coo_matrix((part["count"].to_numpy(), places), shape=shape)
                        yield (
                            number,
                            0,
                            done,
                            canonical_counts(
                                found.tocsr(),
                                spots=_Names(self.barcodes),
                                genes=self.symbols,
                                where=self._where,
                            ),
                        )
            except pd.errors.EmptyDataError:
                pass
            except (ValueError, TypeError) as error:
                raise self._damaged(str(error)) from error
        if done != self.nnz:
            raise self._damaged(f"it has {done} entries and not {self.nnz}")

    def _damaged(self, why: str) -> DataError:
        return DataError(
            "data.bad-file",
            f"{self._path.name} is damaged or truncated: {why}",
            where=self._where,
            hint="Copy or download it again and compare sizes.",
        )


class _Names(Sequence[str]):
    """Barcodes as text, one at a time: a message names one of millions."""

    def __init__(self, barcodes: np.ndarray) -> None:
        self._barcodes = barcodes

    def __len__(self) -> int:
        return len(self._barcodes)

    def __getitem__(self, place: Any) -> Any:
        return self._barcodes[place].decode()


def _transpose(
    source: _Hdf5Source | _MtxSource,
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
