"""``spatialrun log``."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli.completion import sample_names, step_ids
from spatialrun.cli.options import Profiles, RunId, Store

Step = Annotated[
    str | None,
    typer.Argument(
        metavar="[STEP]",
        help="One step alone.",
        autocompletion=step_ids,
    ),
]
Sample = Annotated[
    str | None,
    typer.Argument(
        metavar="[SAMPLE]",
        help="One sample alone.",
        autocompletion=sample_names,
    ),
]


def log(
    store: Store, step: Step = None, sample: Sample = None, run: RunId = None, profile: Profiles = None
) -> None:
    """Show what the tasks of a run said: their log, time, memory and errors.

    [dim]spatialrun log expm/visium svg p2-t5[/dim]
    """
    from spatialrun.cli.console import out
    from spatialrun.cli.render_log import print_log
    from spatialrun.experiment import open_experiment

    print_log(out(), open_experiment(store, run, profile or ()).run, step, sample)
