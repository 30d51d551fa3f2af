"""``spatialrun steps``."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli.completion import type_names

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A step type, to see all of it.",
        autocompletion=type_names,
    ),
]


def steps(name: Name = None) -> None:
    """List the step types, or describe one: parameters, what it reads and writes.

    [dim]spatialrun steps svg.spatialde[/dim]
    """
    from spatialrun.cli.console import err, out
    from spatialrun.cli.failure import print_error
    from spatialrun.cli.render_step import print_catalogue, print_step
    from spatialrun.errors import UsageError
    from spatialrun.recipe.problems import choices, unknown
    from spatialrun.steps import catalogue

    if name is None:
        print_catalogue(out(), catalogue.all_steps())
        for fault in catalogue.faults().values():
            print_error(err(), fault)
    elif name in catalogue.names():
        print_step(out(), catalogue.get(name))
    else:
        valid = catalogue.names()
        raise UsageError("usage", unknown("step type", name, valid), hint=f"step types: {choices(valid)}")
