"""The checkpoint of a task: the state of an unfinished computation, kept in the store until the task is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from spatialrun.errors import StoreError
from spatialrun.store.partial import Partial

if TYPE_CHECKING:
    import numpy as np

EVERY = 5.0
"""Seconds between two saves: at most as much work is lost."""
SHARE = 0.1
"""Most of the time that saving may take: where the store is slow, states are saved less often."""
_NAME = "checkpoint"


class StoredCheckpoint:
    """One state, of which only the newest is kept: :class:`spatialrun.steps.contract.Checkpoint`.

    A state that cannot be saved stops nothing, as for blocks: where the disk is full, the commit will say it.
    """

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        self._next = time.monotonic() + EVERY
        self._used = False

    def load(self) -> Mapping[str, np.ndarray] | None:
        """Return the state that was saved last; ``None`` where there is none."""
        state = self._partial.load(_NAME)
        self._used = self._used or state is not None
        return state

    def save(self, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Save a state if the last one is 5 seconds old."""
        start = time.monotonic()
        if start < self._next:
            return
        self._used = True
        with suppress(OSError, StoreError):
            self._partial.save(_NAME, state())
        end = time.monotonic()
        self._next = end + max(EVERY, (end - start) / SHARE)

    def discard(self) -> None:
        """Remove what is kept: the task is done."""
        if self._used:
            self._partial.discard()
