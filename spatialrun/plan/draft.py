"""Drafts: tasks that know what they write and which files they need, but not yet who writes what they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from spatialrun.errors import DataError, RecipeError, SpatialrunError, Where
from spatialrun.plan.inputs import input_path, listings
from spatialrun.plan.task import Task, TaskId
from spatialrun.recipe.model import Recipe, StepEntry
from spatialrun.recipe.names import is_within_group
from spatialrun.recipe.problems import Problems
from spatialrun.recipe.slots import NAME_HINT, misnamed
from spatialrun.recipe.variables import variables_of
from spatialrun.slots import COHORT, address, locate, name_of
from spatialrun.steps.contract import CohortStep, Read, Site, Write, implicit_reads, parameter_names

Sites = Mapping[str, Site]
"""What is known of samples, by name."""


def known_sites(recipe: Recipe, problems: Problems) -> dict[str, Site]:
    """Return what is known of every sample; leave out those whose input cannot be, and note why."""
    sites = {}
    listed = listings(recipe)
    for sample in recipe.samples.values():
        try:
            sites[sample.name] = Site(path=input_path(sample, recipe, listed), base=recipe.base)
        except SpatialrunError as error:
            problems.include(error.at(sample=sample.name))
    return sites


def wanted(recipe: Recipe, sites: Sites) -> Iterator[tuple[TaskId, StepEntry, Sites]]:
    """Yield what a recipe asks for: its steps sample by sample, then those on the cohort.

    Each comes with the sites of the samples whose slots it may read or write (:class:`Task`).
    """
    single = [(entry, set(entry.samples)) for entry in recipe.steps if entry.scope == "sample"]
    for name, site in sites.items():
        for entry, samples in single:
            if name in samples:
                yield TaskId(entry.id, name), entry, {name: replace(site, step=entry.id)}
    for entry in recipe.steps:
        members = [name for name in entry.samples if name in sites]
        if entry.scope == "cohort" and members:
            mine = {name: replace(sites[name], step=entry.id) for name in members}
            yield TaskId(entry.id, COHORT), entry, mine | {COHORT: Site(base=recipe.base, step=entry.id)}


def draft(id: TaskId, entry: StepEntry, sites: Sites) -> Task:
    """Ask a step type what it writes and which files it needs.

    Raises
    ------
    RecipeError, DataError
        Where names cannot be, or files are missing or broken.
    """
    site = sites[id.sample]
    try:
        writes = tuple(_writes(id, entry, sites))
        externals = entry.step.externals(entry.params, site)
    except OSError as error:
        raise DataError(
            "data.bad-file",
            f"{error.filename or 'a file'} cannot be read: {error.strerror or error}",
            hint="check its owner and mode",
        ) from error
    for role, path in externals.items():
        if not path.exists():
            raise RecipeError(
                "data.missing-file",
                f"{path} does not exist",
                where=entry.where_of(role),
            )
    destination = entry.step.destination(entry.params)
    target = None if destination is None else site.base / destination.replace("{sample}", id.sample)
    return Task(id, entry, sites, (), writes, externals, target)


def _writes(id: TaskId, entry: StepEntry, sites: Sites) -> Iterator[Write]:
    """Yield what a task writes; refuse names that only the sample's files, or their lack, bring about."""
    step, params = entry.step, entry.params
    for sample, site in sites.items():
        if isinstance(step, CohortStep) and sample == COHORT:
            writes = step.cohort_writes(params, site)
        else:
            writes = step.writes(params, site)
        for write in writes:
            if (chosen := misnamed(write.slot, entry.entries)) is not None:
                what = f"'{chosen.text}' cannot name a slot"
                where = chosen.mark.where(step=id.step)
                raise RecipeError("recipe.bad-name", what, where=where, hint=NAME_HINT)
            if not is_within_group(name := name_of(write.slot)):
                what = f"a column {name!r} of the file cannot name a slot"
                hint = "rename it in the file, or choose columns, under other names: columns: {old: new}"
                raise RecipeError("recipe.bad-name", what, hint=hint)
            yield Write(_port(id, sample, write.port), address(sample, write.slot, seen_from=id.sample))


def reads(task: Task, declared: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, Read]]:
    """Yield what a task reads, each with its sample: what the step asks for, and the axes of what it writes.

    Parameters
    ----------
    task
        The task.
    declared
        The slots that other tasks write, by sample.
    """
    step, params = task.step, task.entry.params
    written: dict[str, list[Write]] = {sample: [] for sample in task.sites}
    for write in task.writes:
        sample, slot = locate(write.slot, seen_from=task.id.sample)
        written[sample].append(Write(write.port, slot))
    for sample, site in task.sites.items():
        knowing = replace(site, declared=declared[sample])
        if isinstance(step, CohortStep) and sample == COHORT:
            asked = step.cohort_reads(params, knowing)
        else:
            asked = step.reads(params, knowing)
        for read in [*asked, *implicit_reads(written[sample])]:
            port = _port(task.id, sample, read.port)
            yield sample, read if port == read.port else replace(read, port=port)


def _port(id: TaskId, sample: str, port: str) -> str:
    """Return a port's name within the task: those of a cohort step are told apart by their samples."""
    return f"{sample}/{port}" if id.sample == COHORT else port


def structural(error: SpatialrunError, id: TaskId, entry: StepEntry, recipe: Recipe) -> SpatialrunError:
    """Turn a step type's complaint into a problem of the recipe: at the file's path, where one is at fault."""
    if isinstance(error, RecipeError) and error.where.line is not None:
        error.hint = error.hint or _next(error.code, error.where)
        return error.at(step=id.step, sample=id.sample)
    path_at = recipe.where("samples", id.sample, "path")
    named = [name for name in sorted(parameter_names(type(entry.params), "path")) if name in entry.entries]
    place = entry.where_of(named[0]) if named else path_at
    what = error.what
    if error.where.file and error.where.file not in what:
        what = f"{what} ({error.where.file})"
    hint = error.hint or _next(error.code, place)
    return RecipeError(error.code, what, where=replace(place, step=id.step, sample=id.sample), hint=hint)


def _next(code: str, place: Where) -> str | None:
    """Say what to do about a file that is not where the recipe says; nothing of other faults."""
    if code != "data.missing-file":
        return None
    if variables := variables_of(place.snippet or ""):
        said = ", ".join(f"{name}=PATH" for name in variables)
        return f"a variable says where it is: {said} before the command, relative to where you are"
    return "paths are relative to the recipe's folder"
