"""The flow of data between a run's steps, laid out as a drawing: steps in columns, left to right.

A step stands one column right of the last of those whose outputs it reads (Sugiyama, Tagawa and Toda 1981,
10.1109/TSMC.1981.4308636: layers by longest path, order within a layer by the mean place of neighbours). Edges
that a longer way says too are left out. Many steps of one type between the same neighbours (figures of twenty
genes) are one box: drawn one by one they would hide the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from spatialrun.report.tasks import StepSummary
from spatialrun.slots import locate
from spatialrun.store.runs import Run

WIDTH, HEIGHT = 184, 62
"""Of a step's box, in pixels."""
GAP_X, GAP_Y = 44, 16
MARGIN = 4
FOLDED_FROM = 4
"""Steps that are alike, from which they are one box."""
SWEEPS = 4
"""Times that the order within columns is improved, there and back."""


@dataclass(frozen=True)
class Box:
    """A step's place in the drawing: its upper left corner, in pixels. Steps that are alike may share one."""

    step: StepSummary
    x: int
    y: int


@dataclass(frozen=True)
class Flow:
    """A drawing.

    Attributes
    ----------
    boxes
        The steps, column by column.
    paths
        The edges, as data of SVG paths.
    width, height
        Its size in pixels.
    """

    boxes: tuple[Box, ...]
    paths: tuple[str, ...]
    width: int
    height: int


def flow_of(run: Run, steps: Sequence[StepSummary]) -> Flow:
    """Lay out the steps of a run."""
    sources = _without_shortcuts(_sources(run))
    by_id = _folded({step.id: step for step in steps}, sources)
    sources = {id: read & by_id.keys() for id, read in sources.items() if id in by_id}
    columns = _columns(list(by_id), sources)
    places = {id: (column, row) for column, ids in enumerate(columns) for row, id in enumerate(ids)}
    tallest = max(map(len, columns))

    def corner(id: str) -> tuple[int, int]:
        column, row = places[id]
        above = (tallest - len(columns[column])) * (HEIGHT + GAP_Y) // 2
        return MARGIN + column * (WIDTH + GAP_X), MARGIN + above + row * (HEIGHT + GAP_Y)

    return Flow(
        tuple(Box(by_id[id], *corner(id)) for ids in columns for id in ids),
        tuple(_path(corner(source), corner(id)) for id in sources for source in sorted(sources[id])),
        2 * MARGIN + len(columns) * (WIDTH + GAP_X) - GAP_X,
        2 * MARGIN + tallest * (HEIGHT + GAP_Y) - GAP_Y,
    )


def _folded(steps: Mapping[str, StepSummary], sources: Mapping[str, set[str]]) -> dict[str, StepSummary]:
    """Return the steps by id, those that are alike as one under the id of the first."""
    alike: dict[object, list[str]] = {}
    for id, step in steps.items():
        targets = frozenset(other for other, read in sources.items() if id in read)
        alike.setdefault((step.uses, step.status, frozenset(sources[id]), targets), []).append(id)
    folded = dict(steps)
    for ids in alike.values():
        if len(ids) >= FOLDED_FROM:
            first = steps[ids[0]]
            name = _beginning(ids).rstrip("-_.") or first.uses
            tasks = tuple(task for id in ids for task in steps[id].tasks)
            folded[first.id] = replace(first, id=f"{len(ids)} x {name}", tasks=tasks)
            for id in ids[1:]:
                del folded[id]
    return folded


def _beginning(ids: Sequence[str]) -> str:
    """Return the letters with which all ids begin."""
    least, most = min(ids), max(ids)
    same = next((n for n, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), len(least))
    return least[:same]


def _sources(run: Run) -> dict[str, set[str]]:
    """Return for every step the steps that wrote what it read."""
    writers = {(sample, slot): task.step for task in run.tasks.values() for sample, slot, _ in task.places()}
    sources: dict[str, set[str]] = {}
    for task in run.tasks.values():
        read = sources.setdefault(task.step, set())
        for _, slot, _ in task.identity.get("inputs", ()):
            writer = writers.get(locate(slot, seen_from=task.sample))
            if writer is not None and writer != task.step:
                read.add(writer)
    return sources


def _without_shortcuts(sources: Mapping[str, set[str]]) -> dict[str, set[str]]:
    reached: dict[str, set[str]] = {}

    def reach(id: str) -> set[str]:
        if id not in reached:
            reached[id] = set()  # a step that reads what it wrote in a former run ends here
            reached[id] = sources[id].union(*map(reach, sources[id]))
        return reached[id]

    return {
        id: {s for s in read if not any(s in reach(o) for o in read - {s})} for id, read in sources.items()
    }


def _columns(ids: Sequence[str], sources: Mapping[str, set[str]]) -> list[list[str]]:
    depth: dict[str, int] = {}

    def deep(id: str) -> int:
        if id not in depth:
            depth[id] = 0
            depth[id] = max((1 + deep(source) for source in sources[id]), default=0)
        return depth[id]

    columns: list[list[str]] = [[] for _ in range(1 + max(map(deep, ids)))]
    for id in ids:
        columns[depth[id]].append(id)
    targets: dict[str, set[str]] = {id: set() for id in ids}
    for id, read in sources.items():
        for source in read:
            targets[source].add(id)
    for _ in range(SWEEPS):
        _order(columns, sources)
        _order(columns[::-1], targets)
    return columns


def _order(columns: Sequence[list[str]], neighbours: Mapping[str, set[str]]) -> None:
    """Sort every column by the mean place of neighbours in those before it; places run from 0 to 1."""
    place: dict[str, float] = {}
    for column in columns:
        now = {id: (row + 0.5) / len(column) for row, id in enumerate(column)}
        means = {id: fmean([place[n] for n in neighbours[id]] or [now[id]]) for id in column}
        column.sort(key=lambda id: means[id])
        place |= {id: (row + 0.5) / len(column) for row, id in enumerate(column)}


def _path(source: tuple[int, int], target: tuple[int, int]) -> str:
    x0, y0 = source[0] + WIDTH, source[1] + HEIGHT // 2
    x1, y1 = target[0], target[1] + HEIGHT // 2
    bend = GAP_X // 2 + (x1 - x0 - GAP_X) // 4
    return f"M{x0} {y0}C{x0 + bend} {y0} {x1 - bend} {y1} {x1} {y1}"
