"""A store's household: its runs, what is going on in it, and what keeps it sound and small.

What `spatialrun runs`, `status`, `diff`, `verify`, `gc`, `report` and `export-run` do, for Python.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spatialrun.experiment import Experiment, open_experiment, open_place

if TYPE_CHECKING:
    from spatialrun.execute.recompute import Recomputed
    from spatialrun.plan.difference import Difference
    from spatialrun.store.gc import Collection
    from spatialrun.store.overview import RunFacts, Status
    from spatialrun.store.verify import Verification

Place = str | os.PathLike[str]


class Household:
    """A store, to be looked after.

    Parameters
    ----------
    place
        The store's folder or URL, or a recipe's file (its store is opened).
    profile
        The recipe's profile, or several, under which it was applied.

    Raises
    ------
    StoreError
        ``store.missing``, ``store.not-a-store``, ``store.newer-format``.
    RecipeErrors
        Where a recipe is given that cannot be read, or lacks a profile.

    Attributes
    ----------
    store
        The store.
    """

    def __init__(self, place: Place, profile: str | Sequence[str] = ()) -> None:
        self._place, self._profile = place, profile
        self.store = open_place(place, profile)

    def __repr__(self) -> str:
        return f"<household of {self.store.url}>"

    def experiment(self, run: str | None = None) -> Experiment:
        """Open what a run has made (the newest by default), as ``spatialrun.open`` does."""
        return open_experiment(self._place, run, self._profile)

    def runs(self) -> tuple[RunFacts, ...]:
        """Return all runs with their sizes, oldest first."""
        from spatialrun.store.overview import list_runs

        return list_runs(self.store)

    def status(self) -> Status:
        """Say what is going on, what the last run came to, and how much room everything takes."""
        from spatialrun.store.overview import look_at

        return look_at(self.store)

    def pin(self, run: str) -> None:
        """Keep a run whatever its age.

        Raises
        ------
        StoreError
            ``store.no-run``.
        """
        self.store.runs.pin(run)

    def unpin(self, run: str) -> None:
        """Let a run go with the others of its age.

        Raises
        ------
        StoreError
            ``store.no-run``.
        """
        self.store.runs.unpin(run)

    def diff(self, old: str, new: str) -> Difference:
        """Compare two runs: recipe, tasks, and by how much values moved.

        Raises
        ------
        StoreError
            ``store.no-run``; ``store.corrupt`` where a manifest cannot be read.
        """
        from spatialrun.plan.difference import difference

        return difference(self.store, old, new)

    def verify(self, run: str | None = None) -> Verification:
        """Read every object of a run again (of all runs by default), and return what does not hold.

        Raises
        ------
        StoreError
            ``store.no-run``.
        """
        from spatialrun.store.verify import verify

        return verify(self.store, run)

    def repair(self, found: Verification) -> tuple[str, ...]:
        """Drop what :meth:`verify` found damaged, to be computed anew by the next ``apply``; return its names."""
        from spatialrun.store.verify import repair

        return repair(self.store, found)

    def recompute(self, count: int, run: str | None = None, seed: int = 0) -> tuple[Recomputed, ...]:
        """Compute some tasks of a run anew, and compare them with what is stored.

        Parameters
        ----------
        count
            How many.
        run
            A run's id; the newest by default.
        seed
            Which are drawn.

        Raises
        ------
        StoreError
            ``store.no-run``.
        """
        from spatialrun.execute.recompute import recompute_some

        return recompute_some(self.store, run, count, seed)

    def gc(
        self,
        *,
        keep_runs: int | None = None,
        max_size: int | None = None,
        grace_s: float = 3600.0,
        dry_run: bool = False,
    ) -> Collection:
        """Delete what no run that is kept needs.

        Parameters
        ----------
        keep_runs
            How many of the newest runs to keep, beside those pinned; all by default.
        max_size
            Bytes that the store may take: the oldest runs that are not pinned go until it fits.
        grace_s
            Seconds for which everything is kept.
        dry_run
            Only say what would be deleted.

        Raises
        ------
        StoreError
            ``store.corrupt`` where a run's manifest cannot be read; ``store.permission``.
        """
        from spatialrun.store.gc import Policy, collect

        return collect(self.store, Policy(keep_runs, max_size, grace_s), dry_run=dry_run)

    def report(self, run: str | None = None) -> str:
        """Return the report of a run (the newest by default) as one HTML page.

        Raises
        ------
        StoreError
            ``store.no-run``; ``store.corrupt`` where something that it shows is damaged.
        """
        from spatialrun.report.report import render

        return render(self.store, self.experiment(run).run)

    def export_run(self, target: Place, run: str | None = None) -> tuple[str, ...]:
        """Write recipe, provenance, figures and tables of a run as an RO-Crate, and return the names within it.

        Parameters
        ----------
        target
            The zip file to be written.
        run
            A run's id; the newest by default.

        Raises
        ------
        UsageError
            Where the file cannot be written.
        StoreError
            ``store.no-run``; ``store.corrupt`` where a figure or table is damaged.
        """
        from spatialrun.store import archive

        return archive.export_run(self.store, self.experiment(run).run, Path(target))
