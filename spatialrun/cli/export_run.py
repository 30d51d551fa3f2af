"""``spatialrun export-run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialrun.cli.options import Profiles, RunId, Store

Target = Annotated[Path, typer.Argument(metavar="OUT.zip", help="The archive to be written.")]


def export_run(store: Store, target: Target, run: RunId = None, profile: Profiles = None) -> None:
    """Write a run as an archive: recipe, versions, provenance (RO-Crate), figures, tables.

    [dim]spatialrun export-run expm/visium paper.zip[/dim]
    """
    from spatialrun import words
    from spatialrun.cli.console import out, print_line
    from spatialrun.experiment import open_experiment
    from spatialrun.store import archive

    experiment = open_experiment(store, run, profile or ())
    files = archive.export_run(experiment.store, experiment.run, target)
    size = words.size(target.stat().st_size)
    print_line(out(), f"{target}: run {experiment.run.id}, {words.count(len(files), 'file')}, {size}")
