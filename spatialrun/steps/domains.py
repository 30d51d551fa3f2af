"""Spatial domains of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from spatialrun.errors import DataError, Where
from spatialrun.slots import name_of
from spatialrun.steps.contract import (
    Context,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Shape,
    Site,
    Step,
    parameter,
)
from spatialrun.steps.on_anndata import functions_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from spatialrun.methods.partition import Labels

LIBRARIES = 60_000_000
"""Memory of scanpy and scikit-learn once they are imported."""
DENSE_BLOCKS = 60_000_000
"""Blocks of spots that principal components are computed in, and their products."""


def _one_image(channels: tuple[str, ...]) -> tuple[str, ...]:
    parts = [channel.partition("/") for channel in channels]
    if not parts or len({image for image, _, _ in parts}) != 1 or not all(name for _, _, name in parts):
        raise ValueError("`channels` are channels of one image: [hires/r, hires/g, hires/b]")
    return channels


Channels = Annotated[tuple[str, ...], AfterValidator(_one_image)]


class MultispatiParams(Parameters):
    """What ``domains.multispati`` and ``integrate.multispati`` share."""

    layer: str = parameter("counts", "Layer of raw counts.")
    spatial_key: str = parameter("spatial", "Array of obsm with the spots' places.")
    n_clusters: int = parameter(7, "How many domains; exactly as many are found.", unit="domains", ge=2)
    n_genes: int = parameter(3000, "Highly variable genes (vst) that are used.", unit="genes", ge=2)
    n_pcs: int = parameter(100, "Principal components of the z-scores.", unit="components", ge=1)
    n_components: int = parameter(
        20, "Components with a spatial pattern that are clustered.", unit="components", ge=1
    )
    embedding: Literal["multispati", "smoothed", "reduced_rank"] = parameter(
        "multispati",
        "Components that neighbours share, smoothed principal components, or the best prediction of the "
        "components from their smoothed selves.",
    )
    k: int = parameter(6, "Neighbours of a spot: 6 on a hexagonal array, 4 or 8 on a square one.", ge=1)
    starts: int = parameter(100, "Starts of the mixture, of which the most likely is kept.", ge=1)
    refine_shape: Literal["hexagon", "square", "none"] = parameter(
        "hexagon", "The array, whose 6 or 4 nearest spots vote on each spot; none refines nothing."
    )
    seed: int = parameter(0, "Seed of the mixture's starts.", ge=0)

    @model_validator(mode="after")
    def _components(self) -> MultispatiParams:
        if self.n_components > self.n_pcs:
            raise ValueError(f"n_components {self.n_components} are made of only n_pcs {self.n_pcs}")
        return self

    def memory(self, shape: Shape) -> int:
        """Counts and the chosen genes' z-scores (8 bytes a nonzero, a few times), and the components."""
        components = 8 * shape.n_obs * (4 * self.n_pcs + 3 * self.n_components + 4 * self.n_clusters)
        return LIBRARIES + DENSE_BLOCKS + 20 * shape.nnz + 200 * shape.n_vars + components


class DomainsMultispatiParams(MultispatiParams):
    genes: str | None = parameter(
        None, "Column of var that marks the genes to use: vst.hvg; null for the first n_genes by vst."
    )
    key_added: str = parameter("multispati.domain", "Column of obs with the domains.", output_name=True)
    refined_key_added: str = parameter(
        "multispati.refined", "Column of obs with the domains after the vote.", output_name=True
    )


class DomainsMultispati(Step):
    """Find domains by components that neighbours share (MULTISPATI) and a Gaussian mixture on them.

    Linear in spots, and as accurate on cortex as methods of many times its cost. Domains are numbered by size,
    0 the largest; there are exactly ``n_clusters``, refined ones too.
    """

    name = "domains.multispati"
    determinism = "seeded"
    distributions = ("scanpy", "scikit-learn", "scikit-misc")
    Params = DomainsMultispatiParams
    cite = "Dray, Saïd & Débias 2008, doi 10.1111/j.1654-1103.2008.18440.x"
    READS = {"counts": "layers/{layer}", "spatial": "obsm/{spatial_key}"}
    WRITES = {"domain": "obs/{key_added}", "refined": "obs/{refined_key_added}"}

    def reads(self, params: DomainsMultispatiParams, site: Site) -> Sequence[Read]:
        reads = super().reads(params, site)
        return reads if params.genes is None else [*reads, Read("genes", f"var/{params.genes}")]

    def memory(self, shape: Shape, params: DomainsMultispatiParams) -> int:
        return params.memory(shape)

    def run(self, inputs: Inputs, params: DomainsMultispatiParams, context: Context) -> Outputs:
        from spatialrun.methods import multispati

        found = multispati.domains(
            inputs["counts"].read(),
            inputs["spatial"].read(),
            params.n_clusters,
            seed=params.seed,
            genes=None if params.genes is None else _mask(inputs["genes"].read(), params.genes),
            options=params.into(multispati.Options),
            report=context,
        )
        return {
            "domain": categories(found.domain, params.n_clusters),
            "refined": categories(found.refined, params.n_clusters),
        }


