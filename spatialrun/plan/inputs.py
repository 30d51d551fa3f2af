"""Where a sample's input is: as the recipe says, or, where that is in a bucket, where it is mirrored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from spatialrun.recipe.model import Recipe, SampleEntry
from spatialrun.recipe.paths import is_url
from spatialrun.store.mirror import Listings, mirror

_SPACE_RANGER = re.compile(r"(outs/)?(spatial/[^/]+|(filtered|raw)_feature_bc_matrix(\.h5|/[^/]+))")


def listings(recipe: Recipe) -> Listings:
    """Return the listings of all inputs of a recipe that are in buckets."""
    return Listings(sample.path for sample in recipe.samples.values() if sample.path and is_url(sample.path))


def input_path(sample: SampleEntry, recipe: Recipe, listings: Listings) -> Path | None:
    """Return a sample's path on this machine, bringing it here first where it is a URL.

    Raises
    ------
    DataError, StoreError
        Where it cannot be brought.
    """
    if sample.path is None or not is_url(sample.path):
        return sample.resolve(recipe.base)
    steps = [entry for entry in recipe.steps if sample.name in entry.samples]
    raw = any(getattr(entry.params, "matrix", None) == "raw" for entry in steps)
    return mirror(sample.path, lambda names: needed(names, raw=raw), listings) if steps else None


def needed(names: Iterable[str], *, raw: bool) -> list[str]:
    """Choose the files of a Space Ranger folder that are read: alignments, which are large, are not.

    Of the counts the filtered are taken, and the raw where those are asked for or are all there is.
    """
    known = [name for name in names if _SPACE_RANGER.fullmatch(name)]
    filtered = [name for name in known if "raw_feature_bc_matrix" not in name]
    has_counts = any("filtered_feature_bc_matrix" in name for name in filtered)
    return filtered if has_counts and not raw else known
