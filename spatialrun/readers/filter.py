"""Leaving out spots and genes of a sample."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from spatialrun.errors import DataError, UsageError
from spatialrun.readers.sample import Sample, with_totals
from spatialrun.values import ColumnStream


def filter_sample(
    sample: Sample,
    *,
    in_tissue: bool = True,
    min_counts: int = 0,
    min_genes: int = 0,
    min_spots: int = 0,
    genes: str | None = None,
    exclude_genes: str | None = None,
) -> Sample:
    """Keep the spots and genes that pass, in their order; recompute the totals of the spots.

    Spots are judged first, over all genes of the sample; genes after that, over the spots that are kept.

    Parameters
    ----------
    sample
        N spots, G genes. Counts that are a stream come back as one: its entries are sorted out whenever they are
        asked for.
    in_tissue
        Keep only spots whose ``obs["in_tissue"]`` is true; no effect where there is no such column.
    min_counts, min_genes
        Least counts of a spot, and least genes with a count.
    min_spots
        In how many kept spots a gene must have a count.
    genes, exclude_genes
        Regular expressions, searched for in the symbols: genes to keep, genes to leave out (``^MT-``).

    Raises
    ------
    DataError
        ``data.empty`` when no spot or no gene is left: says which filter removed how many.
    UsageError
        ``usage`` for a pattern that is not a regular expression.
    """
    n_spots, n_genes = sample.shape
    obs, symbols = sample.obs, sample.var_names
    steps: list[tuple[str, np.ndarray]] = []
    if in_tissue and "in_tissue" in obs:
        steps.append(("in_tissue", obs["in_tissue"].to_numpy(bool)))
    if min_counts:
        steps.append((f"min_counts {min_counts}", obs["total_counts"].to_numpy() >= min_counts))
    if min_genes:
        steps.append((f"min_genes {min_genes}", obs["n_genes_by_counts"].to_numpy() >= min_genes))
    spots_kept = _all_of(steps, n_spots, "spot")

    steps = []
    if genes is not None:
        steps.append((f"genes {genes!r}", _matches(genes, symbols)))
    if exclude_genes is not None:
        steps.append((f"exclude_genes {exclude_genes!r}", ~_matches(exclude_genes, symbols)))
    whole = sample.counts if isinstance(sample.counts, ColumnStream) else ColumnStream.of(sample.counts)
    per_gene = np.diff(whole.indptr) if spots_kept.all() else _entries_left(whole, spots_kept)
    if min_spots:
        steps.append((f"min_spots {min_spots}", per_gene >= min_spots))
    genes_kept = _all_of(steps, n_genes, "gene")

    if spots_kept.all() and genes_kept.all():
        return sample
    counts = _part(whole, spots_kept, np.flatnonzero(genes_kept), per_gene)
    return replace(
        sample,
        counts=counts if isinstance(sample.counts, ColumnStream) else counts.tocsc(),
        obs=with_totals(obs[spots_kept], counts),
        var=sample.var[genes_kept],
        spatial=sample.spatial[spots_kept],
        obsm={name: values[spots_kept] for name, values in sample.obsm.items()},
    )


def _entries_left(counts: ColumnStream, spots: np.ndarray) -> np.ndarray:
    """(G,): entries of each gene in the spots that are kept."""
    left = np.zeros(counts.shape[1], dtype=np.int64)
    for start, stop in counts.stretches():
        kept = spots[counts.entries(start, stop)[1]]
        ends = np.concatenate([[0], np.cumsum(kept)])
        left[start:stop] = np.diff(ends[counts.indptr[start : stop + 1] - counts.indptr[start]])
    return left


def _part(counts: ColumnStream, spots: np.ndarray, genes: np.ndarray, per_gene: np.ndarray) -> ColumnStream:
    """The kept spots (a mask) and genes (places, ascending) of a matrix."""
    row_of = np.cumsum(spots) - 1
    all_spots = bool(spots.all())

    def entries(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        parts = [(np.empty(0, counts.dtype), np.empty(0, counts.index_dtype))]
        # What lies between genes far apart is passed over a stretch at a time.
        for first, last in counts.stretches(start=int(genes[start]), stop=int(genes[stop - 1]) + 1):
            wanted = np.zeros(last - first, dtype=bool)
            here = genes[start:stop]
            wanted[here[(here >= first) & (here < last)] - first] = True
            if not wanted.any():
                continue
            data, rows = counts.entries(first, last)
            kept = np.repeat(wanted, np.diff(counts.indptr[first : last + 1]))
            if not all_spots:
                kept &= spots[rows]
            parts.append((data[kept], row_of[rows[kept]].astype(rows.dtype)))
        data, rows = map(np.concatenate, zip(*parts, strict=True))
        return data, rows

    indptr = np.concatenate([[0], np.cumsum(per_gene[genes])])
    return ColumnStream((int(spots.sum()), len(genes)), counts.dtype, indptr, entries)


def _all_of(steps: list[tuple[str, np.ndarray]], n: int, noun: str) -> np.ndarray:
    """Where every filter passes; an error that accounts for all ``n`` when that is nowhere."""
    kept = np.ones(n, dtype=bool)
    account = []
    for name, passed in steps:
        account.append(f"{name} removed {int((kept & ~passed).sum())}")
        kept &= passed
    if not kept.any():
        raise DataError(
            "data.empty",
            f"no {noun} is left of {n}: {', '.join(account) or 'the sample has none'}",
            hint="Loosen the filter that removed most.",
        )
    return kept


def _matches(pattern: str, symbols: object) -> np.ndarray:
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise UsageError("usage", f"{pattern!r} is not a regular expression: {error}") from error
    return np.array([search(name) is not None for name in symbols], dtype=bool)  # type: ignore[attr-defined]
