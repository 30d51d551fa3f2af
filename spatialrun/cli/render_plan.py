"""A plan in words: one line per task, or per step where its tasks are alike, and why each would run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from spatialrun import words
from spatialrun.cli.console import print_columns, print_line
from spatialrun.plan.identity import FINAL, stages
from spatialrun.plan.plan import Plan, PlannedTask
from spatialrun.plan.task import TaskId
from spatialrun.plan.wording import reason_words
from spatialrun.slots import COHORT

NEW, CHANGED, LATER, SAME, GONE = "+~. -"
"""What stands before a line, as in a diff."""
NARROW = 64
"""Columns below which a task has a line for its name and one for the rest."""
SIGN_STYLES = {NEW: "green", CHANGED: "yellow", GONE: "red"}
STYLES = {"cached": "dim", "run": "green", "pending": "yellow", "unselected": "dim"}


@dataclass(frozen=True)
class Line:
    """Tasks of one step that have the same prospects."""

    tasks: tuple[PlannedTask, ...]
    status: str
    why: str

    @property
    def sign(self) -> str:
        """What stands before it."""
        if self.status == "pending":
            return LATER
        if self.status != "run":
            return SAME
        return NEW if all(map(_is_new, self.tasks)) else CHANGED

    @property
    def step(self) -> str:
        """The step's id."""
        return self.tasks[0].task.id.step

    @property
    def samples(self) -> list[str]:
        """The samples' names."""
        return [planned.task.id.sample for planned in self.tasks]

    @property
    def memory(self) -> int | None:
        """The largest estimate of a task, where there is one."""
        return max((planned.memory for planned in self.tasks if planned.memory), default=None)


def print_plan(console: Console, plan: Plan, *, each: bool = False) -> None:
    """Print a plan as a table, with a summary line.

    Parameters
    ----------
    console
        Where.
    plan
        What to print.
    each
        A line for every task, rather than one for the tasks of a step that are alike.
    """
    rows = [_row(line, plan) for line in _lines(plan, each=each)]
    rows += _gone(plan)
    if console.is_terminal and console.width < NARROW:
        for task, status, reason, memory in rows:
            print_line(console, task)
            said = [text for text in (status, reason, memory) if text]
            print_line(console, Text("    ") + Text("  ").join(said))
    else:
        print_columns(console, [_header(), *rows], right=(3,))
    print_line(console)
    print_line(console, summary(plan))


def summary(plan: Plan) -> str:
    """Return the last line: how many tasks, and what is to become of them."""
    chosen = len(plan.choice.tasks)
    total = words.count(chosen, "task")
    if chosen < len(plan.tasks):
        total = f"{chosen:,} of {words.count(len(plan.tasks), 'task')}"
    if plan.count("cached") == chosen and not plan.gone:
        return f"{total}, all cached: nothing to do"
    counts = [
        (plan.count("cached"), "cached"),
        (plan.count("run"), "to run"),
        (plan.count("pending"), "pending"),
        (plan.count("unselected"), "left out"),
    ]
    gone = f"; {words.count(len(plan.gone), 'task')} of the last run gone" if plan.gone else ""
    return f"{total}: {words.listed(counts)}{gone}"


def as_json(plan: Plan, *, store: str) -> str:
    """Return the same as data."""
    tasks = [
        {
            "step": planned.task.id.step,
            "sample": planned.task.id.sample,
            "uses": planned.task.entry.uses,
            "status": planned.decision.status,
            "reasons": [
                {"kind": reason.kind, "name": reason.name, "old": reason.old, "new": reason.new}
                for reason in planned.decision.reasons
            ],
            "waits_for": [{"step": id.step, "sample": id.sample} for id in planned.decision.waits_for],
            "cached_stages": list(planned.decision.done_stages),
            "memory": planned.memory,
            "selected": planned.task.id in plan.choice.tasks,
        }
        for planned in plan
    ]
    counts = {status: n for status in STYLES if (n := plan.count(status)) or status != "unselected"}
    gone = [{"step": id.step, "sample": id.sample} for id in plan.gone]
    return json.dumps({"store": store, "counts": counts, "tasks": tasks, "gone": gone}, indent=2)


