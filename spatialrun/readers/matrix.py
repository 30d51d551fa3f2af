"""The counts matrix of Space Ranger: one HDF5 file, or three text files in Matrix Market format."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from spatialrun.errors import DataError, Where
from spatialrun.readers.access import unreadable
from spatialrun.readers.hdf5 import open_hdf5, text
from spatialrun.readers.headers import Size

GENE_EXPRESSION = "Gene Expression"


@dataclass(frozen=True, eq=False)
class FeatureMatrix:
    """Features x barcodes as the file has them, turned so that spots are rows.

    ``counts`` is a scipy sparse matrix (N, G) of the file's own type, not checked yet; the lists have one
    entry per barcode (N) or per feature (G). ``genomes`` is ``None`` in text files, which do not say it.
    """

    counts: Any
    barcodes: list[str]
    ids: list[str]
    symbols: list[str]
    feature_types: list[str]
    genomes: list[str] | None
    metadata: dict[str, str]


def size_of_hdf5(path: Path) -> tuple[Size, bool]:
    """Size of the matrix, and whether its features name their genome.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.bad-file``.
    """
    with open_hdf5(path) as file:
        group = matrix_group(file, path)
        # The lengths of the name lists, not `shape`: the lists are what the matrix is read with.
        size = Size(*(_length(group, name) for name in ("barcodes", "features/id", "data")))
        return size, "features/genome" in group


def size_of_mtx(path: Path) -> Size:
    """Size from the header of a Matrix Market file.

    Raises
    ------
    DataError
        ``data.missing-file``, ``data.bad-file``.
    """
    with open_text(path) as file:
        n_features, n_barcodes, nnz = mtx_header(file, path)
    return Size(n_barcodes, n_features, nnz)


def read_hdf5(path: Path) -> FeatureMatrix:
    """Read ``*_feature_bc_matrix.h5``.

    Raises
    ------
    DataError
        ``data.missing-file``; ``data.bad-file`` for a truncated file, other groups than Space Ranger's, or
        parts of different lengths.
    """
    from scipy import sparse

    with open_hdf5(path) as file:
        group = matrix_group(file, path)
        features = group["features"]
        barcodes, ids = text(group["barcodes"][:]), text(features["id"][:])
        data, indices, indptr = (group[name][:] for name in ("data", "indices", "indptr"))
        symbols, feature_types = text(features["name"][:]), text(features["feature_type"][:])
        genomes = text(features["genome"][:]) if "genome" in features else None
        metadata = metadata_of(file.attrs)
    lengths = [len(names) for names in (ids, symbols, feature_types, genomes) if names is not None]
    if len(indptr) != len(barcodes) + 1 or len(data) != len(indices) or len(set(lengths)) > 1:
        raise DataError(
            "data.bad-file",
            f"parts of {path.name} do not fit together: {len(barcodes)} barcodes, {len(indptr)} indptr, "
            f"{len(data)} data, {len(indices)} indices, features of lengths {lengths}",
            where=Where(file=str(path)),
        )
    try:
        counts = sparse.csr_matrix((data, indices, indptr), shape=(len(barcodes), len(ids)))
    except ValueError as error:
        raise DataError(
            "data.bad-file", f"{path.name} holds no valid matrix: {error}", where=Where(file=str(path))
        ) from error
    return FeatureMatrix(counts, barcodes, ids, symbols, feature_types, genomes, metadata)


def read_mtx(path: Path, features: Path, barcodes: Path) -> FeatureMatrix:
    """Read ``matrix.mtx``, ``features.tsv`` (or ``genes.tsv``) and ``barcodes.tsv``, each gzipped or not.

    Raises
    ------
    DataError
        ``data.missing-file``; ``data.bad-file`` for a truncated file, another kind of Matrix Market file, or
        names whose number differs from the matrix's.
    """
    from scipy.io import mmread

    with open_text(path) as file:
        mtx_header(file, path)
    where = Where(file=str(path))
    with open_text(path) as file:
        try:
            counts = mmread(file).T.tocsr()
        except (ValueError, OverflowError, StopIteration) as error:
            raise DataError(
                "data.bad-file",
                f"{path.name} is damaged or truncated: {error}",
                where=where,
                hint="Copy or download it again and compare sizes.",
            ) from error
    names = text_rows(barcodes)
    rows = text_rows(features)
    if counts.shape != (len(names), len(rows)):
        raise DataError(
            "data.bad-file",
            f"{path.name} has {counts.shape[1]} features and {counts.shape[0]} barcodes, but {features.name} "
            f"lists {len(rows)} and {barcodes.name} {len(names)}",
            where=where,
        )
    return FeatureMatrix(
        counts=counts,
        barcodes=[row[0] for row in names],
        ids=[row[0] for row in rows],
        # genes.tsv has two columns; bare lists of symbols have one.
        symbols=[row[1] if len(row) > 1 else row[0] for row in rows],
        feature_types=[row[2] if len(row) > 2 else GENE_EXPRESSION for row in rows],
        genomes=None,
        metadata={},
    )


def _length(group: Any, name: str) -> int:
    """Return a dataset's length by h5py's lower floor, in a third of the time: cohorts have a thousand files."""
    from h5py import h5d

    length: int = h5d.open(group.id, name.encode()).shape[0]
    return length


def matrix_group(file: Any, path: Path) -> Any:
    """The group that holds everything in the open h5 file of Space Ranger."""
    import h5py

    group = file.get("matrix")
    if not isinstance(group, h5py.Group):
        found = ", ".join(sorted(file)) or "nothing"
        raise DataError(
            "data.bad-file",
            f"{path.name} is not a feature-barcode matrix of Space Ranger: it lacks the group 'matrix' "
            f"(found: {found})",
            where=Where(file=str(path)),
            hint="An .h5ad file is read by read.h5ad.",
        )
    return group


def metadata_of(attributes: Any) -> dict[str, str]:
    """The origin as Space Ranger writes it; some versions wrap each text in an array of one."""
    found = {}
    for name in ("software_version", "chemistry_description"):
        if name in attributes:
            value = attributes[name]
            found[name] = text([value] if isinstance(value, (str, bytes)) else value)[0]
    return found


@contextmanager
def open_text(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unzipped where its content (not its name) says that it is gzipped."""
    where = Where(file=str(path))
    if not path.is_file():
        raise DataError("data.missing-file", f"there is no file {path.name}", where=where)
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with cast(IO[bytes], gzip.open(path) if zipped else path.open("rb")) as file:
            yield file
    except PermissionError as error:
        raise unreadable(path) from error
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(
            "data.bad-file",
            f"{path.name} is damaged or truncated: {error}",
            where=where,
            hint="Copy or download it again and compare sizes.",
        ) from error


