"""A zarr store over a folder of a bucket, whose every request is tried again where it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from spatialrun.store.requests import Requests

if TYPE_CHECKING:
    from obstore.store import ObjectStore

MULTIPART = 64 << 20


class RemoteZarr(Store):  # type: ignore[misc]
    """Zarr keys below a prefix of a bucket.

    Parameters
    ----------
    bucket
        The client.
    requests
        Carries out what is asked of it.
    prefix
        The folder.
    read_only
        Whether writing is refused.
    """

    supports_writes = True
    supports_deletes = True
    supports_listing = True

    def __init__(self, bucket: ObjectStore, requests: Requests, prefix: str, *, read_only: bool) -> None:
        super().__init__(read_only=read_only)
        self._bucket = bucket
        self._requests = requests
        self._prefix = prefix

    def with_read_only(self, read_only: bool = False) -> RemoteZarr:
        """Return the same store, to read only or to write."""
        return type(self)(self._bucket, self._requests, self._prefix, read_only=read_only)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, RemoteZarr)
            and (self._bucket, self._prefix) == (other._bucket, other._prefix)
            and self.read_only == other.read_only
        )

    def __hash__(self) -> int:
        return hash((self._prefix, self.read_only))

    def __str__(self) -> str:
        return f"remote://{self._prefix}"

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a value, or a range of it; ``None`` where there is none."""
        try:
            content = await self._requests.run_async(lambda: self._read(key, byte_range))
        except FileNotFoundError:
            return None
        return prototype.buffer.from_bytes(content)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return several ranges."""
        return list(await asyncio.gather(*(self.get(key, prototype, span) for key, span in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Whether there is a value."""
        import obstore

        try:
            await self._requests.run_async(lambda: obstore.head_async(self._bucket, self._path(key)))
        except FileNotFoundError:
            return False
        return True

    async def getsize(self, key: str) -> int:
        """Return a value's size in bytes."""
        import obstore

        facts = await self._requests.run_async(lambda: obstore.head_async(self._bucket, self._path(key)))
        return int(facts["size"])

    async def set(self, key: str, value: Buffer) -> None:
        """Write a value."""
        import obstore

        self._check_writable()
        content = value.to_bytes()
        await self._requests.run_async(
            lambda: obstore.put_async(
                self._bucket, self._path(key), content, use_multipart=len(content) > MULTIPART
            )
        )

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a value, unless there is one; what spatialrun writes has one writer."""
        if not await self.exists(key):
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        """Remove a value, if it is there."""
        import obstore

        self._check_writable()
        try:
            await self._requests.run_async(lambda: obstore.delete_async(self._bucket, self._path(key)))
        except FileNotFoundError:
            return

    def list(self) -> AsyncIterator[str]:
        """Yield all keys."""
        return self.list_prefix("")

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield all keys below a folder."""
        import obstore

        folder = self._path(prefix.rstrip("/"))
        found: Any = await self._requests.run_async(
            lambda: obstore.list(self._bucket, prefix=folder or None).collect_async()
        )
        for facts in found:
            yield self._key(facts["path"])

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names of a folder's entries."""
        import obstore

        folder = self._path(prefix.rstrip("/"))
        found: Any = await self._requests.run_async(
            lambda: obstore.list_with_delimiter_async(self._bucket, prefix=folder or None)
        )
        for path in (*found["common_prefixes"], *(facts["path"] for facts in found["objects"])):
            yield path.rpartition("/")[2]

    async def _read(self, key: str, byte_range: ByteRequest | None) -> Any:
        import obstore
        from obstore.exceptions import NotSupportedError

        path = self._path(key)
        match byte_range:
            case None:
                answer = await obstore.get_async(self._bucket, path)
            case RangeByteRequest(start, end):
                return await obstore.get_range_async(self._bucket, path, start=start, end=end)
            case OffsetByteRequest(offset):
                answer = await obstore.get_async(self._bucket, path, options={"range": {"offset": offset}})
            case SuffixByteRequest(suffix):
                try:
                    answer = await obstore.get_async(
                        self._bucket, path, options={"range": {"suffix": suffix}}
                    )
                except NotSupportedError:  # Azure: the size must be asked for first
                    size = (await obstore.head_async(self._bucket, path))["size"]
                    return await obstore.get_range_async(
                        self._bucket, path, start=max(0, size - suffix), end=size
                    )
        return await answer.bytes_async()

    def _path(self, key: str) -> str:
        return "/".join(part for part in (self._prefix, key) if part)

    def _key(self, path: str) -> str:
        return path[len(self._prefix) + 1 :] if self._prefix else path
