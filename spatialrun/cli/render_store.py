"""A store's runs, what is going on in it, and what a collection took away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from spatialrun import words
from spatialrun.cli.console import print_columns, print_line
from spatialrun.store.gc import Collection, Policy
from spatialrun.store.overview import RunFacts, Status

STYLES = {"done": "green", "failed": "bold red", "interrupted": "yellow"}
_STATUSES = ("done", "cached", "failed", "skipped", "unselected")


def print_runs(console: Console, runs: Sequence[RunFacts]) -> None:
    """Print a line per run."""
    header = [Text(word, "bold") for word in ("run", "begun", "status", "tasks", "size", "", "")]
    rows: list[Sequence[str | Text]] = [header] if runs else []
    rows += [
        (
            run.id,
            run.created.replace("T", " ").removesuffix("+00:00"),
            Text(run.status, STYLES.get(run.status, "")),
            _tasks(run),
            words.size(run.size),
            "pinned" if run.pinned else "",
            words.options(run.asked),
        )
        for run in runs
    ]
    print_columns(console, rows, right=[4], fold=False)
    if not runs:
        print_line(console, Text("no runs", "dim"))


def run_to_json(run: RunFacts) -> dict[str, Any]:
    """Return a run as plain data."""
    return asdict(run)


def print_status(console: Console, status: Status) -> None:
    """Print what is running, the last run, and how much room there is."""
    rows: list[Sequence[str | Text]] = []
    for going in status.going:
        progress = going.intent.progress
        ended = f"{progress.get('ended', 0)} of {progress.get('total', '?')} tasks"
        heard = f"heard of {words.duration(going.silence)} ago"
        where = f"process {going.intent.pid} on {going.intent.host}"
        rows.append((_label("running"), f"{going.intent.run}: {ended}, {where}, {heard}"))
        rows += [("", f"  {task}") for task in progress.get("running", ())]
    if not status.going:
        rows.append((_label("running"), "nothing"))
    if status.last is not None:
        rows.append((_label("last run"), f"{status.last.id}: {status.last.status} ({_tasks(status.last)})"))
    rows.append((_label("runs"), f"{status.runs:,}"))
    free = "" if status.free is None else f", {words.size(status.free)} free on the disk"
    rows.append((_label("size"), f"{words.size(status.size)}{free}"))
    print_columns(console, rows)


def status_to_json(status: Status) -> dict[str, Any]:
    """Return a status as plain data."""
    return asdict(status)


def print_collection(console: Console, result: Collection, policy: Policy, *, dry_run: bool) -> None:
    """Print what went, or would go."""
    verb = "would delete" if dry_run else "deleted"
    parts = [
        words.count(len(result.runs), "run") if result.runs else "",
        words.count(len(result.attempts), "result") if result.attempts else "",
        words.count(len(result.partials), "unfinished result") if result.partials else "",
        words.count(result.files, "leftover") if result.files else "",
    ]
    said = ", ".join(part for part in parts if part) or "nothing"
    print_line(console, f"{verb} {said}: {words.size(result.freed)}; {words.size(result.left)} are left")
    for run in result.runs:
        print_line(console, f"  run {run}")
    if policy.max_size is not None and result.left > policy.max_size:
        what = "what is left is held by pinned, newest or running runs, or younger than --grace"
        print_line(console, Text.assemble(("warning", "bold yellow"), f": {what}"))


def _tasks(run: RunFacts) -> str:
    return words.listed((run.tasks.get(status, 0), status) for status in _STATUSES)


def _label(word: str) -> Text:
    return Text(word, "bold")
