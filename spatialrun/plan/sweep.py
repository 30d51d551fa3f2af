"""Sweeps: which combination of a matrix's values each task stands for, its own and those of what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spatialrun.plan.graph import Graph
from spatialrun.plan.task import TaskId

Combination = Mapping[str, Mapping[str, Any]]
"""Id of a step, as the recipe writes it, to the values that its matrix gives to parameters."""


def combinations(graph: Graph) -> dict[TaskId, Combination]:
    """Return the combination of every task that a matrix has a part in.

    A task that reads the results of several combinations of one matrix stands for none of these.
    """
    if all(entry.matrix is None for entry in graph.recipe.steps):
        return {}
    found: dict[TaskId, Combination] = {}
    for id, task in graph.tasks.items():
        inherited: dict[str, Mapping[str, Any] | None] = {}
        for producer in dict.fromkeys(read.producer for read in task.inputs):
            for step, values in found.get(producer, {}).items():
                inherited[step] = values if inherited.get(step, values) == values else None
        combination = {step: values for step, values in inherited.items() if values is not None}
        if task.entry.matrix is not None:
            combination[task.entry.base_id] = dict(task.entry.matrix)
        if combination:
            found[id] = combination
    return found
