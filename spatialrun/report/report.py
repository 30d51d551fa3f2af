"""The page: its parts gathered, and written beside the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from spatialrun import words
from spatialrun.execute.spec import error_from_json
from spatialrun.report.citations import citations_of
from spatialrun.report.composition import compositions_of
from spatialrun.report.flow import HEIGHT, WIDTH, flow_of
from spatialrun.report.gallery import figures_of
from spatialrun.report.quality import qualities_of
from spatialrun.report.tables import Table, tables_of
from spatialrun.report.tasks import WORST_FIRST, StepSummary, steps_of
from spatialrun.slots import COHORT
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.store.store import Store

if TYPE_CHECKING:
    from jinja2 import Template

NAME = "report.html"


def write_report(store: Store, run: Run) -> str:
    """Write the report of a run beside it, and return its path within the store.

    Raises
    ------
    StoreError
        ``store.corrupt`` where an object that it shows is damaged.
    OSError
        Where the store cannot be written.
    """
    path = place(run)
    store.backend.put(path, render(store, run).encode())
    return path


def place(run: Run) -> str:
    """Return the path of a run's report within the store."""
    return f"runs/{run.id}/{NAME}"


def render(store: Store, run: Run) -> str:
    """Return the report of a run as one HTML page."""
    steps = steps_of(run)
    recipe = store.runs.recipe(run.id)
    return _template().render(
        run=run,
        recipe=recipe,
        name=recipe.partition("\n")[0].removeprefix("# "),
        steps=steps,
        problems=[(step, task) for step in steps for task in step.tasks if task.error],
        facts=_facts(run, steps),
        flow=flow_of(run, steps) if steps else None,
        box=(WIDTH, HEIGHT),
        figures=figures_of(store, run),
        qualities=qualities_of(store, run),
        compositions=compositions_of(store, run),
        tables=_as_script(tables_of(store, run)),
        citations=citations_of(steps),
        versions=dict(run.versions)
        | {name: v for step in steps for name, v in step.numerics if name != "device"},
        cohort=COHORT,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    page = Environment(
        loader=PackageLoader("spatialrun.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters |= {
        "duration": words.duration,
        "size": words.size,
        "listed": words.listed,
        "number": _number,
        "error": error_from_json,
        "of_sample": lambda sample: "all samples" if sample == COHORT else sample,
    }
    page.globals["asset"] = lambda name: files("spatialrun.report").joinpath("page", name).read_text()
    return page.get_template("report.html")


def _facts(run: Run, steps: Sequence[StepSummary]) -> list[tuple[str, str]]:
    """Return what a reader wants to know first, as names and values."""
    tasks = [task for step in steps for task in step.tasks]
    done = [entry for entry in run.tasks.values() if entry.status == "done"]
    counts = [(sum(task.status == status for task in tasks), status) for status in WORST_FIRST]
    facts = [
        ("status", run.status),
        ("samples", str(len(run.samples))),
        ("tasks", words.listed(counts)),
        ("began", f"{datetime.fromisoformat(run.created):%Y-%m-%d %H:%M} UTC"),
    ]
    if done:
        facts.append(("took", words.duration(_elapsed(run, done))))
    if peak := max((task.memory for task in tasks), default=0):
        facts.append(("most memory of a task", words.size(peak)))
    return facts


def _elapsed(run: Run, done: Sequence[TaskEntry]) -> float:
    """Return the seconds from a run's beginning to the end of its last task."""
    began = datetime.fromisoformat(run.created).timestamp()
    ends = [
        datetime.fromisoformat(entry.facts["started"]).timestamp() + float(entry.facts["wall_s"])
        for entry in done
        if entry.facts.get("started") and entry.facts.get("wall_s") is not None
    ]
    return max((end - began for end in ends), default=0.0)


def _as_script(tables: Sequence[Table]) -> str:
    """Return tables as JSON that may stand in a script element."""
    data = [
        {"title": t.title, "sample": t.sample, "columns": t.columns, "rows": t.rows, "total": t.total}
        for t in tables
    ]
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _number(value: float) -> str:
    """Return a number for reading: ``–`` where there is none."""
    return "–" if value != value else f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"  # noqa: RUF001
