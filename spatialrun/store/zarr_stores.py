"""zarr stores with what zarr's own lack: no need of hard links, notes of what is written, no missing chunk."""

from __future__ import annotations

import zlib

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore


class LinklessStore(LocalStore):  # type: ignore[misc]
    """A local store on any file system.

    zarr creates a node's metadata by a hard link, so that one of several creators wins. What spatialrun writes
    has one writer, and shall be written where there are no hard links, too.
    """

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a value unless there is one."""
        if not await self.exists(key):
            await self.set(key, value)


class RecordingStore(WrapperStore[Store]):  # type: ignore[misc]
    """A store that notes size and checksum of every file that is written.

    Attributes
    ----------
    files
        Key to size and CRC-32.
    """

    def __init__(self, store: Store, files: dict[str, tuple[int, int]] | None = None) -> None:
        super().__init__(store)
        self.files: dict[str, tuple[int, int]] = {} if files is None else files

    def _with_store(self, store: Store) -> RecordingStore:
        return type(self)(store, self.files)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a value and note it."""
        await super().set(key, value)
        content = value.to_bytes()
        self.files[key] = (len(content), zlib.crc32(content))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a value, unless there is one, and note it."""
        if not await self.exists(key):
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        """Remove a value and its note."""
        await super().delete(key)
        self.files.pop(key, None)


class StrictStore(WrapperStore[Store]):  # type: ignore[misc]
    """A store that raises ``FileNotFoundError`` for a chunk that is not there.

    zarr reads a chunk whose file is gone as fill values, as if it had never been written. Objects are written
    with every chunk, so one that is not there has been lost, and zeros in its place would be a wrong result.
    """

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return what is stored under ``key``; ``None`` for metadata that is not there."""
        found = await super().get(key, prototype, byte_range)
        if found is None and not _is_metadata(key):
            raise FileNotFoundError(f"the chunk {key} is missing")
        return found


def _is_metadata(key: str) -> bool:
    """Whether a key is of a node and not of a chunk; nodes are also probed for in zarr's older format."""
    name = key.rpartition("/")[2]
    return name == "zarr.json" or name.startswith(".z")
