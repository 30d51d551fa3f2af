"""SpatialDE's score test for spatially variable genes: arrays in, arrays out.

``default_kernels`` chooses the kernels, ``setup`` prepares a sample's spots, ``score_block`` tests a block of
genes (several at once, in threads or processes), ``combine`` turns all blocks' results into one table. Numba is
imported with the second of them, not with this package.

Source: SpatialDE2 (Kats, Vento-Tormo, Stegle 2021, doi 10.1101/2021.10.27.466045).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialrun.methods.spatialde.kernels import Kernel, default_kernels
    from spatialrun.methods.spatialde.preparation import setup
    from spatialrun.methods.spatialde.ranking import combine
    from spatialrun.methods.spatialde.score import score_block

__all__ = ["Kernel", "combine", "default_kernels", "score_block", "setup"]

_MODULES = {
    "Kernel": "kernels",
    "combine": "ranking",
    "default_kernels": "kernels",
    "score_block": "score",
    "setup": "preparation",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
