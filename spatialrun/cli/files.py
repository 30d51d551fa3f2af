"""Files that commands write for their users."""

from __future__ import annotations

from pathlib import Path

from spatialrun.errors import UsageError


def write(path: Path, text: str, *, option: str = "--output") -> None:
    """Write a text file, and the folders above it; ``option`` is the one that named it.

    Raises
    ------
    UsageError
        Where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"{path} cannot be written: {error.strerror or error}"
        raise UsageError("usage", what, hint=f"name another file with {option}") from error
