"""Paths that do not exist: what may have been meant."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path


def meant(path: Path) -> Path | None:
    """Return the path that exists and is spelt most like one that does not; ``None`` where none is.

    The first part of the path that is not there is compared with what lies beside it, so a misspelt folder in the
    middle is found too.
    """
    there = next((parent for parent in path.parents if parent.is_dir()), None)
    if there is None:
        return None
    first, *rest = path.relative_to(there).parts
    beside = sorted(entry.name for entry in there.iterdir())
    for name in get_close_matches(first, beside, n=3):
        if (whole := there.joinpath(name, *rest)).exists():
            return whole
    return None
