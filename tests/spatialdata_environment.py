"""An environment with spatialdata, squidpy and vitessce: they need an older dask than everything else."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spatialrun.store.view import SPATIALDATA_VERSION

REQUIREMENTS = [f"spatialdata=={SPATIALDATA_VERSION}", "dask<2026.1.2", "squidpy>=1.8", "vitessce>=3.5"]


def interpreter(config: pytest.Config) -> str | Path:
    """A Python that has them: what SPATIALRUN_SPATIALDATA_PYTHON names, else one made once and kept."""
    if given := os.environ.get("SPATIALRUN_SPATIALDATA_PYTHON"):
        return given
    place = config.cache.mkdir(f"spatialdata-{SPATIALDATA_VERSION}-squidpy")
    folder = place / "environment"
    python, ready = folder / "bin" / "python", folder / "ready"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # processes that test side by side share it
        if not ready.exists():
            if os.environ.get("SPATIALRUN_NO_NETWORK"):
                pytest.skip("SPATIALRUN_NO_NETWORK is set: spatialdata cannot be installed")
            shutil.rmtree(folder, ignore_errors=True)
            succeed(sys.executable, "-m", "venv", folder)
            succeed(python, "-m", "pip", "install", "--quiet", *REQUIREMENTS)
            ready.touch()
    return python


def succeed(*command: Any, cwd: Path | None = None) -> str:
    """Run a command in a folder and return what it prints; fail with what it complains of."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout
