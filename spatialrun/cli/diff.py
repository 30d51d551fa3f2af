"""``spatialrun diff``."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli.options import Json, Profiles, Store

Old = Annotated[str, typer.Argument(metavar="RUN_A", help="A run's id.")]
New = Annotated[str, typer.Argument(metavar="RUN_B", help="The run to compare with it.")]


def diff(store: Store, old: Old, new: New, profile: Profiles = None, json: Json = False) -> None:
    """Compare two runs: recipe, parameters, versions, and how far results moved.

    [dim]spatialrun diff expm/visium 20260728-101500-ab12 20260729-090000-cd34[/dim]
    """
    from dataclasses import asdict
    from json import dumps

    from spatialrun.cli.console import out
    from spatialrun.cli.render_diff import print_difference
    from spatialrun.experiment import open_place
    from spatialrun.plan.difference import difference

    found = difference(open_place(store, profile or ()), old, new)
    if json:
        typer.echo(dumps(asdict(found)))
    else:
        print_difference(out(), found)
