"""Figures of expression without the tissue: maps of spots, genes by domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, model_validator

from spatialrun.errors import DataError, Where
from spatialrun.steps.colors import Color, ColorMap
from spatialrun.steps.contract import (
    Context,
    FileBytes,
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
from spatialrun.steps.embed import first_components
from spatialrun.steps.labels import as_labels
from spatialrun.steps.plot import Limit
from spatialrun.steps.shown import Top, color_reads, layer_read, n_panels, nearest_genes, panels_of

if TYPE_CHECKING:
    import pandas as pd

    from spatialrun.plots.genes import GenesByDomain

CANVAS = 250_000_000
"""Memory of matplotlib and a canvas."""


def _two(components: tuple[int, int]) -> tuple[int, int]:
    if min(components) < 1 or components[0] == components[1]:
        raise ValueError("give two different components, counted from 1: [1, 2]")
    return components


class PlotEmbeddingParams(Parameters):
    basis: str = parameter("umap", "Array of obsm with the map: umap, pca.")
    components: Annotated[tuple[int, int], AfterValidator(_two)] = parameter(
        (1, 2), "The two columns to draw, counted from 1."
    )
    color: str | tuple[str, ...] | Top | None = parameter(
        None,
        "What colours the spots: a column of obs, else a gene (obs:x, gene:x force it); a list for several "
        "maps; {top: 6, by: spatialde.rank} for the best genes; null for plain spots.",
    )
    layer: str | None = parameter(
        None, "Layer of the genes' values; null for lognorm where there is one, else counts."
    )
    figsize: tuple[float, float] | None = parameter(
        None, "Width and height of the whole figure; null for what the maps need.", unit="inches"
    )
    dpi: float = parameter(150.0, "Resolution.", unit="pixels per inch", gt=0, le=1200)
    ptsize: float | None = parameter(
        None, "Area of the spots; null for the less the more there are.", unit="points²", gt=0
    )
    palette: dict[str, Color] | tuple[Color, ...] | None = parameter(
        None, "Colours of categories: by name, or in their order; null for the house's."
    )
    cmap: ColorMap | None = parameter(
        None, "Colour map of numbers, by matplotlib's name; null for the house's."
    )
    vmin: Limit | None = parameter(None, "Lower end of the colour scale: a number or a percentile (p1).")
    vmax: Limit | None = parameter(
        None, "Upper end of the colour scale: a number or a percentile (p99); null: where outliers begin."
    )
    na_color: Color | None = parameter(None, "Colour of spots without a value; null for the house's.")
    order: Literal["value", "given"] = parameter(
        "value", "Draw high values over low ones and categories mixed, or spots as they come."
    )
    alpha: float = parameter(1.0, "Opacity of the spots.", ge=0, le=1)
    names: bool = parameter(False, "Write the names of categories on the map.")
    title: str | None = parameter("{color}", "Title of each map; {color} is what it shows; null for none.")
    label: str | None = parameter(None, "Label of the legend or colour bar.")
    legend: bool = parameter(True, "Draw the legend or colour bar.")
    ncols: int | None = parameter(None, "Maps in a row; null for up to four.", ge=1)
    format: Literal["png", "svg", "pdf"] = parameter("png", "Kind of file.")


AS_THEY_ARE = ("ptsize", "palette", "cmap", "vmin", "vmax", "order", "alpha", "names", "legend")
"""Parameters that are handed to every map."""


class PlotEmbedding(Step):
    """Draw spots on a map of their expression (UMAP, PCA), coloured by genes or by columns of obs."""

    name = "plot.embedding"
    version = 2
    Params = PlotEmbeddingParams
    distributions = ("matplotlib",)

    def reads(self, params: PlotEmbeddingParams, site: Site) -> Sequence[Read]:
        return [Read("basis", f"obsm/{params.basis}"), *color_reads(params, site.declared)]

    def writes(self, params: PlotEmbeddingParams, site: Site) -> Sequence[Write]:
        return [Write("figure", f"figures/{site.step}")]

    def memory(self, shape: Shape, params: PlotEmbeddingParams) -> int:
        """The canvas, and the places and colours of the spots, map by map."""
        return CANVAS + n_panels(params.color) * (50_000_000 + 200 * shape.n_obs)

    def run(self, inputs: Inputs, params: PlotEmbeddingParams, context: Context) -> Outputs:
        from spatialrun.plots.embedding import Map, maps
        from spatialrun.plots.render import render

        X = first_components(inputs["basis"].read(), params.basis, max(params.components))
        columns = [number - 1 for number in params.components]
        appearance: dict[str, Any] = {name: getattr(params, name) for name in AS_THEY_ARE}
        if params.na_color is not None:
            appearance["na_color"] = params.na_color
        first, second = (f"{_called(params.basis)} {number}" for number in params.components)
        specs = [
            Map(
                coordinates=X[:, columns],
                values=shown.values,
                axes=(first, second),
                title=None if params.title is None else params.title.replace("{color}", shown.name) or None,
                label=params.label if params.label is not None else shown.label,
                **appearance,
            )
            for shown in panels_of(inputs, params)
        ]
        figure = maps(specs, ncols=params.ncols, figsize=params.figsize, dpi=params.dpi)
        return {"figure": FileBytes(render(figure, params.format), f".{params.format}")}


def _called(basis: str) -> str:
    """What people call a basis: UMAP, PC; others as they are."""
    return {"umap": "UMAP", "pca": "PC"}.get(basis, basis)


class PlotGenesParams(Parameters):
    groupby: str = parameter("spagcn.refined", "Column of obs with the domains.")
    genes: tuple[str, ...] | dict[str, tuple[str, ...]] | None = parameter(
        None, "Genes, or groups of them by name; null for the first markers of each domain."
    )
    markers: str = parameter("spagcn.markers", "Table of markers in uns, where `genes` is null.")
    n_genes: int = parameter(5, "Markers of each domain, where `genes` is null.", unit="genes", ge=1, le=100)
    kind: Literal["dotplot", "matrix"] = parameter(
        "dotplot", "Dots (area: spots that have the gene, colour: its mean), or a matrix of means."
    )
    layer: str | None = parameter(
        None, "Layer of the genes' values; null for lognorm where there is one, else counts."
    )
    standard_scale: Literal["var", "group"] | None = parameter(
        None, "Means from 0 to 1 within each gene (var) or each domain (group)."
    )
    cmap: ColorMap | None = parameter(None, "Colour map, by matplotlib's name; null for the house's.")
    vmin: Limit | None = parameter(None, "Lower end of the colour scale: a number or a percentile (p1).")
    vmax: Limit | None = parameter(
        None, "Upper end of the colour scale: a number or a percentile (p99); null: where outliers begin."
    )
    dot_max: float | None = parameter(
        None, "Share of spots of the largest dot; null for the largest there is.", gt=0, le=1
    )
    palette: dict[str, str] | None = parameter(None, "Colours of domains by name; null for the house's.")
    title: str | None = parameter(None, "Title of the figure.")
    dpi: float = parameter(150.0, "Resolution.", unit="pixels per inch", gt=0, le=1200)
    format: Literal["png", "svg", "pdf"] = parameter("png", "Kind of file.")

    @model_validator(mode="after")
    def _some_genes(self) -> PlotGenesParams:
        if self.genes is not None and not _grouped(self.genes):
            raise ValueError("`genes` names no gene; leave it out for the markers")
        return self


class PlotGenes(Step):
    """Draw genes by domains, as a dot plot or a matrix: markers, or genes of one's own."""

    name = "plot.genes"
    version = 2
    Params = PlotGenesParams
    distributions = ("matplotlib",)

    def reads(self, params: PlotGenesParams, site: Site) -> Sequence[Read]:
        reads = [
            Read("domains", f"obs/{params.groupby}"),
            Read("genes", "axes/var"),
            layer_read(params.layer, site.declared),
        ]
        return reads if params.genes else [*reads, Read("markers", f"uns/{params.markers}")]

    def writes(self, params: PlotGenesParams, site: Site) -> Sequence[Write]:
        return [Write("figure", f"figures/{site.step}")]

    def memory(self, shape: Shape, params: PlotGenesParams) -> int:
        """The canvas; genes are read one at a time."""
        return CANVAS + 100 * shape.n_obs + 100 * shape.n_vars

    def run(self, inputs: Inputs, params: PlotGenesParams, context: Context) -> Outputs:
        from spatialrun.plots.genes import genes_by_domain
        from spatialrun.plots.render import render

        domains = as_labels(inputs["domains"].read(), params.groupby)
        groups = _grouped(params.genes or _first_markers(inputs["markers"].read(), params))
        if not groups:
            raise DataError(
                "data.empty",
                f"no domain has a marker in {params.markers}",
                where=Where(slot=f"uns/{params.markers}"),
                hint="Name `genes`, or make the filters of the markers less strict.",
            )
        layer = next(port for port in inputs if port.startswith("layers/"))
        figure = genes_by_domain(
            _summary(inputs, layer, domains, groups, isinstance(params.genes, tuple)),
            params.kind,
            standard_scale=params.standard_scale,
            cmap=params.cmap,
            vmin=params.vmin,
            vmax=params.vmax,
            dot_max=params.dot_max,
            palette=params.palette,
            title=params.title,
            label=f"mean {layer.partition('/')[2]}" if params.standard_scale is None else "scaled mean",
            dpi=params.dpi,
        )
        return {"figure": FileBytes(render(figure, params.format), f".{params.format}")}


