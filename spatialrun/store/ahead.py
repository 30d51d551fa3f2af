"""Reading ahead: what zarr would ask for piece by piece is fetched in few requests, side by side.

Objects never change, so one listing says what there is to read. A small object is fetched whole; of a large one
the metadata, and then only the stretches that are read: zarr would ask for a shard's index at every read, and
for the chunks behind it one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import zarr
from zarr import AsyncArray
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import StorePath, WrapperStore

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL = 4 << 20
"""Objects of up to this size are fetched whole, and kept."""
PIECE = 8 << 20
"""Longer stretches are fetched in pieces, as one connection is slower than the network."""
_INDEX_ENTRY, _INDEX_CHECKSUM = 16, 4

Span = tuple[int, int]


class AheadStore(WrapperStore[Store]):  # type: ignore[misc]
    """One object, read ahead.

    Parameters
    ----------
    store
        Where it lies.
    sizes
        The size of each of its files, by key.
    """

    def __init__(self, store: Store, sizes: Mapping[str, int]) -> None:
        super().__init__(store)
        self._sizes = sizes
        self._kept: dict[str, Buffer] = {}
        self._indices: dict[str, Buffer] = {}
        small = sum(sizes.values()) <= SMALL
        sync(self._keep(key for key in sizes if small or key.endswith("zarr.json")))

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a value, or a range of it; ``None`` where there is none."""
        del prototype  # of memory, which is the processor's
        if key not in self._sizes:
            return None
        start, stop = _bounds(byte_range, self._sizes[key])
        if key in self._kept:
            return self._kept[key][start:stop]
        if key in self._indices and start == self._sizes[key] - len(self._indices[key]):
            return self._indices[key]
        return await self._fetch(key, start, stop)

    async def exists(self, key: str) -> bool:
        """Whether there is a value."""
        return key in self._sizes

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names of a folder's entries."""
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        for name in sorted({key[len(start) :].split("/")[0] for key in self._sizes if key.startswith(start)}):
            yield name

    def read(self, arrays: Sequence[zarr.Array], start: int, stop: int) -> list[NDArray[np.generic]]:
        """Return the elements ``start`` to ``stop`` of one-dimensional arrays of the object.

        Raises
        ------
        FileNotFoundError
            A shard is not there.
        """
        if start == stop:
            return [np.empty(0, dtype=array.dtype) for array in arrays]
        stretches = _Stretches(self, sync(self._stretches(arrays, start, stop)))
        found = []
        for array in arrays:
            place = StorePath(stretches, array.path)
            ahead = zarr.Array(AsyncArray(metadata=array.metadata, store_path=place))
            found.append(np.asarray(ahead[start:stop]))
        return found

    async def _fetch(self, key: str, start: int, stop: int) -> Buffer:
        """Fetch a stretch of a file, in pieces side by side where it is long."""
        buffers = default_buffer_prototype()

        async def piece(byte_range: ByteRequest | None) -> bytes:
            found = await self._store.get(key, buffers, byte_range)
            if found is None:
                raise FileNotFoundError(f"the file {key} is missing")
            return bytes(found.to_bytes())

        if stop - start <= PIECE:
            content = await piece(None if stop - start == self._sizes[key] else RangeByteRequest(start, stop))
        else:
            spans = (RangeByteRequest(at, min(at + PIECE, stop)) for at in range(start, stop, PIECE))
            content = b"".join(await asyncio.gather(*map(piece, spans)))
        found: Buffer = buffers.buffer.from_bytes(content)
        return found

    async def _keep(self, keys: Iterable[str]) -> None:
        async def keep(key: str) -> None:
            self._kept[key] = await self._fetch(key, 0, self._sizes[key])

        await asyncio.gather(*map(keep, keys))

    async def _stretches(
        self, arrays: Sequence[zarr.Array], start: int, stop: int
    ) -> dict[str, tuple[int, Buffer]]:
        """Fetch what a read needs of each file: from which byte on, and the bytes."""
        files = [
            (array, number, max(start, number * length), min(stop, (number + 1) * length))
            for array in arrays
            for length in [(array.shards or array.chunks)[0]]
            for number in range(start // length, -(-stop // length))
        ]

        async def stretch(
            array: zarr.Array, number: int, start: int, stop: int
        ) -> tuple[str, tuple[int, Buffer]]:
            key = f"{array.path}/{array.metadata.encode_chunk_key((number,))}"
            if key not in self._sizes:
                raise FileNotFoundError(f"the chunk {key} is missing")
            span = await self._span(array, key, start, stop)
            buffer = self._kept[key][slice(*span)] if key in self._kept else await self._fetch(key, *span)
            return key, (span[0], buffer)

        return dict(await asyncio.gather(*(stretch(*file) for file in files)))

    async def _span(self, array: zarr.Array, key: str, start: int, stop: int) -> Span:
        """Return where in a file the chunks of some elements lie."""
        if array.shards is None:
            return 0, self._sizes[key]
        count = array.shards[0] // array.chunks[0]
        first = (start % array.shards[0]) // array.chunks[0]
        last = ((stop - 1) % array.shards[0]) // array.chunks[0]
        if (first, last) == (0, count - 1):
            return 0, self._sizes[key]
        size = self._sizes[key]
        if key not in self._indices:
            self._indices[key] = await self._fetch(key, size - count * _INDEX_ENTRY - _INDEX_CHECKSUM, size)
        entries = np.frombuffer(self._indices[key].to_bytes()[: count * _INDEX_ENTRY], dtype="<u8")
        offsets, lengths = entries.reshape(count, 2)[first : last + 1].T
        span = int(offsets.min()), int((offsets + lengths).max())
        return (
            span if span[0] < span[1] <= size else (0, size)
        )  # zarr checks the index, and says what is wrong


class _Stretches(WrapperStore[AheadStore]):  # type: ignore[misc]
    """An object of which some stretches are at hand, for one read."""

    def __init__(self, store: AheadStore, stretches: Mapping[str, tuple[int, Buffer]]) -> None:
        super().__init__(store)
        self._stretches = stretches

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if key in self._stretches:
            offset, content = self._stretches[key]
            start, stop = _bounds(byte_range, self._store._sizes[key])
            if offset <= start and stop <= offset + len(content):
                return content[start - offset : stop - offset]
        return await super().get(key, prototype, byte_range)


def _bounds(byte_range: ByteRequest | None, size: int) -> Span:
    """Return the first byte of a range, and the one after its last."""
    match byte_range:
        case RangeByteRequest(start, end):
            return start, end
        case OffsetByteRequest(offset):
            return offset, size
        case SuffixByteRequest(suffix):
            return max(0, size - suffix), size
    return 0, size
