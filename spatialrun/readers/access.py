"""Access: what is said of a file that is there but may not be read."""

from __future__ import annotations

from pathlib import Path

from spatialrun.errors import DataError, Where


def unreadable(path: Path) -> DataError:
    """Return the error about a file that this user may not read."""
    return DataError(
        "data.bad-file",
        f"{path.name} cannot be read: permission denied",
        where=Where(file=str(path)),
        hint="check the file's mode",
    )
