"""The log of a run: a line per task, and below it what the task said."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from spatialrun import words
from spatialrun.cli.console import print_line
from spatialrun.cli.failure import error_lines
from spatialrun.errors import StoreError
from spatialrun.execute.spec import error_from_json
from spatialrun.plan.wording import because_words
from spatialrun.recipe.problems import choices, unknown
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run

STYLES = {"done": "green", "cached": "dim", "failed": "bold red", "skipped": "red", "unselected": "dim"}


def print_log(console: Console, run: Run, step: str | None = None, sample: str | None = None) -> None:
    """Print the log of a run, or of one of its steps or samples.

    Raises
    ------
    StoreError
        ``store.unknown-name`` for a step or sample that the run does not have.
    """
    _check("step", step, [task.step for task in run.tasks.values()], run)
    _check("sample", sample, [task.sample for task in run.tasks.values()], run)
    print_line(console, Text.assemble((f"run {run.id}", "bold"), f": {run.status}, begun {run.created}"))
    for task in run.tasks.values():
        if step in (None, task.step) and sample in (None, task.sample):
            _print_task(console, task)


def _print_task(console: Console, task: TaskEntry) -> None:
    facts = [task.uses]
    if (seconds := task.facts.get("wall_s")) is not None:
        facts.append(words.duration(seconds))
    if peak := task.facts.get("peak_rss"):
        facts.append(f"{words.size(peak)} at most")
    if because := task.facts.get("because"):
        facts.append(because_words(because))
    status = (task.status, STYLES.get(task.status, ""))
    print_line(console)
    print_line(
        console, Text.assemble((f"{task.step} {task.sample}", "bold"), "  ", status, f"  {', '.join(facts)}")
    )
    for line in task.facts.get("log") or ():
        print_line(console, f"    {line}")
    if (error := task.facts.get("error")) is not None:
        for line in error_lines(error_from_json(error)):
            print_line(console, Text("    ") + line)


def _check(kind: str, name: str | None, known: Iterable[str], run: Run) -> None:
    names = list(dict.fromkeys(known))
    if name is not None and name not in names:
        raise StoreError(
            "store.unknown-name",
            f"run {run.id}: {unknown(kind, name, names)}",
            hint=f"there are: {choices(names)}",
        )
