"""The recipes that come along, applied in folders of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import MEMORY, TESTS

from spatialrun.api import load
from spatialrun.execute.apply import Options
from spatialrun.execute.events import Listener, ignore
from spatialrun.store.runs import Run

SMALL = ("steps.simulate.with.n_spots=400", "steps.simulate.with.n_genes=600", "steps.simulate.with.n_svg=60")
"""A quickstart that takes less time."""


def apply_shipped(
    recipe: str, root: Path, *overrides: str, scheduler: str | None = None, listener: Listener = ignore
) -> Run:
    """Apply a copy of a recipe, all of which must succeed."""
    file = root / "recipes" / recipe
    file.parent.mkdir(parents=True)
    shutil.copy(TESTS.parent / "recipes" / recipe, file)
    options = Options(jobs=1, memory=MEMORY, scheduler=scheduler)
    outcome = load(file, overrides).apply(options, listener)
    assert outcome.run.status == "done", outcome.errors
    return outcome.run
