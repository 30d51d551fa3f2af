"""DeepST: spatial domains by a graph autoencoder of augmented expression; arrays in, arrays out.

``components`` prepares expression, ``domains`` trains and partitions, one sample or a cohort. Only ``domains``
needs torch. Source: Xu et al. 2022, 10.1093/nar/gkac901.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialrun.methods.deepst.model import (
        Augmentation,
        Partitioning,
        components,
        domains,
        on_shared_genes,
    )
    from spatialrun.methods.deepst.schedule import CONV_TYPES, Schedule, Weights

__all__ = [
    "CONV_TYPES",
    "Augmentation",
    "Partitioning",
    "Schedule",
    "Weights",
    "components",
    "domains",
    "on_shared_genes",
]

_MODULES = {
    "Augmentation": "model",
    "CONV_TYPES": "schedule",
    "Partitioning": "model",
    "Schedule": "schedule",
    "Weights": "schedule",
    "components": "model",
    "domains": "model",
    "on_shared_genes": "model",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
