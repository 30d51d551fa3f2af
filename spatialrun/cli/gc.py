"""``spatialrun gc``."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from spatialrun.cli.options import Json, Profiles, Store
from spatialrun.errors import UsageError

KeepRuns = Annotated[
    int | None,
    typer.Option("--keep-runs", metavar="N", min=1, help="Keep the N newest runs, and pinned ones."),
]
MaxSize = Annotated[
    str | None,
    typer.Option("--max-size", metavar="SIZE", help="Drop the oldest runs until the store fits: 50GB."),
]
Grace = Annotated[
    str, typer.Option("--grace", metavar="TIME", help="Keep everything younger than this: 30m, 1h, 2d.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def gc(
    store: Store,
    keep_runs: KeepRuns = None,
    max_size: MaxSize = None,
    grace: Grace = "1h",
    dry_run: DryRun = False,
    profile: Profiles = None,
    json: Json = False,
) -> None:
    """Delete what no run holds; safe beside running applies.

    [dim]spatialrun gc expm/visium --keep-runs 5 --max-size 50GB --dry-run[/dim]
    """
    from dataclasses import asdict
    from json import dumps

    from spatialrun import amounts
    from spatialrun.cli.console import out
    from spatialrun.cli.render_store import print_collection
    from spatialrun.experiment import open_place
    from spatialrun.store.gc import Policy, collect

    policy = Policy(keep_runs, amounts.parse(max_size) if max_size else None, _seconds(grace))
    result = collect(open_place(store, profile or ()), policy, dry_run=dry_run)
    if json:
        typer.echo(dumps(asdict(result)))
    else:
        print_collection(out(), result, policy, dry_run=dry_run)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"\s*(\d+\.?\d*)\s*([smhd])\s*", text)
    if match is None:
        raise UsageError("usage", f"{text!r} is not a time", hint="write it as 30m, 1h or 2d")
    return float(match[1]) * _UNITS[match[2]]
