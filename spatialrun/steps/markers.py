"""Genes, and combinations of genes, that tell a domain apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import field_validator, model_validator

from spatialrun.errors import DataError, SpatialrunError, Where
from spatialrun.slots import COHORT
from spatialrun.steps.contract import (
    CohortStep,
    Context,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Shape,
    Site,
    Step,
    Write,
    parameter,
)
from spatialrun.steps.labels import as_labels
from spatialrun.steps.on_anndata import functions_of

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_matrix

    from spatialrun.methods import spagcn

LIBRARIES = 200_000_000
"""Memory of the compiler and what it made."""


class MarkersParams(Parameters):
    """What ``markers.spagcn`` and ``markers.cohort`` share."""

    groupby: str = parameter("spagcn.refined", "Column of obs with the domains.")
    layer: str = parameter("lognorm", "Layer of log-normalised expression.")
    spatial_key: str = parameter("spatial", "Array of obsm with the spots' places.")
    min_in_group_fraction: float = parameter(
        0.8, "Smallest share of the domain's spots that have the gene.", ge=0, le=1
    )
    min_in_out_group_ratio: float = parameter(
        1.0, "Smallest ratio of that share to the one among the neighbours.", ge=0
    )
    min_fold_change: float = parameter(1.5, "Smallest exp(mean inside - mean outside).", ge=0)
    max_q: float = parameter(0.05, "Largest false discovery rate (Benjamini-Hochberg).", gt=0, le=1)
    num_neighbours: int = parameter(3, "Most domains that count as neighbours of one.", unit="domains", ge=1)
    ratio: float = parameter(
        0.5, "A neighbour's spots within the radius of the domain's, over its size, to be one.", ge=0
    )
    radius_quantiles: tuple[float, float] = parameter(
        (0.001, 0.1), "Quantiles of the distances between spots: where the radius is looked for first."
    )
    num_min: float = parameter(
        10.0, "Spots around a spot of the domain, on average and with itself: the radius holds so many.",
        unit="spots", gt=0,
    )  # fmt: skip
    num_max: float = parameter(14.0, "And at most so many.", unit="spots", gt=0)
    max_run: int = parameter(100, "Most trials of a radius.", ge=1)
    tie_correct: bool = parameter(False, "Correct Wilcoxon's test for ties, which are many in sparse genes.")
    key_added: str = parameter("spagcn.markers", "Name of the table in uns.", output_name=True)

    @model_validator(mode="after")
    def _ranges(self) -> MarkersParams:
        if not 0 <= self.radius_quantiles[0] < self.radius_quantiles[1] <= 1:
            raise ValueError("`radius_quantiles` are two shares, the lower one first: [0.001, 0.1]")
        if self.num_min > self.num_max:
            raise ValueError(f"`num_min` {self.num_min:g} is above `num_max` {self.num_max:g}")
        return self


class MarkersSpagcn(Step):
    """Find the genes that tell each domain from the domains around it (Wilcoxon's test, as SpaGCN selects).

    One table: a row for every marker of every domain, each domain's sorted by fold change; ``q`` counts all
    genes. A domain without neighbours, or without markers, has no rows, and a line in the log.
    """

    name = "markers.spagcn"
    Params = MarkersParams
    cite = "Hu et al. 2021, doi 10.1038/s41592-021-01255-8"
    READS = {
        "lognorm": "layers/{layer}",
        "spatial": "obsm/{spatial_key}",
        "domains": "obs/{groupby}",
        "genes": "axes/var",
    }
    WRITES = {"table": "uns/{key_added}"}

    def memory(self, shape: Shape, params: MarkersParams) -> int:
        """The layer, k-d trees of the spots, and a test's statistics of every gene."""
        return LIBRARIES + 10 * shape.nnz + 200 * shape.n_obs + 1000 * shape.n_vars

    def run(self, inputs: Inputs, params: MarkersParams, context: Context) -> Outputs:
        import pandas as pd

        from spatialrun.methods import spagcn

        domains = _domains(inputs, params.groupby)
        tables = spagcn.markers(
            inputs["lognorm"].read(),
            inputs["spatial"].read(),
            domains,
            pd.Index(inputs["genes"].read()),
            surroundings=params.into(spagcn.Surroundings),
            filters=params.into(spagcn.Filters),
            tie_correct=params.tie_correct,
            threads=context.threads,
            log=context.log,
        )
        return {"table": _joined(tables)}


class MarkersCohortParams(MarkersParams):
    groupby: str = parameter("integrated", "Column of obs with the domains that the samples share.")


class MarkersCohort(CohortStep):
    """Find the markers of domains that samples share: ``markers.spagcn`` over the spots of all of them.

    Genes that all samples have are tested. Neighbours are looked for within each sample and counted together.
    The table belongs to the cohort (``_cohort``).
    """

    name = "markers.cohort"
    Params = MarkersCohortParams
    cite = "Hu et al. 2021, doi 10.1038/s41592-021-01255-8"
    READS = MarkersSpagcn.READS
    COHORT_WRITES = {"table": "uns/{key_added}"}

    def memory(self, shape: Shape, params: MarkersCohortParams) -> int:
        """The layers, their shared genes and all of them joined; trees and statistics."""
        return LIBRARIES + 26 * shape.nnz + 200 * shape.n_obs + 1000 * shape.n_vars

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: MarkersCohortParams, context: Context
    ) -> Mapping[str, Outputs]:
        from spatialrun.methods import spagcn

        lognorm, genes, domains = _stacked(inputs, params.groupby)
        context.log(f"{len(inputs)} samples share {len(genes)} genes.")
        tables = spagcn.cohort_markers(
            lognorm,
            [own["spatial"].read() for own in inputs.values()],
            domains,
            genes,
            surroundings=params.into(spagcn.Surroundings),
            filters=params.into(spagcn.Filters),
            tie_correct=params.tie_correct,
            threads=context.threads,
            log=context.log,
        )
        return {COHORT: {"table": _joined(tables)}}


