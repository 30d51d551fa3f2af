"""``spatialrun init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folders = Annotated[
    list[Path],
    typer.Argument(metavar="DIR...", help="Where to look for Space Ranger folders and h5ad files."),
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The recipe to write.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


def init(folders: Folders, output: Output = Path("recipe.yaml"), force: Force = False) -> None:
    """Write a recipe for the Space Ranger folders and h5ad files below some folders.

    [dim]spatialrun init data --output visium.yaml[/dim]
    """
    from spatialrun import words
    from spatialrun.cli.console import err, out, print_columns, print_line
    from spatialrun.cli.discovery import find
    from spatialrun.cli.draft import draft
    from spatialrun.cli.files import write
    from spatialrun.errors import UsageError

    if output.exists() and not force:
        hint = "name another with --output, or write over it with --force"
        raise UsageError("usage", f"{output} exists", hint=hint)
    found, passed = find(folders)
    for passing in passed:
        print_line(err(), f"passed over {words.place(passing.path)}: {passing.why}")
    if not found:
        places = ", ".join(map(str, folders))
        hint = "a Space Ranger folder holds a matrix (filtered_feature_bc_matrix.h5) and spatial/"
        raise UsageError("usage", f"no Space Ranger folder and no h5ad file below {places}", hint=hint)
    write(output, draft(found, output.absolute().parent))
    console = out()
    print_line(console, f"{words.place(output.absolute())}: {words.count(len(found), 'sample')}")
    print_columns(console, [(f"  {entry.name}", entry.uses, words.place(entry.path)) for entry in found])
    print_line(console)
    print_line(console, f"next  {words.command('plan', str(output))}")
