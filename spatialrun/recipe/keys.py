"""The keys that a recipe, a sample, a step and a profile take, with the one line that says what each is for."""

from __future__ import annotations

FORMAT = 1
"""The format of recipes that this version reads: the value of the key ``spatialrun``."""

RECIPE_KEYS = {
    "spatialrun": f"Format of the recipe: {FORMAT}.",
    "include": "Recipe files to take in before this one, relative to it: a path, or a list of paths.",
    "store": "Where results are kept: a folder relative to the recipe, or a URL.",
    "unsafe": "Promises of an object store that the recipe does without.",
    "defaults": "Values for every step's parameters of these names that the step does not give itself.",
    "gpu": "How the steps that may use a GPU are run, where they do not say it themselves.",
    "samples": "The tissue sections, by name.",
    "steps": "What to compute; data decides the order, not the list.",
    "profiles": "Changes to the recipe by name, each made when it is asked for: --profile NAME.",
}

SAMPLE_KEYS = {"path": "The sample's input folder or file, relative to the recipe."}
"""Beside these, a sample takes any key with a single value: batch, group ..."""

RESERVED_SAMPLE_KEYS = ("from", "where")
"""Not metadata: they will make one sample from another."""

STEP_KEYS = {
    "id": "The step's name; by default the last part of 'uses', numbered on repeats.",
    "uses": "The step type.",
    "with": "The step type's parameters.",
    "matrix": "Lists of values by parameter; the step becomes one step for every combination.",
    "samples": "The samples it runs on: a name, a pattern such as p2-*, metadata such as {group: tumor}, "
    "or a list of these; all by default.",
    "after": "Ids of steps that must be done before it, where data does not show the order.",
    "retries": "How often it is tried again when it fails.",
    "timeout": "How long its own code may take: seconds, or 90s, 30m, 2h, 1d, 1h30m.",
    "gpu": "How it is run, of a step type that may use a GPU.",
}

GPU_KEYS = {
    "device": "cuda, cuda:1, mps or cpu; auto (the default) takes a GPU where there is one.",
    "python": "The Python that runs the tasks, which has the same spatialrun; that of the run by default.",
    "memory": "What a task may use beside the device's own memory: 8GB; any amount by default.",
}

PROFILE_KEYS = ("store", "unsafe", "defaults", "gpu", "samples", "steps")
"""What a profile can change of a recipe."""

PROFILE_STEP_KEYS = tuple(key for key in STEP_KEYS if key != "id")
"""What a profile can change of a step, which it names by its id."""

WAIVERS = {
    "conditional-writes": "The object store refuses to write over an object: two applies at once are safe.",
}
"""What ``unsafe`` can hold, with the promise that is then not asked for."""
