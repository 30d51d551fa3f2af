"""Genes summed up by domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

Array = NDArray[np.float64]


def means_and_fractions(layer: csc_matrix, codes: NDArray[np.integer], n_domains: int) -> tuple[Array, Array]:
    """Mean of every gene in every domain, and the share of its spots that have the gene; (D, G) each.

    Parameters
    ----------
    layer
        (N, G) CSC; its nonzeros alone are looked at.
    codes
        (N,) domains from 0; below 0: no domain.
    n_domains
        D. A domain without spots has zeros.
    """
    spots = np.maximum(np.bincount(codes[codes >= 0], minlength=n_domains), 1)
    n_genes = layer.shape[1]
    gene = np.repeat(np.arange(n_genes), np.diff(layer.indptr))
    domain = codes[layer.indices]
    kept = (domain >= 0) & (layer.data != 0)
    cell = domain[kept].astype(np.int64) * n_genes + gene[kept]
    sums = np.bincount(cell, layer.data[kept], n_domains * n_genes).reshape(n_domains, n_genes)
    counts = np.bincount(cell, minlength=n_domains * n_genes).reshape(n_domains, n_genes)
    return sums / spots[:, None], counts / spots[:, None]
