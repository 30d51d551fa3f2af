"""``spatialrun report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spatialrun.cli.options import Profiles, RunId, Store

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="Where to write it; by default beside the run, in its store."
    ),
]
Open = Annotated[bool, typer.Option("--open", help="Show it in the browser.")]


def report(
    store: Store, run: RunId = None, profile: Profiles = None, out: Out = None, open: Open = False
) -> None:
    """Write the report of a run again: one HTML file that needs nothing else.

    [dim]spatialrun report expm/visium --open[/dim]
    """
    import webbrowser

    from spatialrun import words
    from spatialrun.cli import console
    from spatialrun.cli.failure import print_warnings
    from spatialrun.cli.files import write
    from spatialrun.errors import StoreError
    from spatialrun.experiment import open_experiment
    from spatialrun.report.report import place, render, write_report

    experiment = open_experiment(store, run, profile or ())
    backend = experiment.store.backend
    if out is None:
        try:
            path = backend.local(write_report(experiment.store, experiment.run))
        except StoreError as error:
            there = place(experiment.run)
            if not open or error.code != "store.permission" or not backend.exists(there):
                raise
            print_warnings(console.err(), [("", "", f"the page is as it was before: {error.what}")])
            path = backend.local(there)
    else:
        path = out
        write(path, render(experiment.store, experiment.run), option="--out")
    console.print_line(console.out(), words.place(path))
    if open:
        webbrowser.open(path.resolve().as_uri())
