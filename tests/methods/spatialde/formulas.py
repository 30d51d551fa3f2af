"""The score test's formulas, written out with whole matrices."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from spatialrun.methods.spatialde import Kernel


def dense(kernel: Kernel, x: np.ndarray) -> np.ndarray:
    if kernel.kind == "SE":
        return np.exp(-cdist(x, x, "sqeuclidean") / (2 * kernel.lengthscale**2))
    if kernel.kind == "PER":
        u = x.sum(axis=1)
        return np.cos(2 * np.pi * (u[:, None] - u) / kernel.lengthscale)
    return x @ x.T


def written_out(K: np.ndarray, W: np.ndarray, v: np.ndarray) -> tuple[float, float, float, float]:
    """Q, e, I and I in its Frobenius form, from N x N matrices."""
    P = np.diag(W) - np.outer(W, W) / W.sum()
    I_tt, I_th, I_hh = np.trace(P @ K @ P @ K) / 2, np.trace(P @ K @ P) / 2, np.trace(P @ P) / 2
    frobenius = ((P @ K) ** 2).sum() / 2
    return v @ K @ v / 2, np.trace(P @ K) / 2, I_tt - I_th**2 / I_hh, frobenius - I_th**2 / I_hh


def null_eigenvalues(K: np.ndarray, W: np.ndarray, c: float) -> np.ndarray:
    """Those of P^½ (K - cI) P^½, scaled to variance 1: Q - e is half their sum times centred chi-squares."""
    root = np.sqrt(W)
    P = np.eye(len(W)) - np.outer(root, root) / W.sum()
    found = np.linalg.eigvalsh(P @ (root[:, None] * (K - c * np.eye(len(W))) * root) @ P)
    return found / np.sqrt((found**2).sum() / 2.0)
