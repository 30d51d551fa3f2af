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

    console = out()
    experiment = open_experiment(store, run, profile or ())
    if sample is None:
        text = str(experiment)
    elif console.is_terminal:
        text = experiment.describe(sample, width=console.width)
    else:
        text = experiment.describe(sample)
    print_line(console, text)
