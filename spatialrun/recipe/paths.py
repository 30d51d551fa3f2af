"""Paths as recipes write them: relative to a folder, absolute, under ``~``, or URLs."""

from __future__ import annotations

import os
import re
from pathlib import Path

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(text: str) -> bool:
    """Whether a path is a URL: ``s3://bucket/folder``."""
    return _URL.match(text) is not None


def absolute(base: Path, text: str) -> Path:
    """Return a path made absolute from a folder; links are kept as they are."""
    return Path(os.path.abspath(base / os.path.expanduser(text)))  # noqa: PTH100, PTH111 (keeps links, cannot fail)


def rebased(text: str, folder: str) -> str:
    """Return a path that was written in a file of ``folder`` as the recipe itself would write it."""
    if not folder or text.startswith("~") or is_url(text):
        return text
    return os.path.normpath(os.path.join(folder, text))  # noqa: PTH118 (text stays text)
