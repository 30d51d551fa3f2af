"""Spatial domains that samples share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spatialrun.errors import SpatialrunError
from spatialrun.steps.contract import (
    CohortStep,
    Context,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Shape,
    Site,
    parameter,
)
from spatialrun.steps.domains import MultispatiParams, SpagcnParams, categories
from spatialrun.steps.on_anndata import functions_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from spatialrun.methods.partition import Domains


class Names(Parameters):
    key_added: str = parameter("integrated", "Column of obs with the domains.", output_name=True)
    refined_key_added: str = parameter(
        "integrated.refined", "Column of obs with the domains after the vote.", output_name=True
    )


class IntegrateMultispatiParams(MultispatiParams, Names):
    pass


class IntegrateMultispati(CohortStep):
    """Find domains that samples share: ``domains.multispati`` on all their spots together.

    Genes that all samples have are used; neighbours are looked for within each sample. There are exactly
    ``n_clusters`` domains in all, numbered by size over all samples; a sample may lack some.
    """

    name = "integrate.multispati"
    determinism = "seeded"
    distributions = ("scanpy", "scikit-learn", "scikit-misc")
    Params = IntegrateMultispatiParams
    cite = "Dray, Saïd & Débias 2008, doi 10.1111/j.1654-1103.2008.18440.x"
    READS = {"counts": "layers/{layer}", "spatial": "obsm/{spatial_key}", "genes": "axes/var"}
    WRITES = {"domain": "obs/{key_added}", "refined": "obs/{refined_key_added}"}

    def memory(self, shape: Shape, params: IntegrateMultispatiParams) -> int:
        return params.memory(shape)

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: IntegrateMultispatiParams, context: Context
    ) -> Mapping[str, Outputs]:
        from spatialrun.methods import multispati

        found = multispati.integrate(
            [own["counts"].read() for own in inputs.values()],
            [own["spatial"].read() for own in inputs.values()],
            _genes(inputs),
            params.n_clusters,
            seed=params.seed,
            options=params.into(multispati.Options),
            report=context,
        )
        return _outputs(inputs, found)


class IntegrateSpagcnParams(SpagcnParams, Names):
    pass


class IntegrateSpagcn(CohortStep):
    """Find domains that samples share: one SpaGCN model, with a graph and a length l for each sample.

    Genes that all samples have are used. There are exactly ``n_clusters`` domains in all (unless ``search`` is
    reference), numbered by size over all samples; a sample may lack some.
    """

    name = "integrate.spagcn"
    determinism = "seeded"
    distributions = ("igraph", "scanpy", "scikit-learn", "umap-learn")
    Params = IntegrateSpagcnParams
    cite = "Hu et al. 2021, doi 10.1038/s41592-021-01255-8"
    READS = {"lognorm": "layers/{layer}", "spatial": "obsm/{spatial_key}", "genes": "axes/var"}
    WRITES = {"domain": "obs/{key_added}", "refined": "obs/{refined_key_added}"}

    def reads(self, params: IntegrateSpagcnParams, site: Site) -> Sequence[Read]:
        return [*super().reads(params, site), *params.image()]

    def memory(self, shape: Shape, params: IntegrateSpagcnParams) -> int:
        return params.memory(shape)

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: IntegrateSpagcnParams, context: Context
    ) -> Mapping[str, Outputs]:
        from spatialrun.methods import spagcn

        colours = [_colour(sample, own, params) for sample, own in inputs.items()]
        found = spagcn.integrate(
            [own["lognorm"].read() for own in inputs.values()],
            [own["spatial"].read() for own in inputs.values()],
            _genes(inputs),
            params.n_clusters,
            seed=params.seed,
            histology=[colour for colour in colours if colour is not None] or None,
            options=params.into(spagcn.Options),
            report=context,
        )
        return _outputs(inputs, found)


def _colour(sample: str, inputs: Inputs, params: SpagcnParams) -> np.ndarray | None:
    """The third coordinate of one member's spots; what is wrong with its image is said of this member."""
    try:
        return params.colour(inputs)
    except SpatialrunError as error:
        raise error.at(sample=sample) from None


def _genes(inputs: Mapping[str, Inputs]) -> list[pd.Index]:
    import pandas as pd

    return [pd.Index(own["genes"].read()) for own in inputs.values()]


def _outputs(inputs: Mapping[str, Inputs], found: Sequence[Domains]) -> dict[str, Outputs]:
    """Every member's columns; all of them have the categories of the cohort."""
    n_domains = max(int(own.domain.max()) + 1 for own in found)
    return {
        sample: {"domain": categories(own.domain, n_domains), "refined": categories(own.refined, n_domains)}
        for sample, own in zip(inputs, found, strict=True)
    }


__getattr__ = functions_of(__name__)
