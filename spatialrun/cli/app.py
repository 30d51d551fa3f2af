"""The program: its commands in their order, and how it ends."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from gc import set_threshold
from typing import Annotated

import typer

from spatialrun.cli import (
    apply,
    check,
    diff,
    doctor,
    exits,
    export_run,
    gc,
    init,
    log,
    plan,
    report,
    runs,
    schema,
    show,
    status,
    steps,
    table,
    verify,
)

app = typer.Typer(
    name="spatialrun",
    no_args_is_help=True,
    epilog="Exit codes: 0 all done; 2 a fault of the recipe or the command; 3 a task failed; 4 the store.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RUN, LOOK, WRITE, KEEP = "Run a recipe", "Look at results", "Write a recipe", "Look after a store"
COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    RUN: (apply.apply, plan.plan, check.check),
    LOOK: (show.show, table.table, log.log, report.report, export_run.export_run),
    WRITE: (init.init, steps.steps, schema.schema),
    KEEP: (runs.runs, status.status, diff.diff, verify.verify, gc.gc, doctor.doctor),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)

DEBUG = "SPATIALRUN_DEBUG"


def _version(wanted: bool) -> None:
    if wanted:
        from spatialrun.version import __version__

        typer.echo(f"spatialrun {__version__}")
        raise typer.Exit


@app.callback()
def spatialrun(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Declarative, cached, resumable recipes for spatial transcriptomics.

    [bold]spatialrun init data[/bold]            write a recipe for the samples below data

    [bold]spatialrun plan recipe.yaml[/bold]     see what it would do, and why

    [bold]spatialrun apply recipe.yaml[/bold]    do it; a second time, only what changed
    """
    del version


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code. Errors are printed, never raised."""
    from spatialrun.errors import SpatialrunError

    # A plan of 10,000 tasks is millions of objects and no garbage: looking for some took a third of its time.
    set_threshold(100_000, 50)
    words = sys.argv[1:] if arguments is None else list(arguments)
    debug = bool(os.environ.get(DEBUG)) or "-vv" in words
    if not debug:
        _hush()
    try:
        typer.main.get_command(app).main(args=words, prog_name="spatialrun")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else exits.BUG
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except SpatialrunError as error:
        from spatialrun.cli.console import err
        from spatialrun.cli.failure import print_error

        if debug:
            traceback.print_exc()
        print_error(err(), error)
        return error.exit_code
    except Exception as problem:
        if debug:
            traceback.print_exc()
        else:
            print(f"error: {type(problem).__name__}: {problem}", file=sys.stderr)
            print(
                f"  help: this is a fault of spatialrun; set {DEBUG}=1 and report what it says",
                file=sys.stderr,
            )
        return exits.BUG
    return 0


def _hush() -> None:
    """Keep the libraries' warnings to developers from users; the workers inherit the environment."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
