"""Spatial domains by a linear method: components that neighbours share, and a Gaussian mixture on them.

``domains`` takes one sample, ``integrate`` a cohort. Source: MULTISPATI (Dray, Saïd, Débias 2008,
10.1111/j.1654-1103.2008.18440.x) as a feature map, mclust's model EEE as STAGATE and GraphST use it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialrun.methods.multispati.model import Options, domains, integrate

__all__ = ["Options", "domains", "integrate"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.model"), name)
