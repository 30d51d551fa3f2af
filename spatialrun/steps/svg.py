"""Spatially variable genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from spatialrun.steps.blocks import FEWEST_GENES, blocks_of, genes_per_block, held_memory
from spatialrun.steps.contract import (
    Block,
    Context,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Shape,
    Site,
    StreamingStep,
    parameter,
)
from spatialrun.steps.on_anndata import functions_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from spatialrun.methods.spatialde import Kernel

COLUMNS = ("pval", "log10p", "padj", "rank", "svg", "lengthscale", "kernel", "tested", "m", "alpha")
KERNELS_COMPILED = 180_000_000
"""Memory of the compiler and what it made."""
TOGETHER = 2_000_000
"""Counts that are added up at once."""
LARGEST_WHOLE = {"default": 512, "reference": 5_000}
"""Spots up to which the method holds kernel matrices whole, for each statistic."""
BYTES_A_SPOT = 1_400
"""Of the set-up of larger samples."""


class KernelSpace(Parameters):
    """The kernels to test, by family."""

    SE: tuple[float, ...] = parameter(
        (), "Lengthscales of squared exponential kernels.", unit="as coordinates"
    )
    PER: tuple[float, ...] = parameter((), "Periods of periodic kernels.", unit="as coordinates")
    linear: bool = parameter(False, "Whether to test a linear trend.")

    @model_validator(mode="after")
    def _positive(self) -> KernelSpace:
        if not (self.SE or self.PER or self.linear):
            raise ValueError("give at least one kernel: {SE: [200, 400]}")
        if any(lengthscale <= 0 for lengthscale in (*self.SE, *self.PER)):
            raise ValueError("lengthscales are greater than 0")
        return self


class SvgSpatialdeParams(Parameters):
    layer: str = parameter("counts", "Layer to test: raw counts for negative_binomial.")
    spatial_key: str = parameter("spatial", "Array of obsm with the spots' places.")
    kernel_space: KernelSpace | None = parameter(
        None, "Kernels to test; null for 5 SE and 5 PER from twice the smallest to the largest distance."
    )
    sizefactors: str | None = parameter(None, "Column of obs with size factors; null for the layer's totals.")
    obs_dist: Literal["negative_binomial", "normal"] = parameter(
        "negative_binomial", "Distribution of the values: counts, or a continuous layer."
    )
    statistic: Literal["default", "reference"] = parameter(
        "default", "The calibrated test, or what the published code computes."
    )
    min_counts: int = parameter(10, "Genes with fewer counts are not tested.", unit="counts", ge=0)
    n_svg: int | None = parameter(
        500, "At most how many genes to mark; null for all under the fdr.", unit="genes", late=True, ge=1
    )
    fdr: float = parameter(0.05, "False discovery rate of the genes that are marked.", late=True, gt=0, le=1)
    key_added: str = parameter(
        "spatialde", "Beginning of the columns' names, and the table's.", output_name=True
    )


class SvgSpatialde(StreamingStep):
    """Test every gene for a pattern in space (SpatialDE's score test), and mark the most variable ones.

    ``svg`` marks up to ``n_svg`` genes with ``padj`` at most ``fdr``. ``log10p`` tells genes apart that
    ``pval`` cannot hold. Genes that are not ``tested`` have no values. The table has a row for every tested
    gene and kernel.
    """

    name = "svg.spatialde"
    version = 7
    Params = SvgSpatialdeParams
    cite = "Kats, Vento-Tormo & Stegle 2021, doi 10.1101/2021.10.27.466045"
    READS = {"counts": "layers/{layer}", "spatial": "obsm/{spatial_key}", "genes": "axes/var"}
    WRITES = {name: f"var/{{key_added}}.{name}" for name in COLUMNS} | {"kernels": "uns/{key_added}"}

    def reads(self, params: SvgSpatialdeParams, site: Site) -> Sequence[Read]:
        reads = super().reads(params, site)
        if params.sizefactors is None:
            return reads
        return [*reads, Read("sizefactors", f"obs/{params.sizefactors}")]

    def memory(self, shape: Shape, params: SvgSpatialdeParams) -> int:
        """Kernels in the making, or the features of all and one block; every gene's results.

        A few columns and grids, or two whole kernel matrices at once.
        """
        if shape.n_obs <= LARGEST_WHOLE[params.statistic]:
            making = 2 * 3 * 8 * shape.n_obs**2
            features = 8 * shape.n_obs * min(shape.n_obs, 1000)
        else:
            making, features = BYTES_A_SPOT * shape.n_obs, 512 * shape.n_obs
        most = max(making, features + self.block_memory(shape, params))
        return KERNELS_COMPILED + most + held_memory(shape.nnz) + 1200 * shape.n_vars

    def block_memory(self, shape: Shape, params: SvgSpatialdeParams) -> int:
        """A block's share of the counts, and half as much as abundant genes come together, and its results."""
        share = min(1.0, 1.5 * genes_per_block(shape.n_obs) / max(1, shape.n_vars))
        return 50_000_000 + int(60 * share * shape.nnz) + 4000 * genes_per_block(shape.n_obs)

    def setup(self, inputs: Inputs, params: SvgSpatialdeParams, context: Context) -> Outputs:
        from spatialrun.methods import spatialde

        places = inputs["spatial"].read()
        kernels = _kernels(params.kernel_space) or spatialde.default_kernels(places)
        if params.obs_dist == "normal":
            sizes = None
        elif "sizefactors" in inputs:
            sizes = inputs["sizefactors"].read()
        else:
            sizes = _totals(inputs, context.threads)
        prepared = spatialde.setup(
            places,
            sizes,
            kernels,
            obs_dist=params.obs_dist,
            statistic=params.statistic,
            threads=context.threads,
        )
        for line in _regimes(prepared):
            context.log(line)
        return prepared

    def blocks(self, setup: Inputs, inputs: Inputs, params: SvgSpatialdeParams) -> Sequence[Block]:
        return blocks_of(inputs["counts"])

    def load(self, setup: Inputs, params: SvgSpatialdeParams) -> dict[str, np.ndarray]:
        return {name: setup[name].read() for name in setup}

    def block(
        self, shared: Mapping[str, np.ndarray], inputs: Inputs, params: SvgSpatialdeParams, block: Block
    ) -> Mapping[str, np.ndarray]:
        from spatialrun.methods import spatialde

        columns = inputs["counts"].columns(block.start, block.stop)
        return spatialde.score_block(
            shared, columns.indptr, columns.indices, columns.data, min_counts=params.min_counts
        )

    def combine(self, setup: Inputs, inputs: Inputs, params: SvgSpatialdeParams, context: Context) -> Outputs:
        import pandas as pd

        from spatialrun.methods import spatialde

        scores = {
            name: setup[f"blocks/{name}"].read() for name in ("log10p", "total", "tested", "m", "alpha")
        }
        found = spatialde.combine(
            scores["log10p"],
            scores["total"],
            scores["tested"],
            setup["kernel_kind"].read(),
            setup["kernel_lengthscale"].read(),
            n_svg=params.n_svg,
            fdr=params.fdr,
            truncated=params.statistic == "default",
        )
        kernel = pd.Categorical(found["kernel"])
        columns = found | {name: scores[name] for name in ("tested", "m", "alpha")}
        columns["kernel"] = kernel.remove_categories([name for name in kernel.categories if name == ""])
        significant = int((found["padj"] <= params.fdr).sum())
        context.log(
            f"tested {scores['tested'].sum()} of {len(scores['tested'])} genes; "
            f"{significant} significant at fdr {params.fdr:g}, {found['svg'].sum()} marked"
        )
        context.measure(n_tested=scores["tested"].sum(), n_significant=significant)
        if not scores["tested"].any():
            context.warn(f"no gene has the {params.min_counts} counts that a test needs")
        return {name: columns[name] for name in COLUMNS} | {"kernels": _table(setup, inputs["genes"].read())}


def _kernels(space: KernelSpace | None) -> list[Kernel]:
    """The kernels that the recipe asks for; none where it leaves the choice open."""
    from spatialrun.methods.spatialde import Kernel

    if space is None:
        return []
    kernels = [Kernel("SE", lengthscale) for lengthscale in space.SE]
    kernels += [Kernel("PER", lengthscale) for lengthscale in space.PER]
    return [*kernels, Kernel("linear")] if space.linear else kernels


def _regimes(setup: Mapping[str, np.ndarray]) -> list[str]:
    """How the kernels of a sample of many spots are handled, and how exactly."""
    if "regime" not in setup:
        return []
    names = ("kernel_kind", "kernel_lengthscale", "regime", "kernel_error")
    lines = []
    for kind, lengthscale, regime, error in zip(*(setup[name] for name in names), strict=True):
        if regime != "exact":
            lines.append(
                f"{kind} {lengthscale:.4g}: {regime}, error {error:.0e} of the kernel's largest value"
            )
    return lines


def _totals(inputs: Inputs, threads: int) -> np.ndarray:
    """Total counts of every spot, from one range of genes after another: a large matrix is never whole in memory.

    Whole numbers add up exactly, in any order; others are added in the order of the ranges.
    """
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    (n_spots, n_genes), nnz = inputs["counts"].meta["shape"], inputs["counts"].meta["nnz"]
    step = max(FEWEST_GENES, n_genes * TOGETHER // max(1, nnz))

    def of(block: Block) -> np.ndarray:
        columns = inputs["counts"].columns(block.start, block.stop)
        return np.bincount(columns.indices, weights=columns.data, minlength=n_spots)

    totals = np.zeros(n_spots)
    blocks = [Block(start, min(start + step, n_genes)) for start in range(0, n_genes, step)]
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(blocks), threads):
            for part in pool.map(of, blocks[start : start + threads]):
                totals += part
    return totals


def _table(setup: Inputs, genes: Any) -> pd.DataFrame:
    """One row for every tested gene and kernel: what the test saw."""
    import numpy as np
    import pandas as pd

    tested = np.flatnonzero(setup["blocks/tested"].read())
    kinds, lengthscales = setup["kernel_kind"].read(), setup["kernel_lengthscale"].read()
    names, codes = np.unique(kinds, return_inverse=True)
    statistics = {name: setup[f"blocks/{name}"].read()[tested].ravel() for name in ("Q", "e", "I", "log10p")}
    return pd.DataFrame(
        {
            "gene": pd.Categorical.from_codes(np.repeat(np.arange(len(tested)), len(kinds)), genes[tested]),
            "kernel": pd.Categorical.from_codes(np.tile(codes, len(tested)), pd.Index(names.astype(object))),
            "lengthscale": np.tile(lengthscales, len(tested)),
            **statistics,
        }
    )


__getattr__ = functions_of(__name__)
