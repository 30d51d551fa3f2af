"""Samples analysed together: the genes that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spatialrun.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix


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


def stacked(layers: Sequence[csc_matrix], names: Sequence[pd.Index]) -> tuple[csc_matrix, pd.Index]:
    """All spots of a cohort on the genes that its samples share, (sum of N, shared G) CSC, and the genes' names.

    Parameters
    ----------
    layers
        (N, G) CSC of each sample.
    names
        Unique names of each sample's genes.

    Raises
    ------
    DataError
        ``data.empty`` when the samples share no genes.
    """
    from scipy.sparse import vstack

    shared, columns = shared_genes(names)
    if len(layers) == 1:
        return layers[0], shared
    return vstack([own[:, kept] for own, kept in zip(layers, columns, strict=True)], format="csc"), shared


def joined(labels: Sequence[pd.Categorical]) -> pd.Categorical:
    """The labels of all spots of a cohort; categories are text, in the order in which samples bring them."""
    texts = [own.rename_categories(str) for own in labels]
    names = list(dict.fromkeys(name for own in texts for name in own.categories))
    codes = [own.set_categories(names).codes for own in texts]
    return pd.Categorical.from_codes(np.concatenate(codes), pd.Index(names, dtype=object))