class MetageneParams(Parameters):
    """What ``metagene.spagcn`` and ``metagene.cohort`` share."""

    groupby: str = parameter("spagcn.refined", "Column of obs with the domains.")
    target_cluster: str = parameter(..., "The domain.")
    layer: str = parameter("lognorm", "Layer of log-normalised expression.")
    start_gene: str | None = parameter(
        None,
        "Gene to start from; null for the domain's first marker, else the gene that ranks highest in it.",
    )
    key_svg: str = parameter("spagcn.markers", "Table of markers in uns, where `start_gene` is null.")
    max_iter: int = parameter(5, "Most rounds; each adds a gene and subtracts one.", unit="rounds", ge=1)
    key_added: str | None = parameter(
        None, "Column of obs, and name in uns; null for metagene.<target_cluster>.", output_name=True
    )

    @field_validator("target_cluster", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        """Domains are named by numbers: 17 is '17'."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @property
    def key(self) -> str:
        """What it is called."""
        return self.key_added or f"metagene.{self.target_cluster}"


class MetageneSpagcn(Step):
    """Combine genes, some added and some subtracted, until few spots outside of a domain reach its mean.

    ``obs`` has the combination's value in every spot, from 0; ``uns`` its formula, and how well it tells the
    domain from all other spots (``auc``).
    """

    name = "metagene.spagcn"
    Params = MetageneParams
    cite = "Hu et al. 2021, doi 10.1038/s41592-021-01255-8"
    READS = {"lognorm": "layers/{layer}", "domains": "obs/{groupby}", "genes": "axes/var"}

    def reads(self, params: MetageneParams, site: Site) -> Sequence[Read]:
        reads = super().reads(params, site)
        return [*reads, *_markers(params)]

    def writes(self, params: MetageneParams, site: Site) -> Sequence[Write]:
        return [Write("values", f"obs/{params.key}"), Write("about", f"uns/{params.key}")]

    def memory(self, shape: Shape, params: MetageneParams) -> int:
        """The layer, and a test's statistics of every gene."""
        return LIBRARIES + 10 * shape.nnz + 100 * shape.n_obs + 400 * shape.n_vars

    def run(self, inputs: Inputs, params: MetageneParams, context: Context) -> Outputs:
        import pandas as pd

        genes = pd.Index(inputs["genes"].read())
        domains = _domains(inputs, params.groupby)
        found = _metagene(inputs["lognorm"].read(), genes, domains, inputs, params, context)
        return {"values": found.values, "about": _about(found, params)}


class MetageneCohortParams(MetageneParams):
    groupby: str = parameter("integrated", "Column of obs with the domains that the samples share.")


class MetageneCohort(CohortStep):
    """Combine genes into a metagene of a domain that samples share: ``metagene.spagcn`` over all their spots.

    Every sample's ``obs`` has the values, on one scale; the formula belongs to the cohort (``_cohort``).
    """

    name = "metagene.cohort"
    Params = MetageneCohortParams
    cite = "Hu et al. 2021, doi 10.1038/s41592-021-01255-8"
    READS = MetageneSpagcn.READS

    def cohort_reads(self, params: MetageneCohortParams, site: Site) -> Sequence[Read]:
        return _markers(params)

    def writes(self, params: MetageneCohortParams, site: Site) -> Sequence[Write]:
        return [Write("values", f"obs/{params.key}")]

    def cohort_writes(self, params: MetageneCohortParams, site: Site) -> Sequence[Write]:
        return [Write("about", f"uns/{params.key}")]

    def memory(self, shape: Shape, params: MetageneCohortParams) -> int:
        """The layers, their shared genes and all of them joined; a test's statistics."""
        return LIBRARIES + 26 * shape.nnz + 100 * shape.n_obs + 400 * shape.n_vars

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: MetageneCohortParams, context: Context
    ) -> Mapping[str, Outputs]:
        from spatialrun.methods.partition import split

        members = {name: own for name, own in inputs.items() if name != COHORT}
        lognorm, genes, domains = _stacked(members, params.groupby)
        found = _metagene(lognorm, genes, domains, inputs.get(COHORT), params, context)
        values = split(found.values, [own["lognorm"].meta["shape"][0] for own in members.values()])
        outputs: dict[str, Outputs] = {
            name: {"values": own} for name, own in zip(members, values, strict=True)
        }
        return outputs | {COHORT: {"about": _about(found, params)}}


