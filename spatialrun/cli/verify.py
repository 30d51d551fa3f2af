"""``spatialrun verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli.options import Json, Profiles, RunId, Store

Sample = Annotated[
    int, typer.Option("--sample", metavar="N", min=0, help="Compute N tasks anew, too, and compare results.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Which tasks are drawn.")]
Repair = Annotated[
    bool, typer.Option("--repair", help="Drop what is damaged: the next apply computes it anew.")
]


def verify(
    store: Store,
    run: RunId = None,
    sample: Sample = 0,
    seed: Seed = 0,
    repair: Repair = False,
    profile: Profiles = None,
    json: Json = False,
) -> None:
    """Read everything in a store again, and say what does not hold what was written.

    Exits with 4 where something is damaged and stays so.

    [dim]spatialrun verify expm/visium --sample 5[/dim]
    """
    from spatialrun.cli.console import out
    from spatialrun.cli.render_verify import print_json, print_verification
    from spatialrun.errors import StoreError
    from spatialrun.execute.recompute import recompute_some
    from spatialrun.experiment import open_place
    from spatialrun.store import verify as verification

    opened = open_place(store, profile or ())
    recomputed = recompute_some(opened, run, sample, seed) if sample else ()
    found = verification.verify(opened, run)
    dropped = verification.repair(opened, found) if repair else ()
    if json:
        print_json(found, recomputed, dropped)
    else:
        print_verification(out(), opened.url, found, recomputed, dropped)
    if found.faults and not repair:
        raise typer.Exit(StoreError.exit_code)
