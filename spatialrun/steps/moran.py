"""Moran's I of every gene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from spatialrun.steps.blocks import blocks_of, genes_per_block, held_memory
from spatialrun.steps.contract import (
    Block,
    Context,
    Inputs,
    Outputs,
    Parameters,
    Shape,
    StreamingStep,
    parameter,
)

if TYPE_CHECKING:
    import numpy as np

COLUMNS = ("I", "z", "pval", "padj", "rank", "svg", "tested")
COMPILED = 60_000_000
"""Memory of the compiler and what it made."""


class SvgMoranParams(Parameters):
    layer: str = parameter("lognorm", "Layer to look at.")
    spatial_key: str = parameter("spatial", "Array of obsm with the spots' places.")
    neighbors: Literal["auto", "lattice", "nearest"] = parameter(
        "auto", "The next spots of a lattice, or the nearest; auto for the lattice where there is one."
    )
    n_neighbors: int = parameter(6, "How many nearest spots, where not by the lattice.", unit="spots", ge=1)
    row_normalized: bool = parameter(
        True, "Whether the weights of a spot's neighbours sum to 1; else each is 1."
    )
    assumption: Literal["randomization", "normality"] = parameter(
        "randomization", "Null distribution: values in any order over the spots, or normal ones.", late=True
    )
    alternative: Literal["greater", "two-sided"] = parameter(
        "greater", "Neighbours are alike; or alike or unlike.", late=True
    )
    min_spots: int = parameter(10, "Genes seen in fewer spots are not tested.", unit="spots", late=True, ge=0)
    n_svg: int | None = parameter(
        500, "At most how many genes to mark; null for all under the fdr.", unit="genes", late=True, ge=1
    )
    fdr: float = parameter(0.05, "False discovery rate of the genes that are marked.", late=True, gt=0, le=1)
    key_added: str = parameter("moran", "Beginning of the columns' names.", output_name=True)


class SvgMoran(StreamingStep):
    """Rank genes by how alike neighbouring spots are (Moran's I), the cheap companion of the score test.

    ``svg`` marks up to ``n_svg`` genes with ``padj`` at most ``fdr``; p is analytic. Genes that are not
    ``tested`` (seen in fewer than ``min_spots`` spots, or the same everywhere) have no values but ``I``.
    """

    name = "svg.moran"
    Params = SvgMoranParams
    cite = "Moran 1950, doi 10.1093/biomet/37.1-2.17; Cliff & Ord 1981, Spatial Processes (Pion, London)"
    READS = {"values": "layers/{layer}", "spatial": "obsm/{spatial_key}"}
    WRITES = {name: f"var/{{key_added}}.{name}" for name in COLUMNS}

    def memory(self, shape: Shape, params: SvgMoranParams) -> int:
        """Pairs of neighbours in the making, or one block; every gene's results."""
        pairs = 250 * shape.n_obs + 80 * params.n_neighbors * shape.n_obs
        most = max(pairs, self.block_memory(shape, params))
        return COMPILED + most + held_memory(shape.nnz) + 200 * shape.n_vars

    def block_memory(self, shape: Shape, params: SvgMoranParams) -> int:
        """A block's share of the values, and half as much as abundant genes come together."""
        share = min(1.0, 1.5 * genes_per_block(shape.n_obs) / max(1, shape.n_vars))
        return 20_000_000 + int(36 * share * shape.nnz) + 80 * shape.n_obs

    def setup(self, inputs: Inputs, params: SvgMoranParams, context: Context) -> Outputs:
        from spatialrun.methods import moran

        weights = moran.neighbor_weights(
            inputs["spatial"].read(),
            params.neighbors,
            n_neighbors=params.n_neighbors,
            row_normalized=params.row_normalized,
        )
        alone = int((weights["reach"] == 0).sum())
        pairs = len(weights["weight"])
        context.log(
            f"{weights['kind'][0]}: {pairs:,} pairs of neighbours, {2 * pairs / len(weights['reach']):.3g} a spot"
            + (f"; {alone:,} spots have none" if alone else "")
        )
        return weights

    def blocks(self, setup: Inputs, inputs: Inputs, params: SvgMoranParams) -> Sequence[Block]:
        return blocks_of(inputs["values"])

    def load(self, setup: Inputs, params: SvgMoranParams) -> dict[str, np.ndarray]:
        return {name: setup[name].read() for name in setup}

    def block(
        self, shared: Mapping[str, np.ndarray], inputs: Inputs, params: SvgMoranParams, block: Block
    ) -> Mapping[str, np.ndarray]:
        from spatialrun.methods import moran

        columns = inputs["values"].columns(block.start, block.stop)
        return moran.moments(shared, columns.indptr, columns.indices, columns.data)

    def combine(self, setup: Inputs, inputs: Inputs, params: SvgMoranParams, context: Context) -> Outputs:
        import numpy as np

        from spatialrun.methods import moran

        statistic, kurtosis, seen = (setup[f"blocks/{name}"].read() for name in ("I", "kurtosis", "n_spots"))
        found = moran.significance(
            statistic,
            kurtosis,
            setup["sums"].read(),
            inputs["values"].meta["shape"][0],
            seen >= params.min_spots,
            assumption=params.assumption,
            alternative=params.alternative,
        )
        tested = np.isfinite(found["rank"])
        most = np.inf if params.n_svg is None else params.n_svg
        marked = (found["padj"] <= params.fdr) & (found["rank"] <= most)
        significant = int((found["padj"] <= params.fdr).sum())
        context.log(
            f"tested {tested.sum()} of {len(tested)} genes; "
            f"{significant} significant at fdr {params.fdr:g}, {marked.sum()} marked"
        )
        context.measure(n_tested=int(tested.sum()), n_significant=significant)
        if not tested.any():
            context.warn(f"no gene is seen in the {params.min_spots} spots that a test needs")
        return {"I": statistic, **found, "svg": marked, "tested": tested}
