"""Principal components of a sparse matrix of spots and genes, which is never dense as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialrun.errors import DataError

Array = NDArray[np.float64]
Apply = Callable[[Array], Array]

BLOCK_VALUES = 6_000_000
"""Values of a dense block, float32: 24 MB."""
OVERSAMPLING = 10
DEPTH = 5
"""Blocks of the Krylov space, one pass over X each: variances are exact to 1e-3, deep in the noise to 5%."""
SHORT_SIDE = 1000
"""Spots or genes of which all pairs are looked at."""
CONVERGED = 1e-6
"""Relative error of an eigenvalue at which Lanczos' method stops: about that of products in float32."""


@dataclass(frozen=True, eq=False)
class Components:
    """C principal components of N spots and G genes.

    Attributes
    ----------
    scores
        (N, C) float64, centred over the spots that were fitted.
    loadings
        (G, C) float64, orthonormal; the largest loading of a component is positive.
    variances
        (C,) float64: variance of the scores of the fitted spots, largest first.
    """

    scores: Array
    loadings: Array
    variances: Array


def principal_components(
    X: Any, n_components: int, *, fitted_on: int | None = None, rng: np.random.Generator | None = None
) -> Components:
    """Components of largest variance of the columns of X, centred.

    Parameters
    ----------
    X
        (N, G) ``scipy.sparse`` matrix, CSR or CSC; only what loadings are fitted to is copied.
    n_components
        C, below N and G.
    fitted_on
        Most spots that loadings are computed from; all spots get scores. ``None``: all.
    rng
        Chooses the fitted spots; without more spots than ``fitted_on`` it is not used, and nothing is random.

    Raises
    ------
    DataError
        ``data.values`` when there are too few spots or genes.

    Notes
    -----
    Components come from a block Krylov space (Musco & Musco 2015, arXiv:1504.05477) with fixed first vectors. X
    is multiplied in dense blocks of spots: at the densities of expression BLAS beats sparse products by far. One
    BLAS thread, so that sums do not depend on the machine's cores.
    """
    from threadpoolctl import threadpool_limits

    _check_size(X.shape, n_components)
    with threadpool_limits(1, "blas"):
        fitted = _rows(X, fitted_on, rng).tocsr()  # spots are taken in blocks
        mean = np.asarray(fitted.mean(axis=0, dtype=np.float64)).ravel()
        loadings, variances = _leading(fitted, mean, n_components)
        del fitted
        single = loadings.astype(X.dtype)
        scores = (X @ single).astype(np.float64) - mean @ loadings
    return Components(scores, loadings, variances)


def converged_components(X: Any, n_components: int) -> Components:
    """Components of largest variance, each to the precision of X itself: what ``scanpy.pp.pca`` computes.

    Parameters
    ----------
    X
        (N, G) ``scipy.sparse`` matrix of float32, CSC or CSR; it is not copied.
    n_components
        C, below N and G.

    Raises
    ------
    DataError
        ``data.values`` when there are too few spots or genes, or X does not vary.

    Notes
    -----
    Lanczos' method on X'X (ARPACK), which needs a few hundred products of X with a vector, of every spot and at
    any size; where the smaller side of X is short, all eigenvectors of its Gram matrix. `principal_components` is
    faster where single components need not be told apart. One BLAS thread.
    """
    from threadpoolctl import threadpool_limits

    _check_size(X.shape, n_components)
    mean = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    with threadpool_limits(1, "blas"):
        if min(X.shape) <= SHORT_SIDE:
            values, loadings = _of_gram(X, mean, n_components)
        else:
            values, loadings = _lanczos(X, mean, n_components)
        loadings = _signed(loadings)
        scores = (X @ loadings.astype(X.dtype)).astype(np.float64) - mean @ loadings
    return Components(scores, loadings, np.maximum(values, 0.0) / (X.shape[0] - 1))


def total_variance(X: Any) -> float:
    """Sum of the variances of the columns of a sparse matrix (N, G)."""
    mean = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    squares = float(np.square(X.data, dtype=np.float64).sum())
    return float(max(squares - X.shape[0] * (mean @ mean), 0.0) / max(X.shape[0] - 1, 1))


