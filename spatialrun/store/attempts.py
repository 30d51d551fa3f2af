"""Attempts: the folder into which one action writes its outputs, before anybody can see them.

Bytes never move. An attempt writes under ``data/<attempt>/``, hashing while it writes, checks that what was
written is what lies there, and leaves a manifest of files, sizes and checksums. Only the action record, created
afterwards, makes it visible; an attempt without a record is garbage.
"""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from spatialrun.errors import StoreError, Where
from spatialrun.store import elements
from spatialrun.store.backend import Backend, guarded
from spatialrun.store.digests import folder_digest, value_digest
from spatialrun.store.elements import ObjectRef
from spatialrun.values import ColumnStream, FileBytes, Value

if TYPE_CHECKING:
    from spatialrun.store.zarr_stores import FreshStore


MANIFEST = "manifest.json"
_PIECE = 1 << 22


class Attempt:
    """One try at one action.

    Its name ends in that of the run that makes it, whose intent keeps it until the run is saved.
    """

    def __init__(self, backend: Backend, run: str = "") -> None:
        self.id = f"{uuid.uuid4().hex}-{run}" if run else uuid.uuid4().hex
        self.prefix = f"data/{self.id}"
        self._backend = backend
        self._files: dict[str, tuple[int, int]] = {}
        self._folders: dict[str, FreshStore] = {}

    def write(self, port: str, value: Value) -> ObjectRef:
        """Write one output and return its reference.

        Raises
        ------
        TypeError
            For a value that slots cannot hold.
        StoreError
            Where the store cannot be written.
        """
        kind, meta = elements.describe(value)
        if isinstance(value, FileBytes):
            digest = value_digest(value)
            path = f"{self.prefix}/{port}{value.suffix}"
            self._backend.put(path, value.content)
            self._files[path] = (len(value.content), zlib.crc32(value.content))
            return ObjectRef(digest, path, kind, meta)
        path = f"{self.prefix}/{port}"
        parent, _, name = path.rpartition("/")
        store = self._folder(parent)
        with guarded(f"{self._backend.url}/{path}", "written"):
            if isinstance(value, ColumnStream):
                digest = elements.write_stream(store, name, value)
            else:
                digest = value_digest(value)
                elements.write(store, name, value, kind)
            if not self._backend.remote:  # else all are written side by side, in the end
                store.flush()
        return ObjectRef(digest, path, kind, meta)

    def folder(self, port: str) -> Path:
        """Make the empty folder for a ``files`` output; :meth:`seal_folder` makes it an object."""
        return self._backend.folder(f"{self.prefix}/{port}")

    def seal_folder(self, port: str) -> ObjectRef:
        """Hash the folder that a step has filled."""
        prefix = f"{self.prefix}/{port}"
        root = self._backend.folder(prefix)
        size = 0
        for file in _files_under(root):
            length, checksum = _facts(file)
            size += length
            self._files[f"{prefix}/{file.relative_to(root).as_posix()}"] = (length, checksum)
        digest = folder_digest(root)
        self._backend.publish(prefix)
        return ObjectRef(digest, prefix, "folder", {"size": size})

    def verify(self) -> None:
        """Check that every file lies there, whole, and make it durable; then leave the manifest.

        Files are not read back: that would compare them with what the system still has in memory. Each chunk
        has a checksum of its own, which is checked whenever it is read.

        Raises
        ------
        StoreError
            ``store.corrupt`` where a file is missing or of another size than was written.
        """
        for folder, store in self._folders.items():
            with guarded(f"{self._backend.url}/{folder}", "written"):
                store.flush()
            self._files |= {f"{folder}/{key}": facts for key, facts in store.files.items()}
        sizes = self._backend.sizes(self.prefix)
        for path, (size, _) in self._files.items():
            found = sizes.get(path)
            if found != size:
                state = "is missing" if found is None else f"holds {found} bytes instead of {size}"
                raise StoreError(
                    "store.corrupt",
                    f"after writing, {path} {state}",
                    where=Where(file=self._backend.url),
                    hint="check the disk (space, quota), then apply again",
                )
        self._backend.share(self.prefix)
        self._backend.sync(self._files)
        manifest = {path: list(facts) for path, facts in sorted(self._files.items())}
        self._backend.put(f"{self.prefix}/{MANIFEST}", json.dumps({"files": manifest}).encode())

    def discard(self) -> None:
        """Remove what was written: the attempt failed or lost."""
        self._backend.delete(self.prefix)

    def _folder(self, path: str) -> FreshStore:
        """Return the zarr store over a folder of the attempt."""
        from spatialrun.store.zarr_stores import FreshStore

        if path not in self._folders:
            self._folders[path] = FreshStore(self._backend.zarr(path, read_only=False))
        return self._folders[path]


def attempt_of(path: str) -> str:
    """Return the attempt that an object lies in."""
    return path.split("/")[1]


def _facts(file: Path) -> tuple[int, int]:
    """Return a file's size and CRC-32, read in pieces: a step may have left one larger than the memory."""
    length, checksum = 0, 0
    with file.open("rb") as handle:
        while piece := handle.read(_PIECE):
            length, checksum = length + len(piece), zlib.crc32(piece, checksum)
    return length, checksum


def _files_under(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            yield Path(folder, name)
