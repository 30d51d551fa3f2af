"""The quality of samples: how many spots and genes, how deep, and how that is distributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spatialrun.listing import describe_metadata, size
from spatialrun.store.runs import Run
from spatialrun.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BINS = 32
MOST_SAMPLES = 200
"""Samples that are looked into; of more, the first."""


@dataclass(frozen=True)
class Quality:
    """One sample in numbers.

    Attributes
    ----------
    sample, about
        Its name, and what the recipe says of it.
    spots, genes
        How many there are; 0 where it was not read.
    counts, genes_by_counts
        Medians per spot; NaN where unknown.
    mt
        Median percentage of mitochondrial counts; NaN where it was not computed.
    histogram
        Heights from 0 to 1 of the distribution of total counts, on a logarithmic axis.
    lowest, highest
        Total counts at its ends.
    """

    sample: str
    about: str
    spots: int
    genes: int
    counts: float
    genes_by_counts: float
    mt: float
    histogram: tuple[float, ...]
    lowest: float
    highest: float


def qualities_of(store: Store, run: Run) -> tuple[Quality, ...]:
    """Return the quality of every sample, up to 200 of them, in the recipe's order."""
    return tuple(_quality(store, run, sample) for sample in list(run.samples)[:MOST_SAMPLES])


def _quality(store: Store, run: Run, sample: str) -> Quality:
    import numpy as np

    slots = run.slots(sample)
    spots, genes = size(slots) or (0, 0)

    def column(name: str) -> NDArray[np.float64]:
        ref = slots.get(f"obs/{name}")
        values = np.empty(0) if ref is None else np.asarray(store.element(ref).read(), np.float64)
        return values[np.isfinite(values)]

    counts = column("total_counts")
    heights, edges = _histogram(counts)
    return Quality(
        sample,
        describe_metadata(run, sample),
        spots,
        genes,
        _median(counts),
        _median(column("n_genes_by_counts")),
        _median(column("pct_counts_mt")),
        heights,
        *edges,
    )


def _median(values: NDArray[np.float64]) -> float:
    import numpy as np

    return float(np.median(values)) if len(values) else float("nan")


def _histogram(counts: NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, float]]:
    import numpy as np

    positive = counts[counts > 0]
    if not len(positive):
        return (), (0.0, 0.0)
    heights, edges = np.histogram(np.log10(positive), bins=BINS)
    return tuple((heights / heights.max()).tolist()), (float(10 ** edges[0]), float(10 ** edges[-1]))
