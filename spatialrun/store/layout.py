"""How arrays are cut into chunks and shards, and how their bytes are compressed.

Arrays of more than one chunk lie in shards, so that a gene range of a CSC matrix is a few range requests and an
array a few files. Each chunk carries its own CRC, so that a flipped bit is found when it is read; and every chunk
is written, also one of zeros, so that a missing file is never taken for zeros.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import zarr

CHUNK_ELEMENTS = 1 << 17
SHARD_CHUNKS = 64


EVERY_CHUNK = {"write_empty_chunks": True}
"""Chunks that hold nothing but zeros are written, too, which zarr otherwise leaves out."""

# Settings of zarr and AnnData are one for the whole process, whose threads may all be writing.
_one_at_a_time = threading.Lock()


@contextmanager
def settings() -> Iterator[None]:
    """Have AnnData write as we do; one value at a time."""
    import anndata
    import zarr

    every = {f"array.{name}": value for name, value in EVERY_CHUNK.items()}
    own = anndata.settings.override(allow_write_nullable_strings=True, auto_shard_zarr_v3=False)
    with _one_at_a_time, zarr.config.set(every), own:
        yield


def plain_codecs() -> dict[str, Any]:
    """Return how arrays are stored whose writing is left to AnnData: strings, and columns of tables."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    return {"compressors": [ZstdCodec(level=3), Crc32cCodec()]}


def create_array(
    group: zarr.Group,
    name: str,
    data: np.ndarray,
    *,
    attributes: Mapping[str, Any] | None = None,
    dimension_names: Sequence[str] | None = None,
) -> zarr.Array:
    """Write a numeric array as ``group/name``."""
    array = empty_array(
        group, name, data.shape, data.dtype, attributes=attributes, dimension_names=dimension_names
    )
    if data.size:
        array[...] = data
    return array


def empty_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    attributes: Mapping[str, Any] | None = None,
    dimension_names: Sequence[str] | None = None,
    tiling: tuple[tuple[int, ...], tuple[int, ...] | None] | None = None,
) -> zarr.Array:
    """Make a numeric array ``group/name`` that is filled piece by piece, best in whole shards.

    ``tiling`` gives chunks and shards where they are not those of all arrays.
    """
    from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec

    chunks, shards = tiling or (_chunks(shape), None)
    if tiling is None and math.prod(shape) > math.prod(chunks):
        shards = _shards(shape, chunks)
    kwargs: dict[str, Any] = {} if shards is None else {"shards": shards}
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        compressors=[
            BloscCodec(cname="zstd", clevel=3, shuffle=BloscShuffle.shuffle, typesize=dtype.itemsize),
            Crc32cCodec(),
        ],
        attributes=attributes,
        dimension_names=dimension_names,
        config=EVERY_CHUNK,
        **kwargs,
    )


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Cut the last axes whole and the first ones as far as a chunk's size asks."""
    chunks = list(shape)
    for axis in range(len(shape)):
        rest = math.prod(chunks[axis + 1 :])
        chunks[axis] = max(1, min(shape[axis], CHUNK_ELEMENTS // max(rest, 1)))
        if chunks[axis] > 1:
            break
    return tuple(max(1, size) for size in chunks)


def _shards(shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    """Join up to ``SHARD_CHUNKS`` chunks, along the last cut axis first."""
    shards, left = list(chunks), SHARD_CHUNKS
    for axis in reversed(range(len(shape))):
        count = max(1, min(left, -(-shape[axis] // chunks[axis])))
        shards[axis] = chunks[axis] * count
        left //= count
    return tuple(shards)
