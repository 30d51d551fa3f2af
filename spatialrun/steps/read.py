"""Readers: a sample's files as slots. Ingest and filter are two stages: new filters ingest nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spatialrun.errors import RecipeError
from spatialrun.steps.contract import (
    Context,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Shape,
    Site,
    StagedStep,
    Write,
    parameter,
)
from spatialrun.steps.regex import Regex

if TYPE_CHECKING:
    from spatialrun.readers.headers import Headers
    from spatialrun.readers.sample import Sample
    from spatialrun.readers.visium_hd import Squares
    from spatialrun.readers.zarr_store import Located

IMAGES = "images/"
ARRAYS = "obsm/"
ESSENTIAL = (
    "axes/obs",
    "axes/var",
    "layers/counts",
    "obs/total_counts",
    "obs/n_genes_by_counts",
    "obsm/spatial",
    "uns/spatial",
)
"""What every reader writes."""


class FilterParams(Parameters):
    in_tissue: bool = parameter(
        True, "Keep only the spots that lie on tissue, where the file says it.", late=True
    )
    min_counts: int = parameter(0, "Least counts of a spot.", unit="counts", late=True, ge=0)
    min_genes: int = parameter(
        0, "Least number of genes that a spot has counts of.", unit="genes", late=True, ge=0
    )
    min_spots: int = parameter(
        0, "In how many of the kept spots a gene must have counts.", unit="spots", late=True, ge=0
    )
    genes: Regex | None = parameter(
        None, "Regular expression, searched for in symbols: the genes to keep.", late=True
    )
    exclude_genes: Regex | None = parameter(
        None, "Regular expression, searched for in symbols: genes to leave out.", late=True
    )


class Reader(StagedStep):
    """What all readers share: which slots a file brings, and the filters of the second stage."""

    @abstractmethod
    def headers(self, params: Any, site: Site) -> Headers:
        """Size and names of what the file will bring."""

    @abstractmethod
    def ingest(self, inputs: Inputs, params: Any, context: Context) -> Sample:
        """Read the file, whole."""

    def writes(self, params: Any, site: Site) -> Sequence[Write]:
        slots = ("axes/obs", "axes/var", *self.headers(params, site).slots, "uns/spatial")
        return [Write(slot, slot) for slot in slots]

    def peek(self, params: Any, site: Site) -> Shape | None:
        if site.path is None:
            return None
        n_spots, n_genes, nnz = self.headers(params, site).size
        return Shape(n_spots, n_genes, n_spots * n_genes if nnz is None else nnz)

    def memory(self, shape: Shape, params: Any) -> int:
        """The matrix as in the file and by gene (8 to 12 bytes a count each); two images."""
        return 24 * shape.nnz + 200 * (shape.n_obs + shape.n_vars) + 60_000_000

    def setup(self, inputs: Inputs, params: Any, context: Context) -> Outputs:
        sample = self.ingest(inputs, params, context)
        return {
            "counts": sample.counts,
            "obs": sample.obs,
            "var": sample.var,
            "spatial": sample.spatial,
            "about": {"scalefactors": dict(sample.scalefactors), "metadata": dict(sample.metadata)},
            **{IMAGES + name: pixels for name, pixels in sample.images.items()},
            **{ARRAYS + name: values for name, values in sample.obsm.items()},
        }

    def combine(self, setup: Inputs, inputs: Inputs, params: FilterParams, context: Context) -> Outputs:
        from spatialrun.readers.filter import filter_sample
        from spatialrun.readers.sample import Sample

        about = setup["about"].read()
        whole = Sample(
            counts=setup["counts"].stream(),
            obs=setup["obs"].read(),
            var=setup["var"].read(),
            spatial=setup["spatial"].read(),
            scalefactors=about.get("scalefactors", {}),
            metadata=about.get("metadata", {}),
            images=_group(setup, IMAGES),
            obsm=_group(setup, ARRAYS),
        )
        kept = filter_sample(
            whole,
            in_tissue=params.in_tissue,
            min_counts=params.min_counts,
            min_genes=params.min_genes,
            min_spots=params.min_spots,
            genes=params.genes,
            exclude_genes=params.exclude_genes,
        )
        context.log(f"{kept.shape[0]} of {whole.shape[0]} spots, {kept.shape[1]} of {whole.shape[1]} genes")
        return _slots(kept)


class ReadVisiumParams(FilterParams):
    matrix: Literal["auto", "filtered", "raw"] = parameter(
        "auto", "Which counts matrix: spots on tissue, all spots, or filtered where it exists and else raw."
    )
    unplaced: Literal["error", "drop"] = parameter(
        "error", "What to do about barcodes without a position: stop, or leave these spots out."
    )


class ReadVisium(Reader):
    """Read a Space Ranger folder (Visium, versions 1 to 3, CytAssist): the sample's ``path``.

    A sample without a path is read from the folder that ``simulate.visium`` writes.
    """

    name = "read.visium"
    Params = ReadVisiumParams

    def reads(self, params: ReadVisiumParams, site: Site) -> Sequence[Read]:
        return [] if site.path is not None else [Read("files", "files/spaceranger")]

    def externals(self, params: ReadVisiumParams, site: Site) -> Mapping[str, Path]:
        from spatialrun.readers import spaceranger

        return {} if site.path is None else spaceranger.locate(site.path, matrix=params.matrix).roles()

    def headers(self, params: ReadVisiumParams, site: Site) -> Headers:
        from spatialrun.readers import spaceranger

        if site.path is None:
            return _simulated_headers()
        return spaceranger.headers(spaceranger.locate(site.path, matrix=params.matrix))

    def ingest(self, inputs: Inputs, params: ReadVisiumParams, context: Context) -> Sample:
        from spatialrun.readers import spaceranger

        if "files" in inputs:
            files = spaceranger.locate(inputs["files"].path, matrix=params.matrix)
        else:
            files = spaceranger.SpaceRangerFiles(**inputs.externals)
        return spaceranger.read(files, unplaced=params.unplaced, warn=context.warn)


class ReadVisiumHdParams(ReadVisiumParams):
    bin_um: int | None = parameter(
        None,
        "Side of a bin: one that Space Ranger wrote, or a multiple of it, made by adding up; null for the "
        "folder's own, of several 8.",
        unit="micrometres",
        ge=1,
    )


@dataclass(frozen=True)
class MergedShape(Shape):
    """Size of a sample whose bins are made of ``n_read`` finer ones (the same number, where they are not)."""

    n_read: int


class ReadVisiumHd(Reader):
    """Read Visium HD as Space Ranger wrote it: the sample's ``path`` is its ``outs``, or one folder of bins.

    A sample without a path is read from the folder that ``simulate.visium_hd`` writes. The matrix is read in
    parts and never whole in memory; a reading that was killed goes on.
    """

    name = "read.visium_hd"
    Params = ReadVisiumHdParams

    def reads(self, params: ReadVisiumHdParams, site: Site) -> Sequence[Read]:
        return [] if site.path is not None else [Read("files", "files/spaceranger")]

    def externals(self, params: ReadVisiumHdParams, site: Site) -> Mapping[str, Path]:
        return {} if site.path is None else self._located(site.path, params).files.roles()

    def headers(self, params: ReadVisiumHdParams, site: Site) -> Headers:
        from spatialrun.readers import visium_hd

        return (
            _simulated_headers() if site.path is None else visium_hd.headers(self._located(site.path, params))
        )

    def peek(self, params: ReadVisiumHdParams, site: Site) -> MergedShape | None:
        from spatialrun.readers import spaceranger, visium_hd

        if site.path is None:
            return None
        squares = self._located(site.path, params)
        size = spaceranger.peek(squares.files)
        n_spots, n_genes, nnz = visium_hd.merged(size, squares.factor)
        return MergedShape(n_spots, n_genes, n_spots * n_genes if nnz is None else nnz, size.n_spots)

    def memory(self, shape: Shape, params: ReadVisiumHdParams) -> int:
        """Parts as they are sorted, and the images; names and places of all bins that are read."""
        n_read = shape.n_read if isinstance(shape, MergedShape) else shape.n_obs
        return 1_000_000_000 + 300 * n_read

    def ingest(self, inputs: Inputs, params: ReadVisiumHdParams, context: Context) -> Sample:
        from spatialrun.readers import visium_hd

        if "files" in inputs:
            squares = self._located(inputs["files"].path, params)
        else:
            squares = visium_hd.located(inputs.externals, params.bin_um)
        if squares.factor > 1:
            context.log(f"bins are {squares.factor} x {squares.factor} of those of {squares.source_um} µm")
        return visium_hd.read(squares, context.scratch(), unplaced=params.unplaced, reporter=context)

    def _located(self, path: Path, params: ReadVisiumHdParams) -> Squares:
        from spatialrun.readers import visium_hd

        return visium_hd.locate(path, bin_um=params.bin_um, matrix=params.matrix)


def _simulated_headers() -> Headers:
    """Of a folder that does not exist yet: what the writers of simulated samples put there."""
    from spatialrun.readers.headers import TOTALS, Headers, Size

    return Headers(
        size=Size(0, 0, None),
        obs=("in_tissue", "array_row", "array_col", *TOTALS),
        var=("gene_ids", "feature_types", "genome"),
        images=("hires", "lowres"),
    )


class ReadH5adParams(FilterParams):
    skip: tuple[str, ...] = parameter(
        (),
        "Slots of the file to leave out, as patterns (var/spatialde.*), where a step writes them anew.",
        late=True,
    )


class ReadH5ad(Reader):
    """Read an h5ad file: the sample's ``path``.

    Counts are ``layers/counts``, else ``raw/X``, else ``X``, whichever holds whole numbers. Columns of obs
    and var, arrays of obsm, and images and scale factors as scanpy keeps them are taken over.
    """

    name = "read.h5ad"
    Params = ReadH5adParams
    distributions = ("anndata",)

    def externals(self, params: ReadH5adParams, site: Site) -> Mapping[str, Path]:
        from spatialrun.readers import h5ad

        return {"file": h5ad.locate(_path(site, self.name))}

    def headers(self, params: ReadH5adParams, site: Site) -> Headers:
        from spatialrun.readers import h5ad

        return h5ad.headers(_path(site, self.name))

    def writes(self, params: ReadH5adParams, site: Site) -> Sequence[Write]:
        return [write for write in super().writes(params, site) if not _skipped(write.slot, params.skip)]

    def ingest(self, inputs: Inputs, params: ReadH5adParams, context: Context) -> Sample:
        from spatialrun.readers import h5ad

        return h5ad.read(inputs.externals["file"], warn=context.warn)

    def combine(self, setup: Inputs, inputs: Inputs, params: FilterParams, context: Context) -> Outputs:
        assert isinstance(params, ReadH5adParams)
        slots = super().combine(setup, inputs, params, context)
        return {slot: value for slot, value in slots.items() if not _skipped(slot, params.skip)}


class ReadZarrParams(ReadH5adParams):
    table: str | None = parameter(None, "Table of a SpatialData store; null where it has one.")


class ReadZarr(ReadH5ad):
    """Read a zarr store, the sample's ``path``: a table of SpatialData with its images, or AnnData.

    Format 2 or 3, read in parts. Counts and all that goes with them are taken over as from an h5ad file.
    """

    name = "read.zarr"
    version = 2
    Params = ReadZarrParams

    def externals(self, params: ReadH5adParams, site: Site) -> Mapping[str, Path]:
        return self._located(_path(site, self.name), params).files()

    def headers(self, params: ReadH5adParams, site: Site) -> Headers:
        from spatialrun.readers import zarr_store

        return zarr_store.headers(self._located(_path(site, self.name), params))

    def memory(self, shape: Shape, params: ReadH5adParams) -> int:
        """Parts as they are sorted, and the images; names, places and columns of all spots."""
        return 1_200_000_000 + 400 * shape.n_obs

    def ingest(self, inputs: Inputs, params: ReadH5adParams, context: Context) -> Sample:
        from spatialrun.readers import zarr_store

        assert inputs.source is not None
        located = self._located(inputs.source, params)
        return zarr_store.read(located, context.scratch(), reporter=context)

    def _located(self, path: Path, params: ReadH5adParams) -> Located:
        from spatialrun.readers import zarr_store

        assert isinstance(params, ReadZarrParams)
        return zarr_store.locate(path, table=params.table)


class ReadTableParams(FilterParams):
    coordinates: str | None = parameter(
        None, "Table with the spots' places, beside the counts; null where spots are named 16.92x9.015."
    )
    genes_in: Literal["columns", "rows"] = parameter(
        "columns", "Whether genes are columns or rows of the counts."
    )
    x: str = parameter("x", "Column of the coordinates: rightwards.")
    y: str = parameter("y", "Column of the coordinates: downwards.")


class ReadTable(Reader):
    """Read a table of counts (csv, tsv, parquet), the sample's ``path``, with its spots' coordinates."""

    name = "read.table"
    Params = ReadTableParams

    def externals(self, params: ReadTableParams, site: Site) -> Mapping[str, Path]:
        from spatialrun.readers import table

        counts = _path(site, self.name)
        return table.locate(counts, params.coordinates and counts.parent / params.coordinates)

    def headers(self, params: ReadTableParams, site: Site) -> Headers:
        from spatialrun.readers import table

        return table.headers(**self.externals(params, site), genes=params.genes_in, x=params.x, y=params.y)

    def ingest(self, inputs: Inputs, params: ReadTableParams, context: Context) -> Sample:
        from spatialrun.readers import table

        return table.read(
            **inputs.externals, genes=params.genes_in, x=params.x, y=params.y, warn=context.warn
        )


def _path(site: Site, step: str) -> Path:
    if site.path is None:
        raise RecipeError(
            "recipe.missing-key", f"{step} needs the sample's file", hint="Give the sample a `path`."
        )
    return site.path


def _skipped(slot: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern leaves out a slot that a sample can do without."""
    return slot not in ESSENTIAL and any(fnmatchcase(slot, pattern) for pattern in patterns)


