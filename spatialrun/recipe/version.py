"""The format of a recipe: the value of its key ``spatialrun``."""

from __future__ import annotations

from spatialrun.recipe.keys import FORMAT
from spatialrun.recipe.nodes import Node, ScalarNode, describe
from spatialrun.recipe.problems import Problems


def check_version(node: Node, problems: Problems) -> None:
    """Note a format that this version of spatialrun does not read."""
    version = node.value if isinstance(node, ScalarNode) else None
    if not isinstance(version, int) or isinstance(version, bool):
        what = f"spatialrun must be {FORMAT}, the format of the recipe, found {describe(node)}"
        problems.add("recipe.wrong-type", what, node.mark)
    elif version > FORMAT:
        what = f"this recipe has format {version}; this version of spatialrun reads format {FORMAT}"
        problems.add("recipe.out-of-range", what, node.mark, hint="upgrade spatialrun")
    elif version < FORMAT:
        what = f"there is no recipe format {version}; write {FORMAT}"
        problems.add("recipe.out-of-range", what, node.mark)