def _header() -> list[Text]:
    return [Text(name, "bold") for name in ("  task", "status", "reason", "memory")]


def _row(line: Line, plan: Plan) -> list[Text]:
    everyone = [name for name in plan.graph.recipe.samples if name != COHORT]
    who = "" if line.samples == [COHORT] else words.among(line.samples, everyone)
    style = STYLES[line.status]
    return [
        Text.assemble(
            (f"{line.sign} ", SIGN_STYLES.get(line.sign, "dim")),
            (line.step, "dim" if line.status == "cached" else "bold"),
            f" {who}" if who else "",
        ),
        Text(line.status, style),
        Text(line.why, "dim" if line.status == "pending" else ""),
        Text(words.size(line.memory) if line.memory else "", "dim"),
    ]


def _gone(plan: Plan) -> Iterator[list[Text]]:
    """Yield a row for the samples, and for every step, that the recipe does not have any more."""
    everyone = [name for name in plan.graph.recipe.samples if name != COHORT]
    samples: dict[str, list[str]] = {}
    strangers: dict[str, None] = {}
    for id in plan.gone:
        if id.sample in (*everyone, COHORT):
            samples.setdefault(id.step, []).append(id.sample)
        else:
            strangers[id.sample] = None
    if strangers:
        named = ", ".join(strangers) if len(strangers) <= 3 else words.count(len(strangers), "sample")
        yield [Text(f"{GONE} {named}", "red"), Text("gone", "red"), Text("not in the recipe"), Text()]
    for step, names in samples.items():
        who = "" if names == [COHORT] else f" {words.among(names, everyone)}"
        yield [Text(f"{GONE} {step}{who}", "red"), Text("gone", "red"), Text("not in the recipe"), Text()]


def _lines(plan: Plan, *, each: bool) -> list[Line]:
    if each:
        return [Line((planned,), planned.decision.status, why(planned)) for planned in plan.chosen]
    alike: dict[tuple[str, str, str], list[PlannedTask]] = {}
    for planned in _by_step(plan):
        key = (planned.task.id.step, planned.decision.status, why(planned, folded=True))
        alike.setdefault(key, []).append(planned)
    return [
        Line(tuple(tasks), status, reason if len(tasks) > 1 else why(tasks[0]))
        for (_, status, reason), tasks in alike.items()
    ]


def _is_new(planned: PlannedTask) -> bool:
    return any(reason.kind == "new" for reason in planned.decision.reasons)


def _by_step(plan: Plan) -> Iterator[PlannedTask]:
    """Yield the tasks step by step, a step after all those that it reads from."""
    depth: dict[TaskId, int] = {}
    steps: dict[str, list[PlannedTask]] = {}
    deepest: dict[str, int] = {}
    for id, planned in plan.tasks.items():
        depth[id] = max((1 + depth[up] for up in planned.task.upstream), default=0)
        deepest[id.step] = max(depth[id], deepest.get(id.step, 0))
    for planned in plan.chosen:
        steps.setdefault(planned.task.id.step, []).append(planned)
    for step in sorted(steps, key=lambda step: deepest[step]):
        yield from steps[step]


def why(planned: PlannedTask, *, folded: bool = False) -> str:
    """Say why a task runs, or what it waits for; ``folded`` leaves out the sample where it is its own."""
    decision = planned.decision
    if decision.status in ("pending", "unselected"):
        own = planned.task.id.sample
        waits = [id.step if folded and id.sample == own else str(id) for id in decision.waits_for]
        names = _shortened(waits)
        return (
            f"after {names}" if decision.status == "pending" else f"needs {names}, neither chosen nor cached"
        )
    # That the files of something new have not been read goes without saying.
    reasons = [reason for reason in decision.reasons if reason.kind != "unread" or not _is_new(planned)]
    said = [reason_words(reason) for reason in reasons]
    return ", ".join(said) + _what_is_left(planned)


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _what_is_left(planned: PlannedTask) -> str:
    """Say which stages of a task need not run."""
    done = planned.decision.done_stages
    if not done:
        return ""
    early = [stage for stage in stages(planned.task.step) if stage != FINAL]
    cached = _and(done)
    return f" (only the last stage; {cached} cached)" if len(done) == len(early) else f" ({cached} cached)"


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)
