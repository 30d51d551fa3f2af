"""What a shell offers while a command is typed: the names that the recipe or the store before it has.

A completion never fails and says nothing: where a recipe has mistakes, or there is no store yet, it offers none.
Shells complete files by themselves where nothing is offered.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import typer


def step_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the ids of steps."""
    return _beginning(incomplete, _names(ctx, "steps"))


def sample_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of samples."""
    return _beginning(incomplete, _names(ctx, "samples"))


def profile_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of profiles."""
    return _beginning(incomplete, _names(ctx, "profiles"))


def table_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer ``obs``, ``var`` and a sample's tables."""
    return _beginning(incomplete, _names(ctx, "tables"))


def run_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the ids of runs, the newest first."""
    return _beginning(incomplete, _names(ctx, "runs"))


def type_names(incomplete: str) -> list[str]:
    """Offer the names of step types."""
    from spatialrun.steps import catalogue

    return _beginning(incomplete, catalogue.names())


def recipe_files(incomplete: str) -> list[str]:
    """Offer YAML files, and the folders in which there may be some."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") or not incomplete else typed.parent
    start = "" if folder == Path() and not incomplete.startswith("./") else f"{folder}/".replace("//", "/")
    with suppress(OSError):
        entries = sorted(folder.iterdir())
        files = [start + entry.name for entry in entries if entry.suffix in (".yaml", ".yml")]
        folders = [f"{start}{entry.name}/" for entry in entries if entry.is_dir() and entry.name[0] != "."]
        return _beginning(incomplete, [*files, *folders])
    return []


def _names(ctx: typer.Context, kind: str) -> Iterable[str]:
    """Names of one kind, from the recipe where the command takes one, else from its store."""
    # After an option that still lacks its value, arguments have not been told apart yet.
    place = ctx.params.get("recipe") or ctx.params.get("store") or next(iter(ctx.args), None)
    if not place:
        return ()
    with suppress(Exception):
        if kind in ("tables", "runs") or not str(place).endswith((".yaml", ".yml")):
            return _of_store(str(place), kind, ctx.params.get("sample"))
        return _of_recipe(Path(place), kind, ctx.params.get("profile"))
    return ()


def _of_recipe(path: Path, kind: str, profile: Iterable[str] | None) -> Iterable[str]:
    import yaml

    from spatialrun.recipe.loader import check

    if kind == "profiles":
        # A checked recipe has none left.
        return list(yaml.safe_load(path.read_text(encoding="utf-8")).get("profiles", {}))
    recipe, _ = check(path, profile=list(profile or ()))
    if recipe is None:
        return ()
    return list(recipe.samples) if kind == "samples" else [step.id for step in recipe.steps]


def _of_store(place: str, kind: str, sample: str | None) -> Iterable[str]:
    from spatialrun.experiment import open_experiment
    from spatialrun.slots import COHORT, group_of, name_of

    experiment = open_experiment(place)
    if kind == "samples":
        return [*experiment.samples, COHORT]
    if kind == "runs":
        return sorted(experiment.store.runs.names(), reverse=True)
    if kind == "tables" and sample:
        slots = experiment.run.slots(sample).items()
        return [
            "obs",
            "var",
            *(name_of(slot) for slot, ref in slots if group_of(slot) == "uns" and ref.kind == "table"),
        ]
    if kind == "steps":
        return list(dict.fromkeys(step for step, _ in experiment.run.tasks))
    return ()


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
