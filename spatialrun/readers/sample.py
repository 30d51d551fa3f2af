"""A sample in memory: what every reader returns, and the Space Ranger writer takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialrun.values import ColumnStream

if TYPE_CHECKING:
    import pandas as pd

Warn = Callable[[str], None]
"""Takes one line of text: what a reader found odd but could live with."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One tissue section: N spots, G genes.

    Attributes
    ----------
    counts
        ``scipy.sparse.csc_matrix``, (N, G) int32: sorted indices, no stored zeros, no duplicates. Of samples that
        are not to be whole in memory, the same as a `ColumnStream`.
    obs
        One row per spot, indexed by barcode. Always holds ``total_counts`` (int64) and ``n_genes_by_counts``
        (int32); from Space Ranger also ``in_tissue`` (bool), ``array_row`` and ``array_col`` (int32).
    var
        One row per gene, indexed by symbol (unique). From Space Ranger: ``gene_ids``, ``feature_types`` and,
        from h5, ``genome``.
    spatial
        (N, 2) float64: x, y of the spots' centres in pixels of the full-resolution image (in h5ad files and
        tables: in whatever unit the file has).
    scalefactors
        As in ``scalefactors_json.json``: ``tissue_hires_scalef``, ``spot_diameter_fullres`` ...
    images
        Name (``hires``, ``lowres``) -> (c, y, x) uint8, RGB.
    obsm
        Other arrays over the spots, (N, k) each; only h5ad files have them.
    metadata
        What the file says of its origin: ``software_version``, ``chemistry_description``.
    """

    counts: Any
    obs: pd.DataFrame
    var: pd.DataFrame
    spatial: np.ndarray
    scalefactors: Mapping[str, float] = field(default_factory=dict)
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    obsm: Mapping[str, np.ndarray] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_spots, n_genes = self.counts.shape
        lengths = {"obs": (len(self.obs), n_spots), "var": (len(self.var), n_genes)}
        lengths["spatial"] = (len(self.spatial), n_spots)
        lengths |= {f"obsm[{key!r}]": (len(value), n_spots) for key, value in self.obsm.items()}
        for name, (found, expected) in lengths.items():
            if found != expected:
                raise ValueError(f"{name} has {found} rows where counts asks for {expected}")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of spots, number of genes."""
        return self.counts.shape[0], self.counts.shape[1]

    @property
    def obs_names(self) -> pd.Index[str]:
        """Barcodes of the spots."""
        return self.obs.index

    @property
    def var_names(self) -> pd.Index[str]:
        """Symbols of the genes, made unique."""
        return self.var.index


def with_totals(obs: pd.DataFrame, counts: Any) -> pd.DataFrame:
    """``obs`` with ``total_counts`` and ``n_genes_by_counts`` of ``counts`` (N, G), CSC or a stream."""
    stream = counts if isinstance(counts, ColumnStream) else ColumnStream.of(counts)
    totals = np.zeros(stream.shape[0], dtype=np.int64)
    breadths = np.zeros(stream.shape[0], dtype=np.int32)
    for start, stop in stream.stretches():
        data, spots = stream.entries(start, stop)
        # Sums of whole numbers are exact in float64.
        totals += np.bincount(spots, data, stream.shape[0]).astype(np.int64)
        breadths += np.bincount(spots, minlength=stream.shape[0]).astype(np.int32)
    return obs.assign(total_counts=totals, n_genes_by_counts=breadths)


def make_unique(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names told apart by ``-1``, ``-2`` ... as AnnData does it, and those that occurred more than once.

    The first of several keeps its name; a number that another name already carries is skipped.
    """
    original = list(names)
    taken = set(original)
    seen: dict[str, int] = {}
    unique = []
    for name in original:
        if name not in seen:
            seen[name] = 0
            unique.append(name)
            continue
        while (candidate := f"{name}-{seen[name] + 1}") in taken:
            seen[name] += 1
        seen[name] += 1
        taken.add(candidate)
        unique.append(candidate)
    return unique, [name for name, extra in seen.items() if extra]


def some(names: Iterable[object], limit: int = 3) -> str:
    """The first few of ``names`` for a message: ``a, b, c, ... (12 in all)``."""
    listed = [str(name) for name in names]
    text = ", ".join(listed[:limit])
    return text if len(listed) <= limit else f"{text}, ... ({len(listed)} in all)"
