"""Arguments and options that several commands take, worded once."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli import completion

Recipe = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="The recipe: a YAML file.",
        autocompletion=completion.recipe_files,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change the recipe for this time: steps.svg.with.n_svg=800, samples.p2.path=outs. May be repeated.",
    ),
]
Profiles = Annotated[
    list[str] | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Apply one of the recipe's profiles. May be repeated; the last wins.",
        autocompletion=completion.profile_names,
    ),
]
Until = Annotated[
    list[str] | None,
    typer.Option(
        "--until",
        metavar="STEP",
        help="This step and what it needs, no more. May be repeated.",
        autocompletion=completion.step_ids,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="STEP",
        help="This step alone: what it needs is cached. May be repeated.",
        autocompletion=completion.step_ids,
    ),
]
Samples = Annotated[
    list[str] | None,
    typer.Option(
        "--samples",
        metavar="NAME",
        help="These samples alone: a name, a pattern (p2-*) or metadata (group: tumor). May be repeated.",
        autocompletion=completion.sample_names,
    ),
]
Force = Annotated[
    list[str] | None,
    typer.Option(
        "--force",
        metavar="STEP",
        help="Run this step again, even if it is cached. May be repeated.",
        autocompletion=completion.step_ids,
    ),
]
Store = Annotated[
    str, typer.Argument(metavar="STORE", help="A store's folder, or the recipe whose store is meant.")
]
Sample = Annotated[
    str,
    typer.Argument(
        metavar="SAMPLE",
        help="A sample's name.",
        autocompletion=completion.sample_names,
    ),
]
RunId = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="ID", help="Which run; the newest by default.", autocompletion=completion.run_ids
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print data for machines.")]
