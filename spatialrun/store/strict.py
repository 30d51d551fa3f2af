"""A strict zarr store: a missing chunk is an error.

zarr reads a chunk whose file is gone as fill values, as if it had never been written. Objects are written with
every chunk, so one that is not there has been lost, and zeros in its place would be a wrong result.
"""

from __future__ import annotations

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore


class StrictStore(WrapperStore[Store]):  # type: ignore[misc]
    """A zarr store that raises ``FileNotFoundError`` for chunks that are not there."""

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
