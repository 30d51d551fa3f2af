"""What a verification has found, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.text import Text

from spatialrun import words
from spatialrun.cli.console import print_columns, print_line
from spatialrun.execute.recompute import Recomputed
from spatialrun.execute.spec import error_to_json
from spatialrun.store.findings import Finding
from spatialrun.store.verify import Verification

MOST_FAULTS = 20


def print_json(found: Verification, recomputed: Sequence[Recomputed], dropped: Sequence[str]) -> None:
    """Print everything that was found as one JSON object."""
    again = [
        {
            "step": task.step,
            "sample": task.sample,
            "uses": task.uses,
            "differing": task.differing,
            "error": error_to_json(task.error) if task.error else None,
        }
        for task in recomputed
    ]
    typer.echo(json.dumps({**found.to_json(), "recomputed": again, "dropped": list(dropped)}))


def print_verification(
    console: Console,
    store: str,
    found: Verification,
    recomputed: Sequence[Recomputed],
    dropped: Sequence[str],
) -> None:
    """Print what was found, and what to do about it."""
    read = f"{words.count(found.objects, 'object')}, {words.count(found.records, 'record')}"
    verdict = words.count(len(found.faults), "fault") if found.faults else "all as they were written"
    style = "bold red" if found.faults else "green"
    print_line(console, Text.assemble(f"{read}, {words.size(found.bytes)}: ", (verdict, style)))
    print_columns(console, [(Text(f.kind, "red"), f.path, f.what) for f in found.faults[:MOST_FAULTS]])
    if (more := len(found.faults) - MOST_FAULTS) > 0:
        print_line(console, f"and {more:,} more (--json)")
    if found.lost:
        gone = words.count(len(found.lost), "attempt")
        print_line(console, f"of earlier runs dropped: {gone}; those runs no longer show what was in them")
    for task in recomputed:
        _print_recomputed(console, task)
    for finding in found.findings:
        _print_finding(console, finding)
    if dropped:
        print_line(
            console, f"dropped {words.count(len(dropped), 'attempt')}: apply the recipe to compute anew"
        )
    elif found.faults:
        print_line(console, Text.assemble(("next  ", "bold"), words.command("verify", store, "--repair")))


def _print_recomputed(console: Console, task: Recomputed) -> None:
    if task.error is not None:
        verdict = Text(f"failed: {task.error.what}", "red")
    elif task.differing:
        verdict = Text(f"came to other results: {', '.join(task.differing)}", "bold yellow")
    else:
        verdict = Text("the same results", "green")
    print_line(console, Text(f"computed anew: {task.step} {task.sample} ({task.uses}): ") + verdict)


def _print_finding(console: Console, finding: Finding) -> None:
    head = ("not reproducible", "bold yellow")
    print_line(console, Text.assemble(head, f": {finding.uses}, action {finding.key[:12]}"))
    rows = [
        (
            f"  {port}",
            f"kept {finding.standing.digests.get(port, '-')[:12]}",
            f"other {finding.other.digests.get(port, '-')[:12]}",
        )
        for port in finding.ports
    ]
    print_columns(console, rows)
