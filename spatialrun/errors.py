"""The one tree of exceptions: every error says what was found, where, and what to do next.

A code is stable: people search for it and scripts match on it. ``CODES`` is the whole list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

CODES: dict[str, str] = {
    # recipe: the YAML file and what it asks for
    "recipe.missing": "the recipe file does not exist or cannot be read",
    "recipe.syntax": "the file is not valid YAML",
    "recipe.unknown-key": "a key that no recipe has",
    "recipe.wrong-type": "a value of the wrong type",
    "recipe.out-of-range": "a value outside its bounds",
    "recipe.missing-key": "a required key is absent",
    "recipe.bad-name": "a name with characters that names cannot have",
    "recipe.duplicate": "one name given to two things",
    "recipe.variable": "an environment variable that is not set",
    "recipe.override": "a --set that cannot be applied",
    "recipe.limits": "a recipe larger or deeper than recipes may be",
    "recipe.include": "an included file that cannot be taken in",
    "recipe.unknown-profile": "a profile that the recipe does not have",
    "recipe.unknown-sample": "a sample is named that the recipe does not have",
    "recipe.unknown-step": "no step, or step type, of that name",
    "recipe.unwritten-read": "a step reads a slot that nothing writes",
    "recipe.double-writer": "two steps write the same slot",
    "recipe.cycle": "steps that wait for each other",
    # data: what the samples' files hold
    "data.missing-file": "an input file or folder does not exist",
    "data.bad-file": "an input file is truncated, damaged or of another format",
    "data.barcodes": "barcodes of matrix and positions do not match",
    "data.counts": "counts that are negative, not whole numbers, or NaN",
    "data.coordinates": "coordinates that are NaN, or all the same",
    "data.empty": "nothing left of a sample",
    "data.values": "values that a method cannot work with",
    "data.too-large": "more than this version of a method takes",
    "data.image": "an image that is missing or cannot be read",
    "data.table": "a table without the expected columns or rows",
    # task: a step that failed while it ran
    "task.failed": "a step stopped with an unexpected error",
    "task.outputs": "a step returned something other than it declared",
    "task.export": "an export's destination cannot be written",
    "task.timeout": "a task took longer than it may",
    "task.worker-died": "a worker process ended without an answer",
    "task.memory": "a task needed more memory than it may use, or than there is",
    "task.disk-full": "a step has no space for the files that it writes",
    "task.missing-package": "a step needs a package that its interpreter does not have",
    "task.import": "a package that is installed but cannot be imported",
    "task.device-missing": "a device that is not there",
    "task.device-memory": "a task needed more memory than its device has free",
    "task.device-lost": "a device that failed, or went away, under a task",
    # interpreter: another Python that computes some of the steps
    "interpreter.missing": "an interpreter that cannot be started",
    "interpreter.broken": "an interpreter that gives no answer, or cannot run tasks",
    "interpreter.store": "a store that another interpreter does not see",
    "interpreter.versions": "an interpreter with another spatialrun, or none",
    # plugin: step types of other packages
    "plugin.broken": "a plugin whose step type cannot be loaded",
    "plugin.clash": "two packages with a step type of one name",
    # cluster: where tasks are computed by the workers of a dask cluster
    "cluster.no-client": "the package that talks to a cluster is not installed",
    "cluster.unreachable": "a scheduler that does not answer",
    "cluster.versions": "workers with other versions than the run's",
    "cluster.store": "a store that the workers do not see",
    "cluster.lost": "the cluster went away while it computed",
    # store: the folder or bucket that holds results
    "store.missing": "there is no store at that place",
    "store.not-a-store": "the place holds something other than a store",
    "store.newer-format": "a store written by a newer spatialrun",
    "store.permission": "the store cannot be written",
    "store.url": "a URL that names no place for a store, or holds credentials",
    "store.no-client": "a package that the place needs is not installed",
    "store.unreachable": "an object store that does not answer, or not as it should",
    "store.conditional-writes": "an object store that cannot keep one writer from overwriting another",
    "store.corrupt": "an object or record that does not hold what it should",
    "store.no-run": "the store has no such run",
    "store.unknown-name": "a sample, slot or table that the run does not have",
    # select: the part of a recipe that is to be brought up to date
    "select.nothing": "a selection that chooses no task",
    "select.not-cached": "a selection that leaves out what it needs, and that is not cached",
    "memory.too-small": "a run is given less memory than one of its tasks needs",
    # usage: the command line and the Python API
    "usage": "a command or function called with something it does not take",
}


@dataclass(frozen=True)
class Where:
    """The place an error is about; every part is optional."""

    file: str | None = None
    line: int | None = None
    column: int | None = None
    step: str | None = None
    sample: str | None = None
    slot: str | None = None
    snippet: str | None = None

    def __str__(self) -> str:
        parts = []
        if self.file is not None:
            position = ":".join(str(p) for p in (self.file, self.line, self.column) if p is not None)
            parts.append(position)
        for label in ("step", "sample", "slot"):
            value = getattr(self, label)
            if value is not None:
                parts.append(f"{label} {value}")
        return ", ".join(parts)


class SpatialrunError(Exception):
    """Base of all: ``code`` (a key of ``CODES``), ``what``, ``where`` and ``hint`` (what to do next)."""

    exit_code: ClassVar[int] = 1

    def __init__(self, code: str, what: str, *, where: Where | None = None, hint: str | None = None) -> None:
        if code not in CODES:
            raise KeyError(f"{code!r} is not an error code; add it to spatialrun.errors.CODES")
        super().__init__(code, what)
        self.code = code
        self.what = what
        self.where = where or Where()
        self.hint = hint

    def at(self, **parts: str | int | None) -> SpatialrunError:
        """Fill in parts of ``where`` that are still unknown (outer floors know the sample and the step)."""
        missing = {k: v for k, v in parts.items() if v is not None and getattr(self.where, k) is None}
        self.where = replace(self.where, **missing)  # type: ignore[arg-type]
        return self

    def __str__(self) -> str:
        lines = [f"{self.what} [{self.code}]"]
        if place := str(self.where):
            lines.append(f"  at {place}")
        if self.where.snippet:
            lines.append(self.where.snippet)
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.code, self.what, self.where, self.hint))


def _rebuild(
    kind: type[SpatialrunError], code: str, what: str, where: Where, hint: str | None
) -> SpatialrunError:
    return kind(code, what, where=where, hint=hint)


class RecipeError(SpatialrunError):
    """A recipe that cannot be run."""

    exit_code = 2


class UsageError(SpatialrunError):
    """A command or function called in a way it does not take."""

    exit_code = 2


class PluginError(SpatialrunError):
    """An installed plugin that does not give the step type it should."""

    exit_code = 2


class DataError(SpatialrunError):
    """Input files or values that a step cannot work with."""

    exit_code = 3


class TaskError(SpatialrunError):
    """A task that failed while it ran."""

    exit_code = 3


class StoreError(SpatialrunError):
    """The store is missing, damaged, too new or not writable."""

    exit_code = 4


class RecipeErrors(RecipeError):  # noqa: N818  (the plural says that it holds many)
    """Every problem of a recipe, in the order of their places in the file."""

    def __init__(self, problems: Sequence[SpatialrunError]) -> None:
        first = problems[0]
        count = len(problems)
        what = first.what if count == 1 else f"{count} problems in the recipe"
        super().__init__(first.code, what, where=first.where, hint=first.hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def __reduce__(self) -> tuple[object, ...]:
        return (RecipeErrors, (self.problems,))
