"""Unfinished work: the blocks and checkpoints of a task that has not been committed yet.

A partial result is a handful of arrays in one file, with a checksum before them: a torn file counts as absent.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from spatialrun.store.backend import Backend

if TYPE_CHECKING:
    import numpy as np

_DIGEST = 16


class Partial:
    """The partial results of one action, by name."""

    def __init__(self, backend: Backend, key: str) -> None:
        self._backend = backend
        self._prefix = f"partial/{key}"

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Save arrays under a name, whole or not at all."""
        import numpy as np

        buffer = io.BytesIO()
        # The dash keeps names of arrays apart from savez's own parameters.
        np.savez(buffer, allow_pickle=False, **{f"-{key}": array for key, array in arrays.items()})
        content = buffer.getvalue()
        self._backend.put(f"{self._prefix}/{name}.npz", _checksum(content) + content)

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays saved under a name; ``None`` where there are none, or not whole."""
        import numpy as np

        content = self._backend.get(f"{self._prefix}/{name}.npz")
        if content is None or content[:_DIGEST] != _checksum(content[_DIGEST:]):
            return None
        with np.load(io.BytesIO(content[_DIGEST:]), allow_pickle=False) as archive:
            return {key[1:]: array for key, array in archive.items()}

    def folder(self) -> Path:
        """Return a folder of files; of a remote store it is a local one, for this process alone."""
        folder = self._backend.folder(f"{self._prefix}/scratch")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def discard(self) -> None:
        """Remove everything: the action is committed."""
        self._backend.delete(self._prefix)


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST).digest()
