"""Exit codes that no error of spatialrun's own has (those carry theirs: see ``spatialrun.errors``)."""

from __future__ import annotations

BUG = 1
INTERRUPTED = 130
"""As shells say it: 128 and the signal's number."""
