"""Selections of genes or spots, as masks made from masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def combine(
    n: int,
    *,
    all_of: Sequence[np.ndarray] = (),
    any_of: Sequence[np.ndarray] = (),
    none_of: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Where every mask of ``all_of``, at least one of ``any_of`` and none of ``none_of`` is true.

    Parameters
    ----------
    n
        Length of the masks.
    all_of, any_of, none_of
        (n,) bool each; an empty sequence restricts nothing.

    Returns
    -------
    (n,) bool.
    """
    chosen = np.ones(n, dtype=bool)
    for mask in all_of:
        chosen &= mask
    if any_of:
        chosen &= np.logical_or.reduce(any_of)
    for mask in none_of:
        chosen &= ~mask
    return chosen
