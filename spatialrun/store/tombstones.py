"""Tombstones: the marks on what is about to be deleted; see :mod:`spatialrun.store.gc` for when and why."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

from spatialrun.store.backend import Backend

FOLDER = "tombstones"
STALE_AFTER = 24 * 3600.0
"""Seconds after which whoever placed a mark is taken for dead."""


class Tombstones:
    """The marks of a store, by the name of the attempt or run that they stand on.

    Several may stand on one thing, each of another collection, which lifts its own and no other.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._own = uuid.uuid4().hex[:12]

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        names = (name for name in self._backend.list(FOLDER) if not name.startswith("."))
        return (name.rpartition(".")[0] for name in names)

    def place(self, name: str) -> None:
        """Mark something: from now on nobody begins to rely on it."""
        self._backend.put(f"{FOLDER}/{name}.{self._own}", b"")

    def lift(self, name: str) -> None:
        """Remove the mark that this collection has placed: what it stood on is gone, or stays."""
        self._backend.delete(f"{FOLDER}/{name}.{self._own}")

    def lift_void(self) -> None:
        """Remove what collections have left that were killed: marks on nothing, and old ones."""
        marks = list(self._backend.walk(FOLDER))
        # Looked for after the marks: what they stand on was there before them.
        there = {*self._backend.list("data"), *self._backend.list("runs")}
        for facts in marks:
            name = facts.path.rpartition("/")[2].rpartition(".")[0]
            if name not in there or time.time() - facts.modified >= STALE_AFTER:
                self._backend.delete(facts.path)
