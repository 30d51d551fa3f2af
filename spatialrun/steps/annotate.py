"""Annotations of spots and genes that were made elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from spatialrun.errors import DataError, Where
from spatialrun.steps.contract import (
    Context,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Site,
    Step,
    Write,
    parameter,
)
from spatialrun.steps.on_anndata import functions_of

if TYPE_CHECKING:
    import pandas as pd


class AnnotateParams(Parameters):
    table: str | None = parameter(None, "File with the annotation: csv, tsv or parquet.", path=True)
    slot: str | None = parameter(
        None, "Table of the sample instead of a file: uns/truth.spots.", pattern=r"^uns/.+"
    )
    columns: tuple[str, ...] | dict[str, str] | None = parameter(
        None, "Columns to join, or a mapping to their new names; null for all columns of the file."
    )
    index: str | None = parameter(None, "Column with the names to join by; null for the first.")
    prefix: str = parameter("", "Put before the name of every column that is written.", output_name=True)

    @model_validator(mode="after")
    def _one_source(self) -> AnnotateParams:
        if (self.table is None) == (self.slot is None):
            raise ValueError("give either `table` (a file) or `slot` (a table of the sample)")
        if self.slot is not None and not self.columns:
            raise ValueError("a `slot` needs `columns`: what a table holds is known only when it is there")
        return self


class Annotate(Step):
    """What ``annotate.obs`` and ``annotate.var`` share."""

    Params = AnnotateParams
    axis: ClassVar[Literal["obs", "var"]]
    noun: ClassVar[str]

    def reads(self, params: AnnotateParams, site: Site) -> Sequence[Read]:
        names = [Read("names", f"axes/{self.axis}")]
        return names if params.slot is None else [*names, Read("slot", params.slot)]

    def writes(self, params: AnnotateParams, site: Site) -> Sequence[Write]:
        if params.table is None:
            columns = _renamed(params.columns or ())
        else:
            from spatialrun.readers.table import read_annotation

            # Read already now: a column that the file lacks is a mistake in the recipe.
            path = site.base / params.table
            columns = _chosen(read_annotation(path, barcode=params.index), params, Where(file=str(path)))
        return [Write(new, f"{self.axis}/{params.prefix}{new}") for new in columns.values()]

    def run(self, inputs: Inputs, params: AnnotateParams, context: Context) -> Outputs:
        from spatialrun.methods.annotation import join

        if "slot" in inputs:
            table, where = inputs["slot"].read(), Where(slot=params.slot)
            if params.index is not None:
                table = table.reset_index().set_index(params.index)
        else:
            from spatialrun.readers.table import read_annotation

            path = inputs.externals["table"]
            table, where = read_annotation(path, barcode=params.index), Where(file=str(path))
        columns = _chosen(table, params, where)
        names = inputs["names"].read()
        values, matched = join(names, table[list(columns)])
        context.log(f"{matched} of {len(names)} {self.noun} are in the table of {len(table)} rows")
        return {new: values[old] for old, new in columns.items()}


class AnnotateObs(Annotate):
    """Join columns of a table to the spots, by barcode: an expert's labels, for example.

    Spots that the table lacks have no value. Text becomes categories; empty text is no value.
    """

    name = "annotate.obs"
    version = 2
    axis = "obs"
    noun = "spots"


class AnnotateVar(Annotate):
    """Join columns of a table to the genes, by symbol: known markers, for example.

    Genes that the table lacks have no value. Text becomes categories; empty text is no value.
    """

    name = "annotate.var"
    version = 2
    axis = "var"
    noun = "genes"


def _renamed(columns: Iterable[str]) -> dict[str, str]:
    """Column of the table to the name it gets."""
    return dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}


def _chosen(table: pd.DataFrame, params: AnnotateParams, where: Where) -> dict[str, str]:
    """The columns to join and their new names, all of which the table has."""
    from difflib import get_close_matches

    there = [str(name) for name in table.columns]
    columns = _renamed(there if params.columns is None else params.columns)
    for name in columns:
        if name not in there:
            near = get_close_matches(name, there, n=1)
            raise DataError(
                "data.table",
                f"the table has no column {name!r}",
                where=where,
                hint=f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(there)}.",
            )
    return columns


__getattr__ = functions_of(__name__)