class SpagcnParams(Parameters):
    """What ``domains.spagcn`` and ``integrate.spagcn`` share."""

    layer: str = parameter("lognorm", "Layer of log-normalised expression.")
    spatial_key: str = parameter("spatial", "Array of obsm with the spots' places.")
    n_clusters: int = parameter(
        7, "How many domains; exactly as many are found, unless `search` is reference.", unit="domains", ge=2
    )
    histology: bool = parameter(False, "Whether the tissue's colour counts as a third coordinate.")
    channels: Channels | None = parameter(
        ("hires/r", "hires/g", "hires/b"), "Channels of the image that `histology` looks at."
    )
    beta: float = parameter(
        49.0, "Side of the window whose mean colour is a spot's.", unit="full-resolution pixels", ge=0
    )
    alpha: float = parameter(1.0, "Weight of the colour: how far it spreads, in units of x and y.", ge=0)
    p: float = parameter(
        0.5, "Weight of all other spots together where the spot itself has 1; sets the length l.", gt=0
    )
    num_pcs: int = parameter(50, "Principal components of the layer.", unit="components", ge=1)
    lr: float = parameter(0.05, "Learning rate.", gt=0)
    max_epochs: int = parameter(200, "Most epochs of training.", unit="epochs", ge=1)
    tol: float = parameter(5e-3, "Share of labels that change when training stops.", gt=0, lt=1)
    search: Literal["mixture", "reference"] = parameter(
        "mixture",
        "Start from a mixture of exactly n_clusters; or from Leiden, searching a resolution as the reference "
        "does, which may end at another number.",
    )
    res_start: float = parameter(0.7, "First resolution, where `search` is reference.", gt=0)
    res_step: float = parameter(0.1, "First step between resolutions, where `search` is reference.", gt=0)
    refine_shape: Literal["hexagon", "square", "none"] = parameter(
        "hexagon", "The array, whose 6 or 4 nearest spots vote on each spot; none refines nothing."
    )
    seed: int = parameter(0, "Seed of the starts.", ge=0)

    @model_validator(mode="after")
    def _channels(self) -> SpagcnParams:
        if self.histology and self.channels is None:
            raise ValueError("`histology` needs `channels`: [hires/r, hires/g, hires/b]")
        return self

    def image(self) -> list[Read]:
        """The image that is looked at, as a read; none without histology."""
        if not self.histology or self.channels is None:
            return []
        return [Read("image", f"images/{self.channels[0].partition('/')[0]}")]

    def colour(self, inputs: Inputs) -> np.ndarray | None:
        """The third coordinate of the spots; ``None`` without histology."""
        if not self.histology or self.channels is None:
            return None
        from spatialrun.methods.spagcn import histology_coordinate

        image = inputs["image"].read()
        names = [channel.partition("/")[2] for channel in self.channels]
        there = [str(name) for name in image.coords["c"].to_numpy()]
        if missing := [name for name in names if name not in there]:
            raise DataError(
                "data.image",
                f"the image has no channel {missing[0]!r}",
                where=Where(slot=self.image()[0].slot),
                hint=f"It has: {', '.join(there)}.",
            )
        return histology_coordinate(
            inputs["spatial"].read(),
            image.sel(c=names).to_numpy(),
            float(image.attrs["scalef"]),
            beta=self.beta,
            alpha=self.alpha,
        )

    def memory(self, shape: Shape) -> int:
        """The layer by gene and by spot (8 bytes a nonzero each), and the components, a few times."""
        components = 8 * shape.n_obs * (6 * self.num_pcs + 6 * self.n_clusters)
        image = 300_000_000 if self.histology else 0
        return LIBRARIES + DENSE_BLOCKS + 20 * shape.nnz + 50 * shape.n_vars + components + image


class DomainsSpagcnParams(SpagcnParams):
    key_added: str = parameter("spagcn.domain", "Column of obs with the domains.", output_name=True)
    refined_key_added: str = parameter(
        "spagcn.refined", "Column of obs with the domains after the vote.", output_name=True
    )


class DomainsSpagcn(Step):
    """Find domains by expression aggregated over neighbours and deep embedded clustering (SpaGCN).

    With ``histology`` spots whose tissue looks alike are nearer to each other. Domains are numbered by size,
    0 the largest; there are exactly ``n_clusters``, refined ones too. ``search: reference`` follows the published
    code, whose number of domains may differ: then a warning says what was found.
    """

    name = "domains.spagcn"
    determinism = "seeded"
    distributions = ("igraph", "scanpy", "scikit-learn", "umap-learn")
    Params = DomainsSpagcnParams
    cite = "Hu et al. 2021, doi 10.1038/s41592-021-01255-8"
    READS = {"lognorm": "layers/{layer}", "spatial": "obsm/{spatial_key}"}
    WRITES = {"domain": "obs/{key_added}", "refined": "obs/{refined_key_added}"}

    def reads(self, params: DomainsSpagcnParams, site: Site) -> Sequence[Read]:
        return [*super().reads(params, site), *params.image()]

    def memory(self, shape: Shape, params: DomainsSpagcnParams) -> int:
        return params.memory(shape)

    def run(self, inputs: Inputs, params: DomainsSpagcnParams, context: Context) -> Outputs:
        from spatialrun.methods import spagcn

        found = spagcn.domains(
            inputs["lognorm"].read(),
            inputs["spatial"].read(),
            params.n_clusters,
            seed=params.seed,
            histology=params.colour(inputs),
            options=params.into(spagcn.Options),
            report=context,
        )
        n_found = int(found.domain.max()) + 1
        return {"domain": categories(found.domain, n_found), "refined": categories(found.refined, n_found)}


def categories(labels: Labels, n_domains: int) -> pd.Categorical[str]:
    """Domains as names, 0 to n - 1: every sample of a cohort has the same ones, so that colours agree."""
    import pandas as pd

    return pd.Categorical.from_codes(labels, pd.Index([str(domain) for domain in range(n_domains)]))


def _mask(values: Any, column: str) -> np.ndarray:
    import numpy as np

    mask = np.asarray(values)
    if mask.dtype != bool or not mask.any():
        held = "marks no gene" if mask.dtype == bool else f"holds {mask.dtype}, where true or false is needed"
        raise DataError(
            "data.values", f"the column {column} {held}", where=Where(slot=f"var/{name_of(column) or column}")
        )
    return mask


__getattr__ = functions_of(__name__)
