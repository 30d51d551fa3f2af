"""Genes that tell a domain from the domains around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from spatialrun.methods.neighbors import checked_places
from spatialrun.methods.spagcn.ranksum import Comparison, adjusted, compare
from spatialrun.methods.spagcn.surroundings import (
    Surroundings,
    neighbours,
    pairs_within,
    search_radius,
)

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

Array = NDArray[np.float64]
Log = Callable[[str], None]

COLUMNS = (
    "gene",
    "pct.in",
    "pct.out",
    "ratio",
    "mean.in",
    "mean.out",
    "fc",
    "p",
    "q",
    "log10.q",
    "neighbours",
)
LN10 = np.log(10.0)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a marker must be."""

    max_q: float = 0.05
    min_in_group_fraction: float = 0.8
    """Share of the domain's spots with the gene."""
    min_in_out_group_ratio: float = 1.0
    """That share over the one among the neighbours."""
    min_fold_change: float = 1.5
    """exp of the difference between mean logarithms."""


def markers(
    lognorm: csc_matrix,
    coordinates: ArrayLike,
    domains: pd.Categorical,
    gene_names: Sequence[str] | pd.Index,
    *,
    surroundings: Surroundings | None = None,
    filters: Filters | None = None,
    tie_correct: bool = False,
    threads: int = 1,
    log: Log = lambda _: None,
) -> dict[str, pd.DataFrame]:
    """Markers of every domain against the domains around it.

    Parameters
    ----------
    lognorm
        (N, G) log-normalised expression, CSC.
    coordinates
        (N, 2), any unit.
    domains
        (N,); spots without a domain (missing) count as surroundings of none.
    gene_names
        (G,).
    surroundings, filters
        See `Surroundings` and `Filters`.
    tie_correct
        Of the test; see ``ranksum.compare``.
    threads
        Domains that are tested at once; results do not depend on it.
    log
        Takes a line for each domain.

    Returns
    -------
    Domain to table, in the order of the categories that occur. Columns ``gene``, ``pct.in``, ``pct.out``,
    ``ratio`` (of the two), ``mean.in``, ``mean.out``, ``fc``, ``p``, ``q`` (over all genes), ``log10.q`` (its
    negative logarithm) and ``neighbours`` (comma separated), sorted by ``fc``. Empty where nothing passes the
    filters, or there is nothing to compare with.

    Raises
    ------
    DataError
        ``data.coordinates`` when they are not finite.

    Notes
    -----
    Hu et al. 2021, 10.1038/s41592-021-01255-8: Wilcoxon's test against the neighbours only, so that a marker is
    one of the border, not of the tissue type.
    """
    return cohort_markers(
        lognorm,
        [coordinates],
        domains,
        gene_names,
        surroundings=surroundings,
        filters=filters,
        tie_correct=tie_correct,
        threads=threads,
        log=log,
    )


def cohort_markers(
    lognorm: csc_matrix,
    coordinates: Sequence[ArrayLike],
    domains: pd.Categorical,
    gene_names: Sequence[str] | pd.Index,
    *,
    surroundings: Surroundings | None = None,
    filters: Filters | None = None,
    tie_correct: bool = False,
    threads: int = 1,
    log: Log = lambda _: None,
) -> dict[str, pd.DataFrame]:
    """Markers of domains that samples share, over the spots of all of them.

    Neighbours are looked for within each sample, each with a radius of its own, and counted together; the test
    is one, of all spots of the domain against all spots of those neighbours. Depth is the only difference
    between samples that normalisation has taken out: where domains are unequally spread over samples, effects
    of batches are among the markers.

    Parameters
    ----------
    lognorm
        (N, G) log-normalised expression of all samples, CSC; see ``cohort.stacked``.
    coordinates
        (N_s, 2) of each sample, in the order of the rows, any unit.
    domains
        (N,); see ``cohort.joined``.
    gene_names, surroundings, filters, tie_correct, threads, log
        As for `markers`, and so is what is returned and raised.
    """
    places = [checked_places(own) for own in coordinates]
    options, filters = surroundings or Surroundings(), filters or Filters()
    names = np.asarray(gene_names, dtype=object)
    codes = np.asarray(domains.codes)
    ends = np.cumsum([len(own) for own in places])
    samples = list(zip(places, np.split(codes, ends[:-1]), strict=True))
    occurring = [int(code) for code in np.unique(codes[codes >= 0])]

    def around(code: int) -> tuple[list[int], str, list[str]]:
        lines: list[str] = []
        pairs: Counter[int] = Counter()
        sizes: Counter[int] = Counter()
        radii = []
        for own, labels in samples:
            if not (labels == code).any():
                continue
            radius = search_radius(own[labels >= 0], labels[labels >= 0] == code, options, lines.append)
            radii.append(f"{radius:.4g}")
            pairs.update(pairs_within(own, labels, code, radius))
            sizes.update(Counter(labels.tolist()))
        return neighbours(pairs, sizes, options), ", ".join(dict.fromkeys(radii)), lines

    def table(code: int) -> tuple[pd.DataFrame, list[str]]:
        domain = domains.categories[code]
        found, radius, lines = around(code)
        if not found:
            return _table(names[:0]), [*lines, f"domain {domain} has no neighbouring domain: no markers."]
        labels = ",".join(str(domains.categories[other]) for other in found)
        compared = compare(lognorm, codes == code, np.isin(codes, found), tie_correct=tie_correct)
        own = _filtered(names, compared, filters, labels)
        line = f"domain {domain}: {len(own)} markers against {labels} (radius {radius})."
        return own, [*lines, line]

    tables = {}
    with ThreadPoolExecutor(threads) as pool:
        for code, (own, lines) in zip(occurring, pool.map(table, occurring), strict=True):
            tables[str(domains.categories[code])] = own
            for line in lines:
                log(line)
    return tables


def _filtered(names: NDArray[np.object_], found: Comparison, filters: Filters, labels: str) -> pd.DataFrame:
    log_q = adjusted(found.log_p)
    fc = np.exp(found.mean_in - found.mean_out)
    ratio = np.divide(
        found.pct_in, found.pct_out, out=np.full_like(found.pct_in, np.inf), where=found.pct_out > 0
    )
    passed = (
        (log_q < np.log(filters.max_q))
        & (found.pct_in >= filters.min_in_group_fraction)
        & (ratio >= filters.min_in_out_group_ratio)
        & (fc >= filters.min_fold_change)
    )
    kept = np.flatnonzero(passed)
    kept = kept[np.argsort(-fc[kept], kind="stable")]
    columns = {
        "pct.in": found.pct_in,
        "pct.out": found.pct_out,
        "ratio": ratio,
        "mean.in": found.mean_in,
        "mean.out": found.mean_out,
        "fc": fc,
        "p": np.exp(found.log_p),
        "q": np.exp(log_q),
        "log10.q": -log_q / LN10 + 0.0,
    }
    return _table(names[kept], {name: values[kept] for name, values in columns.items()}, labels)


def _table(
    genes: NDArray[np.object_], columns: dict[str, Array] | None = None, labels: str = ""
) -> pd.DataFrame:
    numbers = columns or {name: np.empty(0) for name in COLUMNS[1:-1]}
    around = np.full(len(genes), labels, dtype=object)
    return pd.DataFrame({"gene": genes, **numbers, "neighbours": around}, columns=list(COLUMNS))
