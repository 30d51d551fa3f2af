"""Mean and information of a kernel's score over the family of weights.

All at scale m/(1 + a) = 1, that is with W = h_t(s): e goes with the first power of m/(1 + a), I with the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.spatialde.features import Gram

Array = NDArray[np.float64]

# A kernel whose mean or variance is this small a part of what rounding acts on tells nothing.
USABLE = 1e-10


@dataclass(frozen=True)
class Moments:
    """e, I and c = I_th/I_hh of one kernel at the nodes of t, each (T,); I in its Frobenius form where asked."""

    E: Array
    J: Array
    c: Array

    def usable(self, diagonal: Array, n_spots: int) -> bool:
        """Whether the kernel tells spots apart: ``diagonal`` (T,) is Σ K_ii W_i."""
        return bool((self.E / diagonal > USABLE).all() and (self.J * n_spots > USABLE * self.E**2).all())


def moments(gram: Gram, W: Array, frobenius: bool = False) -> Moments:
    """Mean and information of Q over t, source: SpatialDE2 with P = diag(W) - W W'/S1.

    I_tt = tr(PKPK)/2, I_th = tr(PKP)/2, I_hh = tr(PP)/2, I = I_tt - I_th²/I_hh. ``frobenius`` gives for I what
    the published code computes, the squared Frobenius norm of P K over 2.
    """
    WW = W * W
    S1, S2, S3 = W.sum(axis=0), WW.sum(axis=0), (WW * W).sum(axis=0)
    k = gram.times(W)
    Wk, WWk = (W * k).sum(axis=0), (WW * k).sum(axis=0)
    E = (gram.diagonal @ W - Wk / S1) / 2.0
    I_th = (gram.diagonal @ WW - 2.0 * WWk / S1 + S2 * Wk / S1**2) / 2.0
    I_hh = (S2 - 2.0 * S3 / S1 + S2**2 / S1**2) / 2.0
    c = I_th / I_hh
    if frobenius:
        rows = gram.squared_times(np.ones((len(W), 1)))[:, 0]
        I_tt = (
            rows @ WW - 2.0 / S1 * (WW * gram.times(k)).sum(axis=0) + S2 * (k * k).sum(axis=0) / S1**2
        ) / 2.0
    else:
        WKKW = (W * gram.squared_times(W)).sum(axis=0)
        I_tt = (WKKW - 2.0 / S1 * (W * k * k).sum(axis=0) + (Wk / S1) ** 2) / 2.0
    return Moments(E, I_tt - c * I_th, c)
