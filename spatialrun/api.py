"""The Python interface: load a recipe, plan it, apply it; open what it made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from spatialrun.errors import RecipeErrors, StoreError
from spatialrun.execute.apply import Options, Outcome
from spatialrun.execute.apply import apply as apply_graph
from spatialrun.execute.events import Listener, ignore
from spatialrun.execute.faults import store_faults
from spatialrun.plan.graph import Graph, build
from spatialrun.plan.plan import Plan, make_plan
from spatialrun.recipe.loader import check
from spatialrun.recipe.model import Recipe
from spatialrun.recipe.problems import in_order
from spatialrun.store.store import Store, create_store, open_store


class LoadedRecipe:
    """A sound recipe, ready to be planned and applied.

    Attributes
    ----------
    recipe
        The validated recipe.
    graph
        Its tasks.
    """

    def __init__(self, recipe: Recipe, graph: Graph) -> None:
        self.recipe = recipe
        self.graph = graph

    @property
    def store_url(self) -> str:
        """Where the results are kept."""
        return self.recipe.store_url or str(self.recipe.store_path)

    def store(self) -> Store | None:
        """Return the store, or ``None`` where there is none yet."""
        try:
            with store_faults(self.store_url):
                return open_store(self.store_url)
        except StoreError as error:
            if error.code == "store.missing":
                return None
            raise

    def plan(self) -> Plan:
        """Say what :meth:`apply` would do, and why; computes and changes nothing.

        Raises
        ------
        StoreError
            Where the store cannot be read.
        """
        return make_plan(self.graph, self.store())

    def apply(self, options: Options | None = None, listener: Listener = ignore) -> Outcome:
        """Compute what is not cached.

        Raises
        ------
        StoreError
            Where the store cannot be written.
        """
        with store_faults(self.store_url):
            store = create_store(self.store_url)
        return apply_graph(self.graph, store, options, listener)

    def __repr__(self) -> str:
        counts = f"{len(self.recipe.steps)} steps, {len(self.recipe.samples)} samples"
        return f"<recipe {self.recipe.file}: {counts}; store {self.store_url}>"


def load(
    path: str | os.PathLike[str], overrides: Sequence[str] = (), profile: str | Sequence[str] = ()
) -> LoadedRecipe:
    """Load a recipe and check it against the catalogue and the samples' files.

    Parameters
    ----------
    path
        The YAML file.
    overrides
        Edits as on the command line after ``--set``: ``steps.svg.with.n_svg=800``.
    profile
        The recipe's profile to apply, or several; of those that change the same value the last one wins.

    Raises
    ------
    RecipeErrors
        With every problem, in the order of the file.
    """
    recipe, problems = check(Path(path), overrides=overrides, profile=profile)
    graph = None
    if recipe is not None:
        graph, more = build(recipe)
        problems = [*problems, *more]
    if problems or recipe is None or graph is None:
        raise RecipeErrors(in_order(problems))
    return LoadedRecipe(recipe, graph)
