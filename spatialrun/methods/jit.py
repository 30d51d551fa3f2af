"""How the methods' loops are compiled: once per machine, without the interpreter lock, keeping NaN."""

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
OPTIONS = {"nogil": True, "error_model": "numpy"}


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that Python calls, kept on disk for the next process where that can be done.

    Numba looks beside the source file, then in ``NUMBA_CACHE_DIR`` and the user's cache folder; where none of
    them can be written it refuses at decoration, and the function is compiled for this process alone.
    """
    try:
        compiled = numba.njit(function, cache=True, fastmath=REORDER, **OPTIONS)
    except RuntimeError:
        compiled = numba.njit(function, fastmath=REORDER, **OPTIONS)
    return cast("Callable[P, R]", compiled)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that only kernels call, in strict arithmetic.

    There are two copies of it: its own, which runs in the process that compiles, and the one within each kernel,
    which runs where the kernel comes from the cache. Were the compiler free to reorder and fuse, it would do so
    differently in the two, and the last bits of a result would depend on the state of the cache.
    """
    return cast(
        "Callable[P, R]", numba.njit(function, fastmath=False, **OPTIONS)
    )  # unsaid, it is the kernel's
