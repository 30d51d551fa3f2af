"""``spatialrun doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli.options import Json, Profiles

Place = Annotated[
    str | None,
    typer.Argument(metavar="[STORE]", help="A store to be checked, too, or the recipe whose store is meant."),
]


def doctor(store: Place = None, profile: Profiles = None, json: Json = False) -> None:
    """Check the installation, the machine and a store; of a recipe, the interpreters that it names too.

    Exits with 1 where something stands in the way of a run.

    [dim]spatialrun doctor expm/visium[/dim]
    """
    from dataclasses import asdict
    from json import dumps

    from spatialrun.cli import exits
    from spatialrun.cli.console import out
    from spatialrun.cli.render_doctor import print_checks
    from spatialrun.doctor import examine, interpreters_of, is_sound
    from spatialrun.experiment import find_place

    if store is None:
        checks = examine()
    else:
        checks = examine(find_place(store, profile or ()), interpreters_of(store, profile or ()))
    if json:
        typer.echo(dumps([asdict(check) for check in checks]))
    else:
        print_checks(out(), checks)
    if not is_sound(checks):
        raise typer.Exit(exits.BUG)
