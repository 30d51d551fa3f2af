"""Linear maps of expression components to ones that neighbouring spots share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = NDArray[np.float64]
Embedding = Literal["multispati", "smoothed", "reduced_rank"]


def embed(T: Array, W: csr_matrix, k: int, n_components: int, kind: Embedding) -> Array:
    """Components of T with a spatial pattern, smoothed over each spot and its neighbours.

    Parameters
    ----------
    T
        (N, C) scores of expression components, centred.
    W
        (N, N): row i takes the mean over the k nearest spots of i.
    k
        Neighbours of a spot.
    n_components
        D, at most C.
    kind
        ``multispati``: eigenvectors of the symmetrised T'WT/N, the directions whose product of variance and
        Moran's I is largest. ``smoothed``: the first components of T. ``reduced_rank``: the best rank-D
        prediction of T from its smoothed self.

    Returns
    -------
    (N, D) float64.

    Notes
    -----
    Dray, Saïd, Débias 2008, 10.1111/j.1654-1103.2008.18440.x; reduced-rank regression: Izenman 1975,
    10.1016/0047-259X(75)90042-1 (the closed form of a linear graph autoencoder).
    """
    lag = W @ T
    if kind == "multispati":
        U = _last_eigenvectors(T.T @ lag / len(T), n_components)
        return _smooth(T @ U, lag @ U, k)
    smoothed = _smooth(T, lag, k)
    if kind == "smoothed":
        return smoothed[:, :n_components]
    gram = smoothed.T @ smoothed
    fitted = smoothed @ np.linalg.lstsq(gram, smoothed.T @ T, rcond=None)[0]
    prediction: Array = fitted @ _last_eigenvectors(fitted.T @ fitted, n_components)
    return prediction


def _smooth(own: Array, lag: Array, k: int) -> Array:
    """Mean over a spot and its k neighbours, whose mean is ``lag``."""
    return (own + k * lag) / (k + 1)


def _last_eigenvectors(matrix: Array, n: int) -> Array:
    """Of the symmetric part, for the n largest eigenvalues, largest first."""
    _, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return vectors[:, ::-1][:, :n]
