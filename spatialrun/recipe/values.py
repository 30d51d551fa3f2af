"""Values that recipes are made of: text, names, paths. What is wrong with one is noted, at its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from spatialrun.recipe.nodes import ListNode, MapNode, Node, ScalarNode, describe
from spatialrun.recipe.problems import Problems, choices, unknown
from spatialrun.recipe.source import Mark
from spatialrun.recipe.variables import VariableError, fill_variables
from spatialrun.slots import COHORT, NAME


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
        place = {kind: name}
        if name == COHORT:
            what = f"'{COHORT}' is reserved for what belongs to all samples together"
            self.problems.add("recipe.bad-name", what, mark, **place)
        elif not NAME.match(name):
            what = f"'{name}' cannot name a {kind}"
            hint = "names start with a letter or digit and go on with letters, digits and . _ + -"
            self.problems.add("recipe.bad-name", what, mark, hint=hint, **place)

    def text(self, node: Node, label: str, **place: str) -> str | None:
        """Return a single value as the text that it was written as: ``151673`` and ``no`` are names too."""
        if isinstance(node, ScalarNode) and node.value is not None:
            return node.text
        self.problems.add(
            "recipe.wrong-type", f"{label} must be text, found {describe(node)}", node.mark, **place
        )
        return None

    def path(self, node: Node, label: str, **place: str) -> str | None:
        """Return a path or URL, its variables filled."""
        text = self.text(node, label, **place)
        if text is None:
            return None
        filled = self._fill(text, node.mark, **place)
        if filled == "":
            self.problems.add("recipe.wrong-type", f"{label} is empty", node.mark, **place)
        return filled

    def _fill(self, text: str, mark: Mark, **place: str) -> str | None:
        try:
            return fill_variables(text, self._environ)
        except VariableError as problem:
            self.problems.add("recipe.variable", str(problem), mark, hint=problem.hint, **place)
            return None

    def filled(self, node: Node, step: str) -> Node:
        """Return a parameter's node with the variables of its text filled."""
        if isinstance(node, ListNode):
            return ListNode(node.mark, tuple(self.filled(item, step) for item in node.items))
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            text = self._fill(node.text, node.mark, step=step)
            return node if text is None else ScalarNode(node.mark, text, text)
        return node

    def names(self, node: Node | None, key: str, step: str) -> Iterator[tuple[str, Mark]]:
        """Yield the names of a list, or the single name, with their marks."""
        if node is None:
            return
        for item in node.items if isinstance(node, ListNode) else (node,):
            name = self.text(item, key, step=step)
            if name is not None:
                yield name, item.mark
