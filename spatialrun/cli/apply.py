"""``spatialrun apply``."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spatialrun.cli import exits
from spatialrun.cli.options import Force, Only, Overrides, Profiles, Recipe, Samples, Until

if TYPE_CHECKING:
    from spatialrun.api import LoadedRecipe
    from spatialrun.cli.progress import Reporter

Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, metavar="N", help="How many cores to use; all by default."),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="What the run may use, all of its processes together (6GB); 70% of what is free by default.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Compute on the dask cluster of this scheduler (tcp://host:8786, or a scheduler file); "
        "DASK_SCHEDULER_ADDRESS by default.",
    ),
]
FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast/--keep-going",
        help="After a failure, begin nothing more; or go on with all that does not need it (the default).",
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        "--retries", min=0, metavar="N", help="How often to try a task again, where its step does not say."
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout",
        metavar="TIME",
        help="What a task may take (seconds, or 90s, 30m, 2h), where its step does not say.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors alone.")]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Show the steps' log lines; -vv: tracebacks too.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per event and line.")]


def apply(
    recipe: Recipe,
    set: Overrides = None,
    profile: Profiles = None,
    until: Until = None,
    only: Only = None,
    samples: Samples = None,
    force: Force = None,
    jobs: Jobs = None,
    memory: Memory = None,
    scheduler: Scheduler = None,
    fail_fast: FailFast = False,
    retries: Retries = 0,
    timeout: Timeout = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    json: Json = False,
) -> None:
    """Bring the store up to date with a recipe: compute what is not cached.

    May be stopped at any time: what was done is kept, and the next run goes on from there. Ctrl-C once lets what
    is running come to its end, twice stops at once.

    [dim]spatialrun apply recipe.yaml -j 4 --memory 6GB[/dim]
    """
    from spatialrun import amounts, words
    from spatialrun.api import load
    from spatialrun.cli.console import err, out, print_line
    from spatialrun.cli.failure import print_warnings
    from spatialrun.cli.progress import Tally
    from spatialrun.cli.render_outcome import interrupted, print_errors, print_outcome
    from spatialrun.errors import TaskError
    from spatialrun.execute.apply import Options

    budget = amounts.parse(memory) if memory else None
    given: dict[str, Any] = {"jobs": jobs, "memory": budget, "scheduler": scheduler or None}
    options = Options(
        **{name: value for name, value in given.items() if value is not None},
        keep_going=not fail_fast,
        retries=retries,
        timeout_s=amounts.duration(timeout) if timeout else None,
    )
    loaded = load(recipe, set or (), profile or ()).select(
        until=until or (), only=only or (), samples=samples or (), force=force or ()
    )
    if budget is not None and not options.scheduler:
        loaded.plan(budget)
    reporter = _reporter(loaded, options.memory, quiet=quiet, verbose=bool(verbose), json=json)
    tally = Tally(reporter)
    try:
        with reporter:
            outcome = loaded.apply(options, tally)
    except KeyboardInterrupt:
        print_line(err(), interrupted(tally))
        raise typer.Exit(exits.INTERRUPTED) from None
    print_warnings(err(), tally.warnings)
    if not (quiet or json):
        print_outcome(out(), loaded, outcome, tally)
    if outcome.errors:
        print_errors(err(), outcome, words.place(loaded.store_url))
        raise typer.Exit(TaskError.exit_code)


def _reporter(loaded: LoadedRecipe, budget: int, *, quiet: bool, verbose: bool, json: bool) -> Reporter:
    from spatialrun.cli.console import err
    from spatialrun.cli.progress import JsonLines, PlainLines, Silent

    if json:
        return JsonLines()
    if quiet:
        return Silent()
    console = err()
    if console.is_terminal and not console.is_dumb_terminal and not os.environ.get("CI"):
        from spatialrun.cli.live import LiveBoard

        tasks = [id for id in loaded.graph.tasks if id in loaded.choice.tasks]
        return LiveBoard(
            console, tasks, verbose=verbose, budget=budget, before=partial(_seconds_before, loaded)
        )
    return PlainLines(console, verbose=verbose)


def _seconds_before(loaded: LoadedRecipe) -> dict[tuple[str, str], float]:
    """Return what tasks took when they were last computed, as far as the newest run tells."""
    from spatialrun.errors import StoreError

    try:
        store = loaded.store()
        run = store.runs.latest() if store is not None else None
    except StoreError:
        return {}
    entries = run.tasks.items() if run is not None else ()
    return {id: float(seconds) for id, entry in entries if (seconds := entry.facts.get("wall_s"))}
