"""How the package's loops are compiled: once per machine, without the interpreter lock, keeping NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

P = ParamSpec("P")
R = TypeVar("R")

# Sums may be reordered and fused (that is what vectorises them); NaN and infinity keep their meaning.
REORDER = {"reassoc", "contract", "nsz"}


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function``, kept on disk for the next process where any cache folder can be written.

    Numba looks beside the source file, then in ``NUMBA_CACHE_DIR`` and the user's cache folder; where none of
    them can be written it refuses at decoration, and the function is compiled for this process alone.
    """
    options = {"nogil": True, "fastmath": REORDER, "error_model": "numpy"}
    try:
        compiled = numba.njit(function, cache=True, **options)
    except RuntimeError:
        compiled = numba.njit(function, **options)
    return cast("Callable[P, R]", compiled)
