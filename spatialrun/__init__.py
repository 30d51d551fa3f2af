"""spatialrun: declarative, cached, resumable recipes for spatial transcriptomics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spatialrun.version import __version__

__all__ = ["Household", "__version__", "load", "open"]

if TYPE_CHECKING:
    from spatialrun.api import load
    from spatialrun.experiment import open_experiment as open
    from spatialrun.household import Household


def __getattr__(name: str) -> Any:
    """Import the Python interface when it is first used: ``import spatialrun`` alone costs nothing."""
    if name == "load":
        from spatialrun.api import load

        return load
    if name == "open":
        from spatialrun.experiment import open_experiment

        return open_experiment
    if name == "Household":
        from spatialrun.household import Household

        return Household
    raise AttributeError(f"module 'spatialrun' has no attribute {name!r}")
