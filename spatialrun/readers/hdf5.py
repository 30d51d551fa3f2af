"""HDF5: every way in which a file can be broken ends as one coded error; equal contents are equal bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spatialrun.errors import DataError, Where
from spatialrun.readers.access import unreadable

PACKED = {"compression": "gzip", "compression_opts": 1, "rdcc_nbytes": 1}
"""How datasets are written.

Compressed lightly: indices hardly shrink further, and a large sample would take many times as long. Chunks at
once: one that waits in HDF5's cache has its place in the file when its dataset is closed, and Python closes that
when the last name for it goes, which is later where a profiler looks on (every dask worker has one).
"""


@contextmanager
def open_hdf5(path: Path, *, otherwise: str | None = None) -> Iterator[Any]:
    """The open ``h5py.File``.

    Parameters
    ----------
    path
        The file.
    otherwise
        What to do about a file that is no HDF5 at all, where the caller knows.

    Raises
    ------
    DataError
        ``data.missing-file`` without the file; ``data.bad-file`` when it may not be read, is not HDF5, is
        truncated or damaged, or lacks something that the body of the ``with`` asks it for.
    """
    import h5py

    where = Where(file=str(path))
    if not path.is_file():
        raise DataError("data.missing-file", f"there is no file {path.name}", where=where)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except KeyError as error:
        # h5py names what it looked for in its message; the reader's next question is what is there instead.
        raise DataError("data.bad-file", f"{path.name} lacks a part: {error.args[0]}", where=where) from error
    except PermissionError as error:
        raise unreadable(path) from error
    except (OSError, RuntimeError) as error:
        if not h5py.is_hdf5(path):
            raise DataError(
                "data.bad-file",
                f"{path.name} is no HDF5 file",
                where=where,
                hint=otherwise or "It is of another kind, or damaged: copy or download it again.",
            ) from error
        raise DataError(
            "data.bad-file",
            f"{path.name} is not a whole HDF5 file: {error}",
            where=where,
            hint="It is damaged or truncated: copy or download it again and compare sizes.",
        ) from error


def text(values: Any) -> list[str]:
    """A dataset or attribute of byte strings (or strings) as a list of str."""
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
