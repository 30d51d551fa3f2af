"""Faults of a store, in the house's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spatialrun.errors import StoreError, Where


@contextmanager
def store_faults(url: str) -> Iterator[None]:
    """Turn what the system says against reading or writing a store into a coded error."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            "store.permission",
            f"the store cannot be read or written: {error.strerror or error}",
            where=Where(file=str(error.filename or url)),
            hint="check free space, and the folder's owner and mode, or name another `store:` in the recipe",
        ) from error
