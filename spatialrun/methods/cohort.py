"""Samples analysed together: the genes that they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spatialrun.errors import DataError


def shared_genes(names: Sequence[pd.Index]) -> tuple[pd.Index, list[NDArray[np.intp]]]:
    """Genes that every sample has, in the first sample's order, and their columns in each sample.

    Parameters
    ----------
    names
        Unique names of each sample's genes.

    Raises
    ------
    DataError
        ``data.empty`` when there are none.
    """
    shared = names[0]
    for others in names[1:]:
        shared = shared[shared.isin(others)]
    if len(shared) == 0:
        firsts = "; ".join(", ".join(map(str, own[:2])) for own in names)
        raise DataError(
            "data.empty",
            f"the {len(names)} samples share no genes (their first ones: {firsts})",
            hint="Are their genes named alike: symbols or ids, one species?",
        )
    return shared, [own.get_indexer(shared) for own in names]
