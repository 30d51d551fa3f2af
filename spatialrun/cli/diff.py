"""``spatialrun diff``."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli.completion import run_ids
from spatialrun.cli.options import Json, Profiles, Store

Old = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN_A]", help="A run's id; the newest but one by default.", autocompletion=run_ids
    ),
]
New = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN_B]",
        help="The run to compare with it; the newest by default.",
        autocompletion=run_ids,
    ),
]


def diff(
    store: Store, old: Old = None, new: New = None, profile: Profiles = None, json: Json = False
) -> None:
    """Compare two runs: recipe, parameters, versions, and how far results moved.

    [dim]spatialrun diff expm/visium[/dim]

    [dim]spatialrun diff expm/visium 20260728-101500-ab12 20260729-090000-cd34[/dim]
    """
    from spatialrun.cli.console import out, print_line
    from spatialrun.cli.render_diff import as_json, print_difference
    from spatialrun.experiment import open_place
    from spatialrun.plan.difference import difference, newest_two

    place = open_place(store, profile or ())
    named = old is not None
    if old is None or new is None:
        before, newest = newest_two(place)
        old, new = old or before, new or newest
    found = difference(place, old, new)
    if json:
        typer.echo(as_json(found))
        return
    if not named:
        print_line(out(), f"{old} -> {new}")
    print_difference(out(), found)
