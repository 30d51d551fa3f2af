"""Problems of a recipe: collected, put in order, and worded with the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from spatialrun.errors import RecipeError, SpatialrunError
from spatialrun.recipe.source import Mark


class Problems:
    """Everything found wrong so far; the same problem at the same place counts once."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], SpatialrunError] = {}

    def add(
        self,
        code: str,
        what: str,
        mark: Mark,
        *,
        hint: str | None = None,
        step: str | None = None,
        sample: str | None = None,
    ) -> None:
        """Note a problem at a place."""
        # A key that only the command line names is a fault of the command line, not of the file.
        if code == "recipe.unknown-key" and mark.source.override:
            code = "recipe.override"
        self.include(RecipeError(code, what, where=mark.where(step=step, sample=sample), hint=hint))

    def include(self, problem: SpatialrunError) -> None:
        """Note a problem that was raised elsewhere."""
        where = problem.where
        key = (problem.code, problem.what, where.file, where.line, where.column)
        self._found.setdefault(key, problem)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[SpatialrunError]:
        return iter(in_order(self._found.values()))


def in_order(problems: Iterable[SpatialrunError]) -> list[SpatialrunError]:
    """Return problems in the order of their places: each file's by line and column, then all others.

    Files are in the order in which their first problems were found.
    """
    found = list(problems)
    rank: dict[str | None, int] = {}
    for problem in found:
        rank.setdefault(problem.where.file, len(rank))

    def place(problem: SpatialrunError) -> tuple[bool, int, int, int]:
        where = problem.where
        if where.line is None:
            return (True, 0, 0, 0)
        return (False, rank[where.file], where.line, where.column or 0)

    return sorted(found, key=place)


def nearest(name: str, valid: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the valid name that ``name`` was most likely meant to be; ``None`` when none is close.

    A dotted name is also compared by its last part, so that ``spatialde`` finds ``svg.spatialde``.
    """
    names = list(valid)
    folded = {candidate.casefold(): candidate for candidate in reversed(names)}
    if close := difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=cutoff):
        return folded[close[0]]
    tails = {candidate.casefold().rpartition(".")[2]: candidate for candidate in reversed(names)}
    tail = name.casefold().rpartition(".")[2]
    close = difflib.get_close_matches(tail, tails, n=1, cutoff=0.75)
    return tails[close[0]] if close else None


def unknown(kind: str, name: str, valid: Iterable[str], *, of: str = "") -> str:
    """Word an unknown name: ``unknown parameter 'n_svgs' of svg.spatialde; did you mean 'n_svg'?``."""
    near = nearest(name, valid)
    meant = f"; did you mean '{near}'?" if near else ""
    return f"unknown {kind} '{name}'{f' of {of}' if of else ''}{meant}"


def choices(valid: Iterable[str]) -> str:
    """List valid names in one line, shortened where there are many."""
    names = list(valid)
    shown = ", ".join(names[:20])
    return shown + (f" ... ({len(names)} in all)" if len(names) > 20 else "") if names else "none"
