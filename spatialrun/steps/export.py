"""Results as files outside the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spatialrun.errors import DataError, Where
from spatialrun.slots import group_of, name_of
from spatialrun.steps.contract import (
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

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

ROW = {"obs": "barcode", "var": "gene"}
"""What the first column of a table is called."""

NOT_IN_H5AD = ("figures", "files", "exports")


class Export(Step):
    """What exports share: one file, named by the parameter ``path``."""

    def destination(self, params: Any) -> str:
        return str(params.path)

    def writes(self, params: Any, site: Site) -> Sequence[Write]:
        return [Write("file", f"exports/{site.step}")]


class ExportTableParams(Parameters):
    path: str = parameter(
        ...,
        "Where to write, from the recipe's folder: .csv, .tsv (also .gz) or .parquet; {sample} is filled in.",
        pattern=r"\.(csv|tsv|csv\.gz|tsv\.gz|parquet)$",
    )
    what: str = parameter(
        ..., "The table: obs, var, or a table of uns (uns/spatialde).", pattern=r"^(obs|var|uns/.+)$"
    )
    columns: tuple[str, ...] | None = parameter(None, "Columns, in this order; null for all.")
    sort: str | None = parameter(None, "Column to sort by; rows without a value come last.")
    descending: bool = parameter(False, "Sort from the largest.")
    head: int | None = parameter(
        None, "How many rows to keep after sorting; null for all.", unit="rows", ge=1
    )


class ExportTable(Export):
    """Write a table as csv, tsv or parquet: genes with their statistics, spots with their domains."""

    name = "export.table"
    Params = ExportTableParams

    def reads(self, params: ExportTableParams, site: Site) -> Sequence[Read]:
        if params.what not in ("obs", "var"):
            return [Read("table", params.what)]
        names = Read("names", f"axes/{params.what}")
        if params.columns is None:
            slots = sorted(slot for slot in site.declared if group_of(slot) == params.what)
        else:
            wanted = [*params.columns, *([params.sort] if params.sort else [])]
            slots = [f"{params.what}/{name}" for name in dict.fromkeys(wanted)]
        return [names, *(Read(slot, slot) for slot in slots)]

    def memory(self, shape: Shape, params: ExportTableParams) -> int:
        """A hundred columns of the longer axis, twice."""
        return 1600 * max(shape.n_obs, shape.n_vars)

    def run(self, inputs: Inputs, params: ExportTableParams, context: Context) -> Outputs:
        if "names" in inputs:
            table = _frame(inputs, params.what).rename_axis(ROW[params.what])
        else:
            table = inputs["table"].read()
        _check_columns(table, params)
        if params.sort is not None:
            # Stable, so that equal values keep the order of the axis.
            table = table.sort_values(params.sort, ascending=not params.descending, kind="stable")
        if params.columns is not None:
            table = table[list(params.columns)]
        if params.head is not None:
            table = table.head(params.head)
        path = context.file("file")
        _write(table, path, params.path)
        context.log(f"{len(table)} rows, {table.shape[1]} columns")
        return {"file": path}


class ExportH5adParams(Parameters):
    path: str = parameter(
        ..., "Where to write, from the recipe's folder; {sample} is filled in.", pattern=r"\.h5ad$"
    )
    x: str | None = parameter(None, "Layer that becomes X; null for lognorm where there is one, else counts.")
    library: str = parameter(
        "section", "Name of the section in uns/spatial, as scanpy keeps images.", min_length=1
    )


class ExportH5ad(Export):
    """Write the whole sample as an h5ad file that scanpy opens, images and scale factors in their places."""

    name = "export.h5ad"
    Params = ExportH5adParams
    distributions = ("anndata",)

    def reads(self, params: ExportH5adParams, site: Site) -> Sequence[Read]:
        slots = {"axes/obs", "axes/var", f"layers/{params.x}" if params.x else "layers/counts"}
        slots |= {slot for slot in site.declared if group_of(slot) not in NOT_IN_H5AD}
        return [Read(slot, slot) for slot in sorted(slots)]

    def memory(self, shape: Shape, params: ExportH5adParams) -> int:
        """Three layers (12 bytes a count each), a hundred columns of each axis, two images as floats."""
        return 36 * shape.nnz + 800 * (shape.n_obs + shape.n_vars) + 100_000_000

    def run(self, inputs: Inputs, params: ExportH5adParams, context: Context) -> Outputs:
        import anndata

        by_group: dict[str, dict[str, Any]] = {}
        for slot in inputs:
            by_group.setdefault(group_of(slot), {})[name_of(slot)] = slot
        layers = by_group.pop("layers", {})
        chosen = params.x or ("lognorm" if "lognorm" in layers else "counts")
        # X is not repeated among the layers.
        x = inputs[layers.pop(chosen)].read()
        values = {
            group: {name: inputs[slot].read() for name, slot in slots.items()}
            for group, slots in by_group.items()
        }
        uns = values.get("uns", {}) | {
            "spatial": {params.library: _library(values.get("uns", {}), values.get("images", {}))}
        }
        sample = anndata.AnnData(
            X=x,
            obs=_frame(inputs, "obs"),
            var=_frame(inputs, "var"),
            layers={name: inputs[slot].read() for name, slot in layers.items()},
            uns={name: _text_index(value) for name, value in uns.items()},
            **{group: values.get(group, {}) for group in ("obsm", "varm", "obsp", "varp")},
        )
        path = context.file("file")
        sample.write_h5ad(path, compression="gzip", compression_opts=1)
        context.log(f"X is {chosen}; {sample.n_obs} spots, {sample.n_vars} genes")
        return {"file": path}


def _frame(inputs: Inputs, axis: str) -> pd.DataFrame:
    """The columns of an axis as a data frame, indexed by its names."""
    import pandas as pd

    names = inputs["names" if "names" in inputs else f"axes/{axis}"].read()
    columns = {
        name_of(slot): inputs[slot].read() for slot in inputs if group_of(slot) == axis and "/" in slot
    }
    return pd.DataFrame(columns, index=pd.Index(names, dtype=object))


def _check_columns(table: pd.DataFrame, params: ExportTableParams) -> None:
    from difflib import get_close_matches

    for name in [*(params.columns or ()), *([params.sort] if params.sort else [])]:
        if name not in table:
            near = get_close_matches(name, [str(column) for column in table.columns], n=1)
            raise DataError(
                "data.table",
                f"{params.what} has no column {name!r}",
                where=Where(slot=params.what),
                hint=f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(table.columns)}.",
            )


def _write(table: pd.DataFrame, path: Path, name: str) -> None:
    """Write the kind of table that ``name`` ends in; the same table gives the same bytes."""
    if name.endswith(".parquet"):
        table.to_parquet(path)
        return
    import gzip

    separator = "\t" if name.removesuffix(".gz").endswith(".tsv") else ","
    named = table.index.name is not None
    content = table.to_csv(sep=separator, index=named, lineterminator="\n").encode()
    # pandas would put the file's name into the archive.
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)


def _library(uns: dict[str, Any], images: dict[str, Any]) -> dict[str, Any]:
    """A section as scanpy keeps it: images are (y, x, c)."""
    import numpy as np

    about = dict(uns.get("spatial", {}))
    pixels = {name: np.ascontiguousarray(image.transpose("y", "x", "c")) for name, image in images.items()}
    return {"images": pixels, "scalefactors": {}, "metadata": {}} | about


def _text_index(value: Any) -> Any:
    """AnnData keeps tables only with text as their index."""
    import pandas as pd

    return value.set_axis(value.index.astype(str), axis=0) if isinstance(value, pd.DataFrame) else value
