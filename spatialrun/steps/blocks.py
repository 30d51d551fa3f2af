"""Blocks of genes that streaming steps work through: their boundaries depend on shapes only."""

from __future__ import annotations

from spatialrun.steps.contract import Block, Element
from spatialrun.values import is_small

FEWEST_GENES, MOST_GENES = 512, 2048
CELLS_PER_BLOCK = 1 << 25
"""Spots times genes of a block, between those bounds: large samples have blocks of fewer genes."""


def blocks_of(matrix: Element) -> list[Block]:
    """Return the blocks of a matrix of spots by genes."""
    n_spots, n_genes = matrix.meta["shape"]
    step = genes_per_block(n_spots)
    return [Block(start, min(start + step, n_genes)) for start in range(0, n_genes, step)]


def held_memory(nnz: int) -> int:
    """Return how much of a matrix of so many entries stays in memory while all its blocks are worked through."""
    return 12 * nnz if is_small(nnz) else 0


def genes_per_block(n_spots: int) -> int:
    """Return how many genes a block has."""
    return min(MOST_GENES, max(FEWEST_GENES, CELLS_PER_BLOCK // max(1, n_spots)))