def _grouped(genes: tuple[str, ...] | dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Genes by group; groups without genes are left out."""
    groups = genes if isinstance(genes, dict) else {"": genes}
    return {name: own for name, own in groups.items() if own}


def _first_markers(table: pd.DataFrame, params: PlotGenesParams) -> dict[str, tuple[str, ...]]:
    if not {"domain", "gene"} <= set(table.columns):
        raise DataError(
            "data.table",
            f"{params.markers} is no table of markers: it has no columns domain and gene",
            where=Where(slot=f"uns/{params.markers}"),
        )
    names = [str(name) for name in table["domain"].astype("category").cat.categories]
    own = {name: table.loc[table["domain"].astype(str) == name, "gene"] for name in names}
    return {name: tuple(genes.astype(str).head(params.n_genes)) for name, genes in own.items()}


def _summary(
    inputs: Inputs,
    layer: str,
    domains: pd.Categorical,
    groups: dict[str, tuple[str, ...]],
    plain: bool,
) -> GenesByDomain:
    """Means and fractions of the genes, which are read one at a time."""
    import numpy as np
    import pandas as pd

    from spatialrun.methods.by_domain import means_and_fractions
    from spatialrun.plots.genes import GenesByDomain

    there = pd.Index(inputs["genes"].read())
    genes = [gene for own in groups.values() for gene in own]
    for gene in genes:
        if gene not in there:
            raise DataError(
                "data.values", f"no gene is called {gene!r}", hint=nearest_genes(gene, there.to_numpy())
            )
    occurring = np.unique(domains.codes[domains.codes >= 0])
    codes = np.searchsorted(occurring, domains.codes)
    codes[domains.codes < 0] = -1
    found = {
        gene: means_and_fractions(inputs[layer].columns(at, at + 1), codes, len(occurring))
        for gene in dict.fromkeys(genes)
        for at in np.flatnonzero(there == gene)[:1].tolist()
    }
    ends = np.cumsum([0, *(len(own) for own in groups.values())]).tolist()
    return GenesByDomain(
        np.hstack([found[gene][0] for gene in genes]),
        np.hstack([found[gene][1] for gene in genes]),
        [str(domains.categories[code]) for code in occurring],
        genes,
        {} if plain else {name: (ends[i], ends[i + 1]) for i, name in enumerate(groups)},
    )
