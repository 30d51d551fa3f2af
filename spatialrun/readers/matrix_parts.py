"""A count matrix in parts: what its file says of bins and genes at once, its counts a stretch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialrun.errors import DataError, Where
from spatialrun.readers.spaceranger import SpaceRangerFiles

if TYPE_CHECKING:
    import numpy as np

PART = 1 << 22
"""Entries of the matrix that are sorted by gene at once."""


class Hdf5Parts:
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
                    names = BarcodeNames(self.barcodes[start:stop])
                    yield (
                        number,
                        start,
                        last,
                        canonical_counts(counts, spots=names, genes=self.symbols, where=self._where),
                    )
                start, number = stop, number + 1


class MtxParts:
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
                                spots=BarcodeNames(self.barcodes),
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


class BarcodeNames(Sequence[str]):
    """Barcodes as text, one at a time: a message names one of millions."""

    def __init__(self, barcodes: np.ndarray) -> None:
        self._barcodes = barcodes

    def __len__(self) -> int:
        return len(self._barcodes)

    def __getitem__(self, place: Any) -> Any:
        return self._barcodes[place].decode()
