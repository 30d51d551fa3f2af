"""YAML to a validated recipe, with positions for every error."""

from spatialrun.recipe.loader import check, load, loads
from spatialrun.recipe.model import Recipe, SampleEntry, StepEntry
from spatialrun.recipe.problems import in_order

__all__ = ["Recipe", "SampleEntry", "StepEntry", "check", "in_order", "load", "loads"]
