"""``spatialrun schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there instead of printing it.")
]


def schema(output: Output = None) -> None:
    """Print the JSON schema of recipes, with which editors check and complete them.

    A recipe names it in its first line: [dim]# yaml-language-server: $schema=recipe.schema.json[/dim]
    """
    from spatialrun.cli.files import write
    from spatialrun.recipe.schema import dump_schema

    text = dump_schema()
    if output is None:
        typer.echo(text, nl=False)
    else:
        write(output, text)