def _domains(inputs: Inputs, column: str) -> pd.Categorical:
    """A column of obs with one domain at least."""
    domains = as_labels(inputs["domains"].read(), column)
    if (domains.codes < 0).all():
        raise DataError("data.values", f"no spot has a domain in {column}", where=Where(slot=f"obs/{column}"))
    return domains


def _stacked(inputs: Mapping[str, Inputs], column: str) -> tuple[csc_matrix, pd.Index, pd.Categorical]:
    """Expression of all spots of all samples, the genes that they share, and the spots' domains."""
    import pandas as pd

    from spatialrun.methods.cohort import joined, stacked

    domains = []
    for sample, own in inputs.items():
        try:
            domains.append(_domains(own, column))
        except SpatialrunError as error:
            raise error.at(sample=sample) from None
    lognorm, genes = stacked(
        [own["lognorm"].read() for own in inputs.values()],
        [pd.Index(own["genes"].read()) for own in inputs.values()],
    )
    return lognorm, genes, joined(domains)


def _joined(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All domains' tables as one; domains without rows are still among the categories."""
    import numpy as np
    import pandas as pd

    names = pd.Index(list(tables), dtype=object)
    codes = np.repeat(np.arange(len(tables)), [len(own) for own in tables.values()])
    table = pd.concat([own for own in tables.values() if len(own)] or [*tables.values()][:1])
    table = table.reset_index(drop=True).astype({"gene": "category", "neighbours": "category"})
    table.insert(0, "domain", pd.Series(pd.Categorical.from_codes(codes, names)))
    return table


def _markers(params: MetageneParams) -> list[Read]:
    return [] if params.start_gene else [Read("markers", f"uns/{params.key_svg}", optional=True)]


def _metagene(
    lognorm: csc_matrix,
    genes: pd.Index,
    domains: pd.Categorical,
    inputs: Inputs | None,
    params: MetageneParams,
    context: Context,
) -> spagcn.Metagene:
    """The domain's metagene, from the gene asked for or the first marker in the inputs' table."""
    from spatialrun.methods import spagcn

    start = params.start_gene
    if start is None and inputs is not None and "markers" in inputs:
        table = inputs["markers"].read()
        own = table[table["domain"] == params.target_cluster]
        if len(own):
            start = str(own["gene"].iloc[0])
        else:
            context.log(f"domain {params.target_cluster} has no marker to start from in {params.key_svg}")
    found = spagcn.metagene(
        lognorm,
        domains,
        genes,
        params.target_cluster,
        start_gene=start,
        max_iter=params.max_iter,
        log=context.log,
    )
    context.measure(auc=found.auc)
    context.log(f"AUC {found.auc:.4f}: domain {params.target_cluster} against all other spots")
    return found


def _about(found: spagcn.Metagene, params: MetageneParams) -> dict[str, Any]:
    return {
        "formula": found.formula,
        "auc": found.auc,
        "groupby": params.groupby,
        "domain": params.target_cluster,
    }


__getattr__ = functions_of(__name__)
