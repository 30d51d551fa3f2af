"""Choosing genes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import model_validator

from spatialrun.errors import DataError, Where
from spatialrun.steps.contract import (
    Context,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Shape,
    Site,
    StagedStep,
    Step,
    parameter,
)
from spatialrun.steps.on_anndata import functions_of


class GenesVariableParams(Parameters):
    layer: str = parameter("counts", "Layer of raw counts.")
    span: float = parameter(0.3, "Share of the genes in each local fit of the trend.", gt=0, le=1)
    n_top_genes: int = parameter(2000, "How many genes to mark.", unit="genes", late=True, ge=1)
    key_added: str = parameter("vst", "Beginning of the columns' names.", output_name=True)


class GenesVariable(StagedStep):
    """Rank genes by how much more they vary than others of the same mean (vst), and mark the first ones.

    ``rank`` is 1 for the most variable gene.
    """

    name = "genes.variable"
    Params = GenesVariableParams
    distributions = ("scanpy", "scikit-misc")
    cite = "Stuart et al. 2019, doi 10.1016/j.cell.2019.05.031"
    READS = {"counts": "layers/{layer}"}
    WRITES = {
        "means": "var/{key_added}.means",
        "vars": "var/{key_added}.vars",
        "vars.norm": "var/{key_added}.vars.norm",
        "hvg.rank": "var/{key_added}.hvg.rank",
        "hvg": "var/{key_added}.hvg",
    }

    def memory(self, shape: Shape, params: GenesVariableParams) -> int:
        """Counts and two float64 copies of them, by gene and by spot."""
        return 46 * shape.nnz + 200 * shape.n_vars

    def setup(self, inputs: Inputs, params: GenesVariableParams, context: Context) -> Outputs:
        from spatialrun.methods.variable import vst

        found = vst(inputs["counts"].read(), params.span)
        return {"means": found.means, "vars": found.variances, "vars.norm": found.variances_norm}

    def combine(
        self, setup: Inputs, inputs: Inputs, params: GenesVariableParams, context: Context
    ) -> Outputs:
        from spatialrun.methods.variable import rank

        columns = {name: setup[name].read() for name in ("means", "vars", "vars.norm")}
        ranks = rank(columns["vars.norm"])
        if params.n_top_genes > len(ranks):
            context.warn(f"all {len(ranks)} genes are marked: fewer than n_top_genes {params.n_top_genes}")
        return columns | {"hvg.rank": ranks, "hvg": ranks <= params.n_top_genes}


class GenesSelectParams(Parameters):
    all_of: tuple[str, ...] = parameter((), "Columns of var that must all be true: vst.hvg.")
    any_of: tuple[str, ...] = parameter((), "Columns of var of which one must be true.")
    none_of: tuple[str, ...] = parameter((), "Columns of var that must all be false.")
    key_added: str = parameter("selected", "Column of var with the result.", output_name=True)

    @model_validator(mode="after")
    def _something(self) -> GenesSelectParams:
        if not (self.all_of or self.any_of or self.none_of):
            raise ValueError("give at least one column in `all_of`, `any_of` or `none_of`")
        return self


class GenesSelect(Step):
    """Combine masks of genes into one: variable in space and variable at all, but not mitochondrial."""

    name = "genes.select"
    Params = GenesSelectParams
    WRITES = {"mask": "var/{key_added}"}

    def reads(self, params: GenesSelectParams, site: Site) -> Sequence[Read]:
        names = dict.fromkeys(params.all_of + params.any_of + params.none_of)
        return [Read("genes", "axes/var"), *(Read(name, f"var/{name}") for name in names)]

    def run(self, inputs: Inputs, params: GenesSelectParams, context: Context) -> Outputs:
        from spatialrun.methods.selection import combine

        masks = {name: inputs[name].read() for name in inputs if name != "genes" and "/" not in name}
        for name, mask in masks.items():
            if mask.dtype != bool:
                raise DataError(
                    "data.values",
                    f"the column {name} holds {mask.dtype}, where true or false is needed",
                    where=Where(slot=f"var/{name}"),
                )
        lists = {
            key: [masks[name] for name in getattr(params, key)] for key in ("all_of", "any_of", "none_of")
        }
        chosen = combine(len(inputs["genes"].read()), **lists)
        context.log(f"{chosen.sum()} of {len(chosen)} genes are selected")
        return {"mask": chosen}


__getattr__ = functions_of(__name__)
