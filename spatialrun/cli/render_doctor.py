"""A check-up in lines, one per thing that was looked at."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from spatialrun.cli.console import print_columns
from spatialrun.doctor import Check

_STYLES = {"ok": "green", "absent": "dim", "warning": "yellow", "fault": "bold red"}


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """Print checks by group."""
    rows: list[Sequence[str | Text]] = []
    group = ""
    for check in checks:
        title = Text("" if check.group == group else check.group, "bold")
        group = check.group
        rows.append((title, check.name, Text(check.verdict, _STYLES[check.verdict]), check.found))
    print_columns(console, rows)
