"""Counts as every step expects them: whole, not negative, int32, compressed by gene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spatialrun.errors import DataError, Where


def canonical_counts(matrix: Any, *, spots: Sequence[str], genes: Sequence[str], where: Where) -> Any:
    """Check counts and bring them to the form in which they are stored.

    Parameters
    ----------
    matrix
        (N, G) numpy array or scipy sparse matrix of any numeric type.
    spots, genes
        Names of the N spots and G genes, for the message.
    where
        The place that an error names.

    Returns
    -------
    ``scipy.sparse.csc_matrix``, (N, G) int32: sorted indices, no duplicates, no stored zeros.

    Raises
    ------
    DataError
        ``data.counts`` names gene and spot of the first value that is NaN, negative, not a whole number or
        more than int32 holds; ``data.bad-file`` for sparse indices that lie outside the matrix.
    """
    from scipy import sparse

    if sparse.issparse(matrix):
        compressed = matrix if matrix.format in ("csr", "csc") else matrix.tocsr()
    else:
        compressed = sparse.csr_matrix(np.asarray(matrix))
    try:
        # Wrong indices would make the conversion below write outside its arrays.
        compressed.check_format(full_check=True)
    except ValueError as error:
        raise DataError(
            "data.bad-file",
            f"the matrix's sparse indices do not fit its shape {compressed.shape}: {error}",
            where=where,
        ) from error
    values = compressed.data
    if (fault := _first_fault(values)) is not None:
        position, reason = fault
        major = int(np.searchsorted(compressed.indptr, position, side="right")) - 1
        minor = int(compressed.indices[position])
        spot, gene = (major, minor) if compressed.format == "csr" else (minor, major)
        raise DataError(
            "data.counts",
            f"the count of gene {genes[gene]} in spot {spots[spot]} is {values[position]}: {reason}",
            where=where,
            hint="Counts must be raw: whole numbers from 0 on, neither normalised nor log-transformed.",
        )
    whole = type(compressed)(
        (values.astype(np.int32), compressed.indices, compressed.indptr), shape=compressed.shape
    )
    # The caller keeps its matrix: from CSR the conversion copies by itself.
    counts = sparse.csc_matrix(whole, copy=whole.format == "csc")
    counts.sum_duplicates()
    counts.eliminate_zeros()
    return counts


def _first_fault(values: np.ndarray) -> tuple[int, str] | None:
    """Position of the first value that is no count, and what is wrong with it."""
    if values.dtype.kind not in "biuf":
        return (0, f"{values.dtype} is not a number") if len(values) else None
    tests = [(values < 0, "negative"), (values > np.iinfo(np.int32).max, "more than 2147483647")]
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            tests = [(np.isnan(values), "NaN"), *tests, (values != np.trunc(values), "not a whole number")]
    faults = [(int(np.argmax(mask)), reason) for mask, reason in tests if mask.any()]
    return min(faults, default=None)
