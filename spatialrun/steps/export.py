"""Results as files outside the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spatialrun.errors import DataError, Where
from spatialrun.readers.hdf5 import PACKED
from spatialrun.slots import group_of
from spatialrun.steps.contract import (
    Context,
    Inputs,
    Outputs,
    Read,
    Shape,
    Site,
    Step,
    Write,
    parameter,
)
from spatialrun.steps.destination import Destined
from spatialrun.steps.sample import frame, layer_of_x, sample_reads, to_anndata

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

LONGEST_SHEET = 1_048_576
"""Rows of a sheet, its head among them."""
ROW = {"obs": "barcode", "var": "gene"}
"""What the first column of a table is called."""


class Export(Step):
    """What exports share: one file or folder, named by the parameter ``path``."""

    def destination(self, params: Any) -> str:
        return str(params.path)

    def writes(self, params: Any, site: Site) -> Sequence[Write]:
        return [Write("file", f"exports/{site.step}")]


class ExportFilesParams(Destined):
    path: str = parameter(
        ..., "Folder to write, from the recipe's folder; {sample} is filled in.", min_length=1
    )
    what: str = parameter("spaceranger", "Which folder: spaceranger, as simulate.* write it.", min_length=1)


class ExportFiles(Export):
    """Copy a folder that a step has made: a simulated Space Ranger folder, for other recipes to read."""

    name = "export.files"
    Params = ExportFilesParams
    READS = {"files": "files/{what}"}

    def memory(self, shape: Shape, params: ExportFilesParams) -> int:
        return 20_000_000

    def run(self, inputs: Inputs, params: ExportFilesParams, context: Context) -> Outputs:
        import shutil

        path = context.file("file")
        # Without times and modes: equal content is an equal folder.
        shutil.copytree(inputs["files"].path, path, copy_function=shutil.copyfile)
        context.log(f"{sum(file.is_file() for file in path.rglob('*'))} files")
        return {"file": path}


class ExportTableParams(Destined):
    path: str = parameter(
        ...,
        "Where to write, from the recipe's folder: .csv, .tsv (also .gz), .parquet or .xlsx; {sample} is "
        "filled in.",
        pattern=r"\.(csv|tsv|csv\.gz|tsv\.gz|parquet|xlsx)$",
    )
    what: str = parameter(
        ..., "The table: obs, var, or a table of uns (uns/spatialde).", pattern=r"^(obs|var|uns/.+)$"
    )
    where: dict[str, str] = parameter({}, "Only rows with these values, by column: {domain: '3'}.")
    columns: tuple[str, ...] | None = parameter(None, "Columns, in this order; null for all.")
    sort: str | None = parameter(None, "Column to sort by; rows without a value come last.")
    descending: bool = parameter(False, "Sort from the largest.")
    head: int | None = parameter(
        None, "How many rows to keep after sorting; null for all.", unit="rows", ge=1
    )


class ExportTable(Export):
    """Write a table as csv, tsv, parquet or xlsx: genes with their statistics, spots with their domains."""

    name = "export.table"
    Params = ExportTableParams

    def reads(self, params: ExportTableParams, site: Site) -> Sequence[Read]:
        if params.what not in ("obs", "var"):
            return [Read("table", params.what)]
        names = Read("names", f"axes/{params.what}")
        if params.columns is None:
            slots = sorted(slot for slot in site.declared if group_of(slot) == params.what)
        else:
            wanted = [*params.columns, *params.where, *([params.sort] if params.sort else [])]
            slots = [f"{params.what}/{name}" for name in dict.fromkeys(wanted)]
        return [names, *(Read(slot, slot) for slot in slots)]

    def memory(self, shape: Shape, params: ExportTableParams) -> int:
        """A hundred columns of the longer axis, twice."""
        return 1600 * max(shape.n_obs, shape.n_vars)

    def run(self, inputs: Inputs, params: ExportTableParams, context: Context) -> Outputs:
        if "names" in inputs:
            table = frame(inputs, params.what).rename_axis(ROW[params.what])
        else:
            table = inputs["table"].read()
        _check_columns(table, params)
        for column, value in params.where.items():
            table = _only(table, column, value, params.what)
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


class ExportH5adParams(Destined):
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
        return sample_reads(site, params.x)

    def memory(self, shape: Shape, params: ExportH5adParams) -> int:
        """Three layers (12 bytes a count each), a hundred columns of each axis, two images as floats."""
        return 36 * shape.nnz + 800 * (shape.n_obs + shape.n_vars) + 100_000_000

    def run(self, inputs: Inputs, params: ExportH5adParams, context: Context) -> Outputs:
        import anndata

        sample = to_anndata(inputs, params.x, params.library)
        path = context.file("file")
        anndata.io.write_h5ad(path, sample, dataset_kwargs=PACKED)
        context.log(f"X is {layer_of_x(inputs, params.x)}; {sample.n_obs} spots, {sample.n_vars} genes")
        return {"file": path}


class ExportImageParams(Destined):
    path: str = parameter(
        ...,
        "Where to write, from the recipe's folder: .png or .tif; {sample} is filled in.",
        pattern=r"\.(png|tiff?)$",
    )
    image_key: str = parameter("hires", "The image.")


class ExportImage(Export):
    """Write an image of the tissue as a file, pixel by pixel as it was read."""

    name = "export.image"
    Params = ExportImageParams
    distributions = ("pillow",)
    READS = {"image": "images/{image_key}"}

    def memory(self, shape: Shape, params: ExportImageParams) -> int:
        return 200_000_000

    def run(self, inputs: Inputs, params: ExportImageParams, context: Context) -> Outputs:
        import numpy as np
        from PIL import Image

        image = inputs["image"].read()
        pixels = np.ascontiguousarray(image.transpose("y", "x", "c"))
        path = context.file("file")
        # One channel is a grey image.
        kind = "PNG" if params.path.endswith(".png") else "TIFF"
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path, format=kind)
        context.log(f"{pixels.shape[1]} x {pixels.shape[0]} pixels, {image.attrs['scalef']:g} per pixel")
        return {"file": path}


def _check_columns(table: pd.DataFrame, params: ExportTableParams) -> None:
    from difflib import get_close_matches

    for name in [*(params.columns or ()), *params.where, *([params.sort] if params.sort else [])]:
        if name not in table:
            near = get_close_matches(name, [str(column) for column in table.columns], n=1)
            raise DataError(
                "data.table",
                f"{params.what} has no column {name!r}",
                where=Where(slot=params.what),
                hint=f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(table.columns)}.",
            )


def _only(table: pd.DataFrame, column: str, value: str, what: str) -> pd.DataFrame:
    """The rows with a value; a value that there can be, but no row has, leaves none."""
    import pandas as pd

    found = table[column]
    kinds = found.cat.categories if isinstance(found.dtype, pd.CategoricalDtype) else found.unique()
    if value not in (there := [str(kind) for kind in kinds]):
        raise DataError(
            "data.table",
            f"no row of {what} has {column} {value!r}",
            where=Where(slot=what),
            hint=f"{column} has: {', '.join(there[:20])}",
        )
    return table[found.astype(str) == value]


def _write(table: pd.DataFrame, path: Path, name: str) -> None:
    """Write the kind of table that ``name`` ends in; the same table gives the same bytes."""
    if name.endswith(".parquet"):
        table.to_parquet(path)
        return
    if name.endswith(".xlsx"):
        _write_workbook(table, path)
        return
    import gzip

    separator = "\t" if name.removesuffix(".gz").endswith(".tsv") else ","
    named = table.index.name is not None
    content = table.to_csv(sep=separator, index=named, lineterminator="\n").encode()
    # pandas would put the file's name into the archive.
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)


def _write_workbook(table: pd.DataFrame, path: Path) -> None:
    """Write a workbook of one sheet, whose head stays in view; without dates: equal tables are equal bytes."""
    from datetime import datetime

    import pandas as pd

    if len(table) >= LONGEST_SHEET:
        raise DataError(
            "data.table",
            f"a sheet has room for {LONGEST_SHEET - 1:,} rows, the table has {len(table):,}",
            hint="write .csv or .parquet, or fewer rows: `head`",
        )
    # Numbers that a sheet has no sign for (infinite ones) are left as text.
    options = {"options": {"nan_inf_to_errors": True}}
    with path.open("wb") as file, pd.ExcelWriter(file, engine="xlsxwriter", engine_kwargs=options) as writer:
        writer.book.set_properties({"created": datetime(1980, 1, 1)})
        named = table.index.name is not None
        table.to_excel(writer, sheet_name="table", index=named, freeze_panes=(1, int(named)))
        writer.sheets["table"].autofit()
