"""zarr stores with what zarr's own lack: no need of hard links, notes of what is written, no missing chunk."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, WrapperStore

HELD_BYTES = 32 << 20
WRITES_AT_ONCE = 16


class LinklessStore(LocalStore):  # type: ignore[misc]
    """A local store on any file system.

    zarr creates a node's metadata by a hard link, so that one of several creators wins. What spatialrun writes
    has one writer, and shall be written where there are no hard links, too.
    """

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a value unless there is one."""
        if not await self.exists(key):
            await self.set(key, value)


class FreshStore(WrapperStore[Store]):  # type: ignore[misc]
    """A store to write new elements to, in a folder that nobody else writes to.

    What was not written by way of it is not there, so nothing is looked up. Metadata, which zarr writes anew with
    every attribute, is written once; files are written several at a time. All lies there after :meth:`flush`.

    Attributes
    ----------
    files
        Key to size and CRC-32 of every file that is written.
    """

    def __init__(self, store: Store, like: FreshStore | None = None) -> None:
        super().__init__(store)
        self.files: dict[str, tuple[int, int]] = like.files if like else {}
        self._metadata: dict[str, Buffer] = like._metadata if like else {}
        self._held: dict[str, Buffer] = like._held if like else {}
        self._underway: set[str] = like._underway if like else set()

    def _with_store(self, store: Store) -> FreshStore:
        return type(self)(store, self)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return what was written."""
        if key in self._metadata and byte_range is None:
            return self._metadata[key]
        if key in self._held:
            await self._write([key])
        return await super().get(key, prototype, byte_range) if key in self.files else None

    async def exists(self, key: str) -> bool:
        """Whether the key was written."""
        return key in self._held or key in self.files

    async def set(self, key: str, value: Buffer) -> None:
        """Take a value; what is held of chunks is written when it grows large."""
        self._held[key] = value
        if _is_metadata(key):
            self._metadata[key] = value
            return
        chunks = [name for name in self._held if not _is_metadata(name) and name not in self._underway]
        if sum(len(self._held[name]) for name in chunks) > HELD_BYTES:
            await self._write(chunks)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Take a value, unless there is one."""
        if not await self.exists(key):
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        """Remove a value."""
        self._held.pop(key, None)
        self._metadata.pop(key, None)
        if self.files.pop(key, None):
            await super().delete(key)

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys of a folder."""
        await self._write(list(self._held))
        async for key in super().list_prefix(prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names of a folder's entries."""
        await self._write(list(self._held))
        async for name in super().list_dir(prefix):
            yield name

    def flush(self) -> None:
        """Write what is held."""
        sync(self._write(list(self._held)))

    async def _write(self, keys: Sequence[str]) -> None:
        """Write held values, metadata last. zarr sets many chunks at once, so others may be writing, too."""
        turn = asyncio.Semaphore(WRITES_AT_ONCE)

        async def write(key: str) -> None:
            async with turn:
                value = self._held.get(key)
                if value is None:  # who read it in the meantime has had it written
                    return
                await super(FreshStore, self).set(key, value)
                content = value.to_bytes()
                self.files[key] = (len(content), zlib.crc32(content))
                if self._held.get(key) is value:
                    del self._held[key]

        self._underway.update(keys)
        try:
            await asyncio.gather(*(write(key) for key in sorted(keys, key=_is_metadata)))
        finally:
            self._underway.difference_update(keys)


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
