"""The catalogue: thin declarations that bind methods to slots.

Every step type of one sample is a function on an AnnData, too: ``spatialrun.steps.svg.spatialde(adata)``.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Import a family of step types when it is first used: ``spatialrun.steps.svg``."""
    from spatialrun.steps.on_anndata import family_of

    return family_of(__name__, name)
