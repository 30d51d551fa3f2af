"""SpaGCN: spatial domains, their markers and metagenes; arrays in, arrays out.

``domains`` takes one sample, ``integrate`` a cohort, ``histology_coordinate`` makes the third coordinate from the
tissue image, ``markers``, ``cohort_markers`` and ``metagene`` describe domains that were found. Source: Hu et al.
2021, 10.1038/s41592-021-01255-8.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialrun.methods.spagcn.combination import Metagene, metagene
    from spatialrun.methods.spagcn.histology import histology_coordinate
    from spatialrun.methods.spagcn.marker_tables import Filters, cohort_markers, markers
    from spatialrun.methods.spagcn.model import Options, domains, integrate
    from spatialrun.methods.spagcn.surroundings import Surroundings

__all__ = [
    "Filters",
    "Metagene",
    "Options",
    "Surroundings",
    "cohort_markers",
    "domains",
    "histology_coordinate",
    "integrate",
    "markers",
    "metagene",
]

_MODULES = {
    "Filters": "marker_tables",
    "Metagene": "combination",
    "Options": "model",
    "Surroundings": "surroundings",
    "cohort_markers": "marker_tables",
    "domains": "model",
    "histology_coordinate": "histology",
    "integrate": "model",
    "markers": "marker_tables",
    "metagene": "combination",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
