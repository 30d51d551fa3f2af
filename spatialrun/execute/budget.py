"""The budget: what a run needs at least, and whether it was given that."""

from __future__ import annotations

from collections.abc import Iterator

from spatialrun import words
from spatialrun.errors import UsageError
from spatialrun.plan.plan import Plan, PlannedTask

PROCESS = 270_000_000
"""What a process takes with the libraries that every task needs: Python, numpy, scipy, pandas, zarr."""
SAID = 3
"""Steps that are named where the budget is too small for them."""


def needed(planned: PlannedTask) -> int | None:
    """Return the bytes that a run needs to compute a task with nothing beside it; ``None`` where not known.

    A task that may use a GPU, or may only take so long, has a process of its own beside that of the run.
    """
    if planned.memory is None:
        return None
    entry = planned.task.entry
    apart = planned.task.step.resource == "gpu" or entry.timeout_s is not None
    return planned.memory + (2 if apart else 1) * PROCESS


def check_budget(plan: Plan, memory: int) -> None:
    """Refuse a budget in which some task that is to run cannot.

    Raises
    ------
    UsageError
        ``memory.too-small``, with what is needed, and by which steps.
    """
    too_large = sorted(_beyond(plan, memory), reverse=True)
    if not too_large:
        return
    most = too_large[0][0]
    said = [f"{name} needs {words.size(need)}" for need, name in too_large[:SAID]]
    if len(too_large) > SAID:
        said.append(f"{len(too_large) - SAID} more steps need less than these")
    # Rounded up, so that what is said is enough.
    enough = -(-most // 10**8) / 10
    raise UsageError(
        "memory.too-small",
        f"{words.size(memory)} of memory are not enough: {', '.join(said)}",
        hint=f"give --memory {enough:.1f}GB or more, or a sample with fewer spots (`from`, `where`)",
    )


def _beyond(plan: Plan, memory: int) -> Iterator[tuple[int, str]]:
    """Yield what the most demanding task of each step needs, where that is too much, and its name."""
    steps: dict[str, tuple[int, str]] = {}
    for planned in plan.chosen:
        need = needed(planned)
        if need is not None and need > memory:
            id = planned.task.id
            steps[id.step] = max(steps.get(id.step, (0, "")), (need, str(id)))
    yield from steps.values()
