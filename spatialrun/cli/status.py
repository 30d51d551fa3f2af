"""``spatialrun status``."""

from __future__ import annotations

import typer

from spatialrun.cli.options import Json, Profiles, Store


def status(store: Store, profile: Profiles = None, json: Json = False) -> None:
    """Show what is running on a store now, its last run, its size and the free space.

    [dim]spatialrun status expm/visium[/dim]
    """
    from json import dumps

    from spatialrun.cli.console import out
    from spatialrun.cli.render_store import print_status, status_to_json
    from spatialrun.experiment import open_place
    from spatialrun.store.overview import look_at

    found = look_at(open_place(store, profile or ()))
    if json:
        typer.echo(dumps(status_to_json(found)))
    else:
        print_status(out(), found)
