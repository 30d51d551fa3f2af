"""What a file will bring, known from its headers: for the planner and for estimates of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

TOTALS = ("total_counts", "n_genes_by_counts")
"""The obs columns that every reader computes."""


class Size(NamedTuple):
    """Size of a counts matrix; ``nnz`` is ``None`` where only reading the whole file would tell."""

    n_spots: int
    n_genes: int
    nnz: int | None


@dataclass(frozen=True)
class Headers:
    """Size of a sample and the names in each of its groups.

    ``n_genes`` and ``nnz`` count every feature of the matrix: those that are not gene expression are left out
    when it is read, so both are upper bounds.
    """

    size: Size
    obs: tuple[str, ...]
    var: tuple[str, ...]
    obsm: tuple[str, ...] = ("spatial",)
    images: tuple[str, ...] = ()

    @property
    def slots(self) -> tuple[str, ...]:
        """Every slot but the axes and ``uns/spatial``: ``layers/counts``, ``obs/...``, ``images/...``."""
        groups = {"obs": self.obs, "var": self.var, "obsm": self.obsm, "images": self.images}
        return (
            "layers/counts",
            *(f"{group}/{name}" for group, names in groups.items() for name in names),
        )
