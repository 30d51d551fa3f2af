"""Scratch: a folder of this process for files that must be on a file system for a while; it goes at exit."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path


@cache
def _root() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="spatialrun-")


def scratch_folder() -> Path:
    """Return a new, empty folder."""
    return Path(tempfile.mkdtemp(dir=_root().name))
