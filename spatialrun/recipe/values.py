"""Values that recipes are made of: text, names, paths. What is wrong with one is noted, at its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from spatialrun import amounts
from spatialrun.recipe.names import fault_of_name
from spatialrun.recipe.nodes import ListNode, MapNode, Node, ScalarNode, describe
from spatialrun.recipe.paths import rebased
from spatialrun.recipe.problems import Problems, choices, unknown
from spatialrun.recipe.source import Mark
from spatialrun.recipe.variables import VariableError, fill_variables

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_LONGEST = 365 * 86400


class Values:
    """Takes values from nodes; variables come from ``environ``, what is wrong goes to ``problems``.

    ``place`` names the ``step`` or ``sample`` that a value belongs to.
    """

    def __init__(self, environ: Mapping[str, str], problems: Problems) -> None:
        self.problems = problems
        self._environ = environ

    def known_keys(
        self, node: MapNode, valid: Collection[str], kind: str, *, step: str | None = None
    ) -> None:
        """Note every key that is not among ``valid``."""
        for key, entry in node.entries.items():
            if key not in valid:
                hint = f"there are: {choices(valid)}"
                self.problems.add(
                    "recipe.unknown-key", unknown(kind, key, valid), entry.key, hint=hint, step=step
                )

    def name(self, kind: str, name: str, mark: Mark) -> None:
        """Note a name that samples and steps cannot have: they become names of files."""
        if fault := fault_of_name(name):
            what = f"'{name}' cannot name a {kind}: {fault}"
            self.problems.add("recipe.bad-name", what, mark, **{kind: name})

    def text(self, node: Node, label: str, **place: str | None) -> str | None:
        """Return a single value as the text that it was written as: ``151673`` and ``no`` are names too."""
        if isinstance(node, ScalarNode) and node.value is not None:
            return node.text
        self.problems.add(
            "recipe.wrong-type", f"{label} must be text, found {describe(node)}", node.mark, **place
        )
        return None

    def whole_number(self, node: Node, label: str, *, most: int, step: str) -> int | None:
        """Return a whole number from 0 to ``most``."""
        value = node.value if isinstance(node, ScalarNode) else None
        if not isinstance(value, int) or isinstance(value, bool):
            what = f"{label} must be a whole number, found {describe(node)}"
            self.problems.add("recipe.wrong-type", what, node.mark, step=step)
        elif not 0 <= value <= most:
            what = f"{label} must be from 0 to {most}, found {value}"
            self.problems.add("recipe.out-of-range", what, node.mark, step=step)
        else:
            return value
        return None

    def duration(self, node: Node, label: str, *, step: str) -> float | None:
        """Return a duration in seconds, written as a number of them or as ``30m``, ``2h``, ``1h30m``."""
        seconds = _seconds(node)
        if seconds is None:
            what = f"{label} must be seconds, or a duration such as 90s, 30m, 2h or 1h30m, found {describe(node)}"
            self.problems.add("recipe.wrong-type", what, node.mark, step=step)
        elif not 0 < seconds <= _LONGEST:
            what = f"{label} must be more than 0 and at most {_LONGEST // 86400} days, found {describe(node)}"
            self.problems.add("recipe.out-of-range", what, node.mark, step=step)
        else:
            return seconds
        return None

    def path(self, node: Node, label: str, **place: str | None) -> str | None:
        """Return the path or URL of something that is read: variables filled, from the recipe's folder."""
        filled = self.target(node, label, **place)
        return filled and rebased(filled, node.mark.source.folder)

    def target(self, node: Node, label: str, **place: str | None) -> str | None:
        """Return the path or URL of something that is written: variables filled, else as it stands."""
        text = self.text(node, label, **place)
        if text is None:
            return None
        filled = self._fill(text, node.mark, **place)
        if filled == "":
            self.problems.add("recipe.wrong-type", f"{label} is empty", node.mark, **place)
        return filled

    def _fill(self, text: str, mark: Mark, **place: str | None) -> str | None:
        try:
            filled = fill_variables(text, self._environ)
        except VariableError as problem:
            self.problems.add("recipe.variable", str(problem), mark, hint=problem.hint, **place)
            return None
        if _UNPRINTABLE.search(filled):
            what = "a path with control characters, or bytes that are no text"
            self.problems.add("recipe.bad-name", what, mark, **place)
            return None
        return filled

    def filled(self, node: Node, step: str) -> Node:
        """Return the node of a parameter that is a path, or holds paths, as :meth:`path` does."""
        if isinstance(node, ListNode):
            return ListNode(node.mark, tuple(self.filled(item, step) for item in node.items))
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            text = self._fill(node.text, node.mark, step=step)
            if text is not None:
                text = text and rebased(text, node.mark.source.folder)
                return ScalarNode(node.mark, text, text)
        return node

    def names(self, node: Node | None, key: str, **place: str) -> Iterator[tuple[str, Mark]]:
        """Yield the names of a list, or the single name, with their marks."""
        if node is None:
            return
        for item in node.items if isinstance(node, ListNode) else (node,):
            name = self.text(item, key, **place)
            if name is not None:
                yield name, item.mark


def _seconds(node: Node) -> float | None:
    if not isinstance(node, ScalarNode) or isinstance(node.value, bool):
        return None
    if isinstance(node.value, int | float):
        return float(node.value)
    return amounts.seconds(node.text)
