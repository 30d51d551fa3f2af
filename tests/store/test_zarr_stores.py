"""The store that new elements are written to: many chunks at once, more than are held."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter

import pytest
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from spatialrun.store import zarr_stores
from spatialrun.store.zarr_stores import FreshStore


class Slow(MemoryStore):
    """Takes its time over every value, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.written = Counter()

    async def set(self, key, value, byte_range=None):
        self.written[key] += 1
        await asyncio.sleep(0.002)
        await super().set(key, value)


@pytest.fixture
def few_are_held(monkeypatch):
    monkeypatch.setattr(zarr_stores, "HELD_BYTES", 250)


def chunk(number: int):
    return default_buffer_prototype().buffer.from_bytes(bytes([number]) * 100)


async def write_all(fresh: FreshStore, number: int) -> None:
    await asyncio.gather(*(fresh.set(f"x/c/{index}", chunk(index)) for index in range(number)))
    await fresh._write(list(fresh._held))


def test_chunks_that_come_while_others_are_written_are_written_once(few_are_held):
    slow = Slow()
    fresh = FreshStore(slow)
    asyncio.run(write_all(fresh, 60))
    content = {key: value.to_bytes() for key, value in slow._store_dict.items()}
    assert content == {f"x/c/{index}": bytes([index]) * 100 for index in range(60)}
    assert set(slow.written.values()) == {1}
    assert fresh.files == {key: (100, zlib.crc32(value)) for key, value in content.items()}


def test_a_chunk_that_is_being_written_can_be_read(few_are_held):
    async def read_while_writing():
        fresh = FreshStore(Slow())
        writing = asyncio.gather(*(fresh.set(f"x/c/{index}", chunk(index)) for index in range(6)))
        await asyncio.sleep(0.001)
        found = [await fresh.get(f"x/c/{index}", default_buffer_prototype()) for index in range(6)]
        await writing
        return [value.to_bytes()[0] for value in found]

    assert asyncio.run(read_while_writing()) == list(range(6))
