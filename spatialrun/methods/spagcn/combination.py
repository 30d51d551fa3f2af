"""A sum and difference of genes that stands out in one domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spatialrun.errors import DataError
from spatialrun.methods.spagcn.ranksum import compare

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Log = Callable[[str], None]

FEWEST = 5
"""Spots of either group that a round needs."""


@dataclass(frozen=True, eq=False)
class Metagene:
    """A combination of genes, and its value in each of N spots."""

    values: Array
    """(N,) float64, from 0."""
    auc: float
    """How well it tells the domain from all other spots: 1 where every one of its spots is above all others."""
    formula: str
    """``start + added - subtracted + ...``, up to the constant that makes the minimum 0."""


def metagene(
    lognorm: csc_matrix,
    domains: pd.Categorical,
    gene_names: Sequence[str] | pd.Index,
    target: str,
    *,
    start_gene: str | None = None,
    max_iter: int = 5,
    log: Log = lambda _: None,
) -> Metagene:
    """Add and subtract genes until few spots outside of a domain reach its mean.

    Each round compares the domain with the other spots above the domain's mean: the gene that ranks highest in
    the domain is added, the one that ranks lowest subtracted. A round is taken back, and ends the search, when
    the spots outside grow in number or the difference of means falls.

    Parameters
    ----------
    lognorm
        (N, G) log-normalised expression, CSC.
    domains
        (N,).
    gene_names
        (G,), unique.
    target
        The domain.
    start_gene
        The first gene, usually the domain's first marker; ``None``: the one that ranks highest against all spots.
    max_iter
        Most rounds.
    log
        Takes the lines of each round.

    Raises
    ------
    DataError
        ``data.values``: no such domain or gene, or a domain that holds all spots.

    Notes
    -----
    ``find_meta_gene`` of Hu et al. 2021, 10.1038/s41592-021-01255-8.
    """
    names = pd.Index(gene_names)
    inside = _members(domains, target)
    start = _start(lognorm, names, inside, start_gene)
    values, formula = _column(lognorm, start), str(names[start])
    n_outside, difference = len(inside), 0.0
    for _ in range(max_iter):
        outside = ~inside & (values > values[inside].mean())
        if min(inside.sum(), outside.sum()) < FEWEST:
            break
        z = compare(lognorm, inside, outside).z
        added, subtracted = int(z.argmax()), int(z.argmin())
        log(f"add gene: {names[added]}; minus gene: {names[subtracted]}")
        tried = values + _column(lognorm, added) - _column(lognorm, subtracted)
        tried -= tried.min()
        gained = float(tried[inside].mean() - tried[~inside].mean())
        if outside.sum() > n_outside or gained < difference:
            log(f"stopped: {outside.sum()} non-target spots after {n_outside}, mean change {gained:.4f}")
            break
        n_outside, difference, values = int(outside.sum()), gained, tried
        formula += f" + {names[added]} - {names[subtracted]}"
        log(f"absolute mean change: {difference:.4f}")
        log(f"non-target spots reduced to: {n_outside}")
        log(f"meta gene now: {formula}")
    log(f"meta gene: {formula}")
    return Metagene(values, _auc(values, inside), formula)


def _auc(values: Array, inside: Bools) -> float:
    """Chance that a spot inside has the greater value of two, one inside and one outside."""
    from scipy.stats import rankdata

    n_in, n_out = int(inside.sum()), int((~inside).sum())
    return float((rankdata(values)[inside].sum() - n_in * (n_in + 1) / 2) / (n_in * n_out))


def _members(domains: pd.Categorical, target: str) -> Bools:
    categories = [str(category) for category in domains.categories]
    if str(target) not in categories:
        raise DataError(
            "data.values", f"there is no domain {target!r}", hint=f"The domains are {', '.join(categories)}."
        )
    inside: Bools = np.asarray(domains.codes) == categories.index(str(target))
    if not inside.any() or inside.all():
        held = "all" if inside.all() else "no"
        raise DataError("data.values", f"domain {target} holds {held} spots: nothing to compare")
    return inside


def _start(lognorm: csc_matrix, names: pd.Index, inside: Bools, gene: str | None) -> int:
    if gene is None:
        return int(compare(lognorm, inside, ~inside).z.argmax())
    if gene not in names:
        raise DataError(
            "data.values", f"there is no gene {gene!r}", hint="Take a gene of the markers' table."
        )
    return int(np.flatnonzero(names == gene)[0])


def _column(lognorm: csc_matrix, gene: int) -> Array:
    column = np.zeros(lognorm.shape[0])
    entries = slice(lognorm.indptr[gene], lognorm.indptr[gene + 1])
    column[lognorm.indices[entries]] = lognorm.data[entries]
    return column
