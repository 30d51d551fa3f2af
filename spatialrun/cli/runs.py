"""``spatialrun runs``."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli.options import Json, Profiles, Store

Pin = Annotated[str | None, typer.Option("--pin", metavar="ID", help="Keep a run whatever its age.")]
Unpin = Annotated[str | None, typer.Option("--unpin", metavar="ID", help="Let it go with the others.")]


def runs(
    store: Store, pin: Pin = None, unpin: Unpin = None, profile: Profiles = None, json: Json = False
) -> None:
    """List the runs of a store, oldest first, or pin one.

    [dim]spatialrun runs expm/visium --pin 20260728-101500-ab12[/dim]
    """
    from json import dumps

    from spatialrun.cli.console import out
    from spatialrun.cli.render_store import print_runs, run_to_json
    from spatialrun.experiment import open_place
    from spatialrun.store.overview import list_runs

    opened = open_place(store, profile or ())
    if pin is not None:
        opened.runs.pin(pin)
    if unpin is not None:
        opened.runs.unpin(unpin)
    found = list_runs(opened)
    if json:
        typer.echo(dumps([run_to_json(run) for run in found]))
    else:
        print_runs(out(), found)
