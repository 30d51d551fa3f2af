"""``spatialrun table``."""

from __future__ import annotations

from typing import Annotated

import typer

from spatialrun.cli.completion import table_names
from spatialrun.cli.options import Profiles, RunId, Sample, Store

ROWS_SHOWN = 20
MARKER_COLUMNS = ("gene", "pct.in", "pct.out", "fc", "q", "log10.q")
"""What is shown of a domain's markers where nobody says what."""

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[TABLE]",
        help="obs, var, or a table in uns, such as spatialde; of _cohort: sweep. Without: which there are.",
        autocompletion=table_names,
    ),
]
Sort = Annotated[
    str | None, typer.Option("--sort", metavar="COLUMN", help="Sort by a column; -COLUMN: largest first.")
]
Head = Annotated[
    int | None,
    typer.Option(
        "--head", metavar="N", min=1, help=f"How many rows; {ROWS_SHOWN} by default, all with --csv."
    ),
]
Filter = Annotated[
    str | None,
    typer.Option("--where", metavar="EXPR", help="Rows to keep: \"padj < 0.05 and gene != 'MALAT1'\"."),
]
Columns = Annotated[str | None, typer.Option("--columns", metavar="A,B", help="Columns to show.")]
Domain = Annotated[
    str | None, typer.Option("--domain", metavar="D", help="A domain's rows of a table of markers.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with every digit.")]


def table(
    store: Store,
    sample: Sample,
    name: Name = None,
    sort: Sort = None,
    head: Head = None,
    where: Filter = None,
    columns: Columns = None,
    run: RunId = None,
    profile: Profiles = None,
    domain: Domain = None,
    csv: Csv = False,
) -> None:
    """Print a table of a sample: obs, var, or one in uns.

    [dim]spatialrun table expm/visium p2-t5 var --sort spatialde.rank --head 15[/dim]

    [dim]spatialrun table expm/visium p2-t5 spagcn.markers --domain 17[/dim]
    """
    from spatialrun.cli.console import out, print_line
    from spatialrun.cli.render_table import Selection, of_domain, print_table
    from spatialrun.comparison import parse
    from spatialrun.experiment import open_experiment

    experiment = open_experiment(store, run, profile or ())
    if name is None:
        for known in experiment.tables(sample):
            print_line(out(), known)
        return
    if domain is None:
        frame = experiment.table(sample, name)
    else:
        frame = experiment.markers(sample, domain, name)
        if columns is None and not csv and set(MARKER_COLUMNS) <= set(frame.columns):
            columns = ",".join(MARKER_COLUMNS)
    selection = Selection(
        where=parse(where) if where else None,
        sort=sort,
        columns=tuple(part.strip() for part in columns.split(",")) if columns else (),
        head=head or (None if csv else ROWS_SHOWN),
    )
    chosen, total = selection.of(frame, name)
    if csv:
        typer.echo(chosen.to_csv(index=False), nl=False)
    else:
        if domain is not None:
            print_line(out(), of_domain(domain, experiment.table(sample, name), len(frame)))
        if domain is None or total:
            print_table(out(), chosen, total)
