"""Scratch: a folder of this process for files that must be on a file system for a while; it goes at exit.

Workers are killed, or end without an exit. So the run hands each of them a folder within its own, by a
variable of the environment, and removes it when the worker has ended, however that was.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from functools import cache
from pathlib import Path

HANDED = "SPATIALRUN_SCRATCH"
"""The variable that names the folder which a run has handed over."""


_turn = threading.Lock()


@cache
def _own() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="spatialrun-")


def _root() -> str:
    """Return the folder in which all others are; of threads that ask at the same time, one makes it."""
    handed = os.environ.get(HANDED)
    if handed and Path(handed).is_dir():  # another interpreter may see other folders than the run
        return handed
    with _turn:
        return _own().name


def scratch_folder() -> Path:
    """Return a new, empty folder."""
    return Path(tempfile.mkdtemp(dir=_root()))


def give_back() -> None:
    """Remove what a run has handed over: the run may be gone, or about to go."""
    if handed := os.environ.get(HANDED):
        shutil.rmtree(handed, ignore_errors=True)
