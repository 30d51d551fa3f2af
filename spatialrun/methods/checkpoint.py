"""Where a long computation leaves its state, so that another process goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np

State: TypeAlias = "Mapping[str, np.ndarray]"


class Checkpoint(Protocol):
    """One place for the state of one computation; the checkpoint of a running step's context is one."""

    def load(self) -> State | None:
        """Return the state that was saved last; ``None`` where there is none."""

    def save(self, state: Callable[[], State]) -> None:
        """Save a state, but not more often than every few seconds: it is asked for only when it is saved."""


class Unsaved:
    """The checkpoint of whoever does not mind to begin anew."""

    def load(self) -> State | None:
        """Have nothing."""
        return None

    def save(self, state: Callable[[], State]) -> None:
        """Save nothing."""


UNSAVED = Unsaved()
