"""Extras: what can be installed beside spatialrun, and which of them brings a package that is missing."""

from __future__ import annotations

EXTRAS = {
    "dask": "distributed",
    "cloud": "obstore",
    "image": "scikit-image",
    "h5mu": "mudata",
    "xlsx": "xlsxwriter",
    "deepst": "torch",
}
"""Extra to the distribution by which it is known to be installed."""
MODULES = {"skimage": "image", "torch_geometric": "deepst"}
"""Modules that are not called as those distributions are, and their extras."""


def extra_of(module: str) -> str | None:
    """Return the extra that brings a module; ``None`` where none does."""
    return MODULES.get(module) or next((extra for extra, name in EXTRAS.items() if name == module), None)


def install(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'spatialrun[{extra}]'"