def _group(setup: Inputs, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): setup[name].read() for name in setup if name.startswith(prefix)}


def _slots(sample: Sample) -> dict[str, Any]:
    """A sample's slots and their values."""
    import numpy as np

    about = {"scalefactors": dict(sample.scalefactors), "metadata": dict(sample.metadata)}
    slots: dict[str, Any] = {
        "axes/obs": np.asarray(sample.obs_names, dtype=object),
        "axes/var": np.asarray(sample.var_names, dtype=object),
        "layers/counts": sample.counts,
        "obsm/spatial": sample.spatial,
        "uns/spatial": {name: content for name, content in about.items() if content},
    }
    slots |= {f"obs/{name}": _column(values) for name, values in sample.obs.items()}
    slots |= {f"var/{name}": _column(values) for name, values in sample.var.items()}
    slots |= {f"obsm/{name}": values for name, values in sample.obsm.items()}
    slots |= {
        f"images/{name}": _image(pixels, sample.scalefactors.get(f"tissue_{name}_scalef", 1.0))
        for name, pixels in sample.images.items()
    }
    return slots


def _column(values: Any) -> Any:
    """A data frame's column as an array, or as a categorical where it is one."""
    import pandas as pd

    return pd.Categorical(values) if isinstance(values.dtype, pd.CategoricalDtype) else values.to_numpy()


def _image(pixels: Any, scalef: float) -> Any:
    """(c, y, x) with named channels; ``scalef``: image pixels per full-resolution pixel."""
    import xarray

    return xarray.DataArray(
        pixels, dims=("c", "y", "x"), coords={"c": ["r", "g", "b"]}, attrs={"scalef": float(scalef)}
    )