def mtx_header(file: IO[bytes], path: Path) -> tuple[int, int, int]:
    """Rows, columns and entries of a Matrix Market file of counts, which is read up to its first entry."""
    where = Where(file=str(path), line=1)
    banner = file.readline(1000).decode(errors="replace").split()
    kind = [word.lower() for word in banner[1:]]
    if banner[:1] != ["%%MatrixMarket"] or kind[:2] != ["matrix", "coordinate"]:
        raise DataError("data.bad-file", f"{path.name} is not a sparse Matrix Market file", where=where)
    if kind[2:] not in (["integer", "general"], ["real", "general"]):
        raise DataError(
            "data.bad-file",
            f"{path.name} is a '{' '.join(kind[2:])}' matrix; counts are 'integer general'",
            where=where,
        )
    line = file.readline()
    while line.startswith(b"%"):
        line = file.readline()
    try:
        n_rows, n_columns, entries = (int(word) for word in line.split())
    except ValueError as error:
        raise DataError("data.bad-file", f"{path.name} has no line with its size", where=where) from error
    return n_rows, n_columns, entries


def text_rows(path: Path) -> list[list[str]]:
    """Rows of a tab-separated list, without the quotes that some exports put around each field."""
    with open_text(path) as file:
        try:
            lines = file.read().decode().splitlines()
        except UnicodeDecodeError as error:
            raise DataError(
                "data.bad-file", f"{path.name} is not text in UTF-8", where=Where(file=str(path))
            ) from error
    return [[field.strip('"') for field in line.split("\t")] for line in lines if line]
