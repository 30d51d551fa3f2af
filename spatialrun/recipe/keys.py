"""The keys that a recipe, a sample and a step take, with the one line that says what each is for."""

from __future__ import annotations

FORMAT = 1
"""The format of recipes that this version reads: the value of the key ``spatialrun``."""

RECIPE_KEYS = {
    "spatialrun": f"Format of the recipe: {FORMAT}.",
    "store": "Where results are kept: a folder relative to the recipe, or a URL.",
    "defaults": "Values for every step's parameters of these names that the step does not give itself.",
    "samples": "The tissue sections, by name.",
    "steps": "What to compute; data decides the order, not the list.",
}

SAMPLE_KEYS = {"path": "The sample's input folder or file, relative to the recipe."}
"""Beside these, a sample takes any key with a single value: batch, group ..."""

RESERVED_SAMPLE_KEYS = ("from", "where")
"""Not metadata: they will make one sample from another."""

STEP_KEYS = {
    "id": "The step's name; by default the last part of 'uses', numbered on repeats.",
    "uses": "The step type.",
    "with": "The step type's parameters.",
    "samples": "The samples it runs on: a name, a pattern such as p2-*, or a list of these; all by default.",
    "after": "Ids of steps that must be done before it, where data does not show the order.",
}
