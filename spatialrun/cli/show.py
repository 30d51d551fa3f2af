"""``spatialrun show``."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli.completion import sample_names
from spatialrun.cli.options import Profiles, RunId, Store

Sample = Annotated[
    str | None,
    typer.Argument(
        metavar="[SAMPLE]", help="One sample; all together by default.", autocompletion=sample_names
    ),
]


def show(store: Store, sample: Sample = None, run: RunId = None, profile: Profiles = None) -> None:
    """Show what a run holds: its samples, and what they have in obs, var, layers ...

    [dim]spatialrun show expm/visium p2-t5[/dim]
    """
    from spatialrun.cli.console import out, print_line
    from spatialrun.experiment import open_experiment
    from spatialrun.listing import WIDTH, describe_run

    console = out()
    width = console.width if console.is_terminal else WIDTH
    experiment = open_experiment(store, run, profile or ())
    print_line(
        console, describe_run(experiment.run, width) if sample is None else experiment.describe(sample, width)
    )
