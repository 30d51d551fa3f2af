"""``spatialrun plan``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from spatialrun.cli.options import Force, Json, Only, Overrides, Profiles, Recipe, Samples, Until


class Notation(StrEnum):
    """How to write a graph."""

    mermaid = "mermaid"
    dot = "dot"


Graph = Annotated[Notation | None, typer.Option("--graph", help="Print the steps as a diagram instead.")]
Memory = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="What the run may use: an error if that is too little."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Give every task a line, also those that are alike.")
]


def plan(
    recipe: Recipe,
    set: Overrides = None,
    profile: Profiles = None,
    until: Until = None,
    only: Only = None,
    samples: Samples = None,
    force: Force = None,
    graph: Graph = None,
    memory: Memory = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Say what apply would do, and why. Computes and changes nothing.

    [dim]spatialrun plan recipe.yaml --set steps.svg.with.n_svg=800[/dim]
    """
    from spatialrun import amounts
    from spatialrun.api import load
    from spatialrun.cli import render_plan
    from spatialrun.cli.console import out

    loaded = load(recipe, set or (), profile or ()).select(
        until=until or (), only=only or (), samples=samples or (), force=force or ()
    )
    planned = loaded.plan(amounts.parse(memory) if memory else None)
    if graph is not None:
        from spatialrun.plan import diagram

        draw = diagram.mermaid if graph is Notation.mermaid else diagram.dot
        typer.echo(draw(planned), nl=False)
    elif json:
        typer.echo(render_plan.as_json(planned, store=loaded.store_url))
    else:
        render_plan.print_plan(out(), planned, each=verbose)
