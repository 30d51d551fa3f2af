"""What an ``apply`` made, and where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from spatialrun import words
from spatialrun.api import LoadedRecipe
from spatialrun.cli.console import print_labelled, print_line
from spatialrun.cli.failure import error_lines
from spatialrun.cli.progress import Tally
from spatialrun.errors import SpatialrunError
from spatialrun.execute.apply import Outcome
from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.store.runs import Run
from spatialrun.store.sweep import TABLE, has_measured

MOST_PLACES = 12
"""Figures or exports that are named one by one."""
RANK, PADJ = ".rank", ".padj"
"""Columns of var by which a table of tested genes is known."""


def print_outcome(console: Console, loaded: LoadedRecipe, outcome: Outcome, tally: Tally) -> None:
    """Print how a run ended, what it made, and what to do next."""
    run, store = outcome.run, words.place(loaded.store_url)
    if not outcome.changed:
        print_line(console, f"nothing to do: run {run.id} is up to date")
        return
    counts = words.listed(
        (tally.counts.get(kind, 0), kind) for kind in ("done", "cached", "failed", "skipped", "unselected")
    )
    print_line(console, Text.assemble(("run ", "bold"), (run.id, "bold"), f": {counts}"))
    rows = list(_made(loaded, run, store))
    if rows:
        print_line(console)
        print_labelled(console, rows)
    if not outcome.errors:
        print_line(console)
        print_labelled(console, _next(run, store))


def interrupted(tally: Tally) -> str:
    """Say what an interrupted run leaves, and how to go on."""
    kept = words.count(tally.done, "task") + (" was" if tally.done == 1 else " were")
    return (
        f"interrupted: {kept} done and kept, and so are blocks of tasks that were not; apply again to go on"
    )


def print_errors(console: Console, outcome: Outcome, store: str) -> None:
    """Print the errors of the tasks that failed: one that several samples share stands once."""
    alike: dict[tuple[str, str, str | None], list[SpatialrunError]] = {}
    for error in outcome.errors:
        alike.setdefault((error.code, error.what, error.where.step), []).append(error)
    for errors in alike.values():
        samples = [error.where.sample or "" for error in errors]
        named = ", ".join(samples) if len(samples) <= 3 else words.count(len(samples), "sample")
        first = errors[0]
        where = replace(first.where, sample=named or None)
        print_line(console)
        for line in error_lines(SpatialrunError(first.code, first.what, where=where, hint=first.hint)):
            print_line(console, line)
    where = outcome.errors[0].where
    if where.step:
        print_line(console)
        print_line(console, Text.assemble(("next  ", "bold"), words.command("log", store, where.step)))


def _made(loaded: LoadedRecipe, run: Run, store: str) -> Iterator[Sequence[str | Text]]:
    folder = f"{store}/runs/{run.id}"
    figures = [
        f"{folder}/figures/{sample}/{name_of(slot)}{ref.meta['suffix']}"
        for task in run.tasks.values()
        for sample, slot, ref in task.places()
        if group_of(slot) == "figures"
    ]
    exports = [
        words.place(task.destination)
        for id, task in loaded.graph.tasks.items()
        if task.destination and id in run.tasks and run.tasks[id].outputs
    ]
    yield from _places("figures", figures, f"{folder}/figures")
    yield from _places("exports", exports, "")
    if tables := list(_tables(run)):
        yield from _places("tables", tables, "")
    yield _label("view"), f"{folder}/view.zarr"
    yield _label("report"), f"{folder}/report.html"


def _places(kind: str, places: Sequence[str], folder: str) -> Iterator[Sequence[str | Text]]:
    # A line that stands for one more place would be no shorter than the place.
    shown = places if len(places) == MOST_PLACES + 1 else places[:MOST_PLACES]
    for number, place in enumerate(shown):
        yield _label("" if number else kind), place
    if more := len(places) - len(shown):
        yield "", f"and {more:,} more{f' in {folder}' if folder else ''}"


def _tables(run: Run) -> Iterator[str]:
    """Yield the tables in ``uns``, each with the samples that have it."""
    samples: dict[tuple[str, bool], list[str]] = {}
    for task in run.tasks.values():
        for sample, slot, ref in task.places():
            if group_of(slot) == "uns" and ref.kind == "table":
                samples.setdefault((name_of(slot), sample == COHORT), []).append(sample)
    everyone = [name for name in run.samples if name != COHORT]
    for (name, _), having in samples.items():
        yield f"{name} ({words.among(having, everyone)})"


def _next(run: Run, store: str) -> Iterator[Sequence[str | Text]]:
    yield _label("next"), words.command("show", store)
    if has_measured(run):
        yield "", words.command("table", store, COHORT, TABLE)
    for task in run.tasks.values():
        tested = next((name_of(slot).removesuffix(PADJ) for slot in task.outputs if _is_padj(slot)), None)
        if tested is not None and f"var/{tested}{RANK}" in task.outputs:
            yield (
                "",
                words.command("table", store, task.sample, "var", "--sort", tested + RANK, "--head", "15"),
            )
            break
    yield "", words.command("report", store, "--open")


def _is_padj(slot: str) -> bool:
    return group_of(slot) == "var" and slot.endswith(PADJ)


def _label(word: str) -> Text:
    return Text(word, "bold")