def _of_gram(X: Any, mean: Array, n: int) -> tuple[Array, Array]:
    """The n largest eigenvalues of X'X of centred X, and the loadings, by the Gram matrix of the shorter side."""
    n_spots, n_genes = X.shape
    double = X.astype(np.float64)
    if n_genes <= n_spots:
        gram = (double.T @ double).toarray() - n_spots * np.outer(mean, mean)
        values, vectors = np.linalg.eigh(gram)
        return values[::-1][:n], vectors[:, ::-1][:, :n]
    along = double @ mean
    gram = (double @ double.T).toarray() - along[:, None] - along + mean @ mean
    values, vectors = np.linalg.eigh(gram)
    scores = vectors[:, ::-1][:, :n]
    # Of components without variance any orthonormal loadings will do.
    loadings, triangle = np.linalg.qr(double.T @ scores - np.outer(mean, scores.sum(axis=0)))
    return values[::-1][:n], loadings * np.where(np.diag(triangle) < 0, -1.0, 1.0)


def _lanczos(X: Any, mean: Array, n: int) -> tuple[Array, Array]:
    """As `_of_gram`, from products of X with vectors."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    n_genes = X.shape[1]

    def scatter(v: Array) -> Array:
        v = v.ravel()
        scores = (X @ v.astype(X.dtype)).astype(np.float64) - mean @ v
        product: Array = (X.T @ scores.astype(X.dtype)).astype(np.float64) - mean * scores.sum()
        return product

    operator = LinearOperator((n_genes, n_genes), matvec=scatter, dtype=np.float64)
    first = np.random.default_rng(0).standard_normal(n_genes)
    values, vectors = eigsh(operator, n, v0=first, tol=CONVERGED)
    return values[::-1], vectors[:, ::-1]


def _check_size(shape: tuple[int, int], n_components: int) -> None:
    n_spots, n_genes = shape
    if n_components >= min(n_spots, n_genes):
        few, kind = min((n_spots, "spots"), (n_genes, "genes"))
        raise DataError(
            "data.values",
            f"{n_components} principal components asked of {few} {kind}",
            hint=f"Ask for fewer than {few} components.",
        )


def _signed(loadings: Array) -> Array:
    """Loadings (G, C) of which the largest of a component is positive."""
    largest = np.abs(loadings).argmax(axis=0)
    signed: Array = loadings * np.sign(loadings[largest, np.arange(loadings.shape[1])])
    return signed


def _rows(X: Any, at_most: int | None, rng: np.random.Generator | None) -> Any:
    if at_most is None or X.shape[0] <= at_most:
        return X
    if rng is None:
        raise ValueError("fitting on a part of the spots needs a generator")
    return X[np.sort(rng.choice(X.shape[0], at_most, replace=False))]


def _leading(X: Any, mean: Array, n_components: int) -> tuple[Array, Array]:
    """Loadings (G, C) and variances (C,)."""
    n_spots, n_genes = X.shape
    values, loadings = leading_eigenvectors(lambda V: _scatter(X, mean, V), n_genes, n_components)
    return _signed(loadings), np.maximum(values, 0.0) / (n_spots - 1)


def _scatter(X: Any, mean: Array, V: Array) -> Array:
    """X'X V of centred X, for V (G, m)."""
    n_spots, n_genes = X.shape
    single, shift = V.astype(np.float32), (mean @ V).astype(np.float32)
    total, sums = np.zeros_like(V), np.zeros(V.shape[1])
    step = max(1, BLOCK_VALUES // n_genes)
    for start in range(0, n_spots, step):
        block = X[start : start + step].toarray().astype(np.float32, copy=False)
        scores = block @ single - shift
        total += block.T @ scores
        sums += scores.sum(axis=0)
    return total - np.outer(mean, sums)


def leading_eigenvectors(apply: Apply, size: int, n: int) -> tuple[Array, Array]:
    """The n largest eigenvalues of a symmetric operator, (n,), and their vectors, (size, n).

    Parameters
    ----------
    apply
        Multiplies (size, m) from the left.
    size, n
        Of the operator, and how many.
    """
    width = min(n + OVERSAMPLING, size)
    if DEPTH * width >= size:
        values, vectors = np.linalg.eigh(apply(np.eye(size)))
        return values[::-1][:n], vectors[:, ::-1][:, :n]
    block = np.linalg.qr(np.random.default_rng(0).standard_normal((size, width)))[0]
    basis = block
    images = image = apply(block)
    for _ in range(DEPTH - 1):
        block = image
        for _ in range(2):  # once is not enough in floating point, least of all beyond the operator's rank
            block = np.linalg.qr(block - basis @ (basis.T @ block))[0]
        image = apply(block)
        basis, images = np.hstack([basis, block]), np.hstack([images, image])
    projected = basis.T @ images
    values, vectors = np.linalg.eigh((projected + projected.T) / 2)
    return values[::-1][:n], basis @ vectors[:, ::-1][:, :n]
