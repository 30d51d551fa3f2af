"""The Python interface: load a recipe, plan it, apply it; open what it made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from spatialrun.errors import RecipeErrors, StoreError
from spatialrun.execute.apply import Options, Outcome
from spatialrun.execute.apply import apply as apply_graph
from spatialrun.execute.budget import check_budget
from spatialrun.execute.events import Event, Listener, ignore
from spatialrun.execute.faults import store_faults
from spatialrun.plan.choice import Choice, Names, Samples, choose, everything
from spatialrun.plan.graph import Graph, build
from spatialrun.plan.plan import Plan, make_plan
from spatialrun.recipe.loader import check
from spatialrun.recipe.model import Recipe
from spatialrun.recipe.problems import in_order
from spatialrun.report.report import write_report
from spatialrun.store.store import Store, create_store, open_store


class LoadedRecipe:
    """A sound recipe, ready to be planned and applied.

    Attributes
    ----------
    recipe
        The validated recipe.
    graph
        Its tasks.
    choice
        Those of them that :meth:`plan` and :meth:`apply` are to go about: all, unless :meth:`select` was asked.
    """

    def __init__(self, recipe: Recipe, graph: Graph, choice: Choice | None = None) -> None:
        self.recipe = recipe
        self.graph = graph
        self.choice = choice or everything(graph)

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

    def select(
        self, *, until: Names = (), only: Names = (), samples: Samples = (), force: Names = ()
    ) -> LoadedRecipe:
        """Choose a part of the recipe: ``recipe.select(until="svg", samples={"group": "tumor"}).apply()``.

        Parameters
        ----------
        until
            Ids of steps to be brought up to date, with all that they need.
        only
            Ids of steps to be brought up to date alone: what they need must be cached.
        samples
            The samples on which to do that: names, patterns (``p2-*``) or metadata (``{"group": "tumor"}``).
        force
            Ids of steps to run again, though they are cached. Where a result differs from the cached one, that is
            noted as a finding (``spatialrun verify``), and the cached one stays.

        Raises
        ------
        UsageError
            ``usage`` where both ``until`` and ``only`` are given, ``select.nothing`` where that leaves no task.
        RecipeErrors
            ``recipe.unknown-step``, ``recipe.unknown-sample``, with the nearest name.
        """
        choice = choose(self.graph, until=until, only=only, samples=samples, force=force)
        return LoadedRecipe(self.recipe, self.graph, choice)

    def plan(self, memory: int | None = None) -> Plan:
        """Say what :meth:`apply` would do, and why; computes and changes nothing.

        Parameters
        ----------
        memory
            Bytes that the run may use, where the plan is to be refused if they are too few.

        Raises
        ------
        UsageError
            ``select.not-cached`` where steps are chosen alone, and what they need is not there;
            ``memory.too-small`` with what is needed, and by which step.
        StoreError
            Where the store cannot be read.
        """
        plan = make_plan(self.graph, self.store(), self.choice)
        if memory is not None:
            check_budget(plan, memory)
        return plan

    def apply(self, options: Options | None = None, listener: Listener = ignore) -> Outcome:
        """Compute what is not cached, and write a report of the run.

        Raises
        ------
        UsageError
            ``select.not-cached``, as :meth:`plan`.
        StoreError
            Where the store cannot be written.
        """
        with store_faults(self.store_url):
            store = create_store(self.store_url)
        outcome = apply_graph(self.graph, store, options, listener, self.choice)
        if outcome.changed:
            try:
                write_report(store, outcome.run)
            except Exception as error:  # the results are what matters, and they are kept
                listener(Event("task-warning", data={"line": f"no report could be written: {error}"}))
        return outcome

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
