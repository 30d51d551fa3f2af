"""How the steps that may use a GPU are run: the key ``gpu`` of a recipe, and of a step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatialrun.amounts import parse
from spatialrun.errors import UsageError
from spatialrun.interpreters import AUTO
from spatialrun.recipe.keys import GPU_KEYS
from spatialrun.recipe.nodes import MapNode, Node, describe, is_null
from spatialrun.recipe.paths import absolute
from spatialrun.recipe.values import Values

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


@dataclass(frozen=True)
class Gpu:
    """How the tasks of a step are run that may use a GPU.

    Attributes
    ----------
    device
        ``cuda``, ``cuda:1``, ``mps`` or ``cpu``; ``auto`` takes a GPU where there is one.
    python
        The program that runs them, absolute; ``None`` for the interpreter of the run.
    memory
        Bytes that a task may use beside the device's own; ``None`` for any number.
    """

    device: str = AUTO
    python: str | None = None
    memory: int | None = None


class GpuReader:
    """Reads the key ``gpu``; what it cannot read goes to the problems of ``values``.

    Parameters
    ----------
    values
        Takes values from nodes.
    base
        The recipe's folder.
    """

    def __init__(self, values: Values, base: Path) -> None:
        self._values = values
        self._base = base
        self._problems = values.problems

    def read(self, node: Node | None, step: str | None = None) -> dict[str, Any]:
        """Return what a node gives of :class:`Gpu`, by name."""
        if node is None or is_null(node):
            return {}
        if not isinstance(node, MapNode):
            what, hint = f"gpu must be a mapping, found {describe(node)}", "gpu: {device: cuda, memory: 8GB}"
            self._problems.add("recipe.wrong-type", what, node.mark, hint=hint, step=step)
            return {}
        self._values.known_keys(node, GPU_KEYS, "key of gpu", step=step)
        readers = {"device": self._device, "python": self._python, "memory": self._memory}
        found = {
            key: readers[key](entry.value, step)
            for key, entry in node.entries.items()
            if key in readers and not is_null(entry.value)
        }
        return {key: value for key, value in found.items() if value is not None}

    def _device(self, node: Node, step: str | None) -> str | None:
        text = self._values.text(node, "device", step=step)
        if text is not None and not DEVICE.fullmatch(text):
            what = f"device must be auto, cpu, cuda, cuda:0 (cuda:1 ...) or mps, found {describe(node)}"
            self._problems.add("recipe.out-of-range", what, node.mark, step=step)
            return None
        return text

    def _python(self, node: Node, step: str | None) -> str | None:
        text = self._values.path(node, "python", step=step)
        return text and str(absolute(self._base, text))

    def _memory(self, node: Node, step: str | None) -> int | None:
        text = self._values.text(node, "memory", step=step)
        if text is None:
            return None
        try:
            return parse(text)
        except UsageError as error:
            self._problems.add("recipe.wrong-type", error.what, node.mark, hint=error.hint, step=step)
            return None
