"""All samples of a recipe as one file or store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spatialrun.errors import DataError, Where
from spatialrun.readers.hdf5 import PACKED
from spatialrun.slots import COHORT, group_of, name_of
from spatialrun.steps.contract import (
    CohortStep,
    Context,
    Inputs,
    Outputs,
    Read,
    Shape,
    Site,
    Write,
    parameter,
)
from spatialrun.steps.destination import Destined
from spatialrun.steps.sample import sample_reads, to_anndata

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

PLAIN_DIAMETER = 1.0
"""Of spots whose sample does not say how wide they are."""


class CohortExport(CohortStep):
    """What exports of all samples share: one file or folder, named by the parameter ``path``."""

    def destination(self, params: Any) -> str:
        return str(params.path)

    def cohort_writes(self, params: Any, site: Site) -> Sequence[Write]:
        return [Write("file", f"exports/{site.step}")]


class ExportH5muParams(Destined):
    path: str = parameter(..., "Where to write, from the recipe's folder.", pattern=r"\.h5mu$")
    x: str | None = parameter(None, "Layer that becomes X; null for lognorm where there is one, else counts.")
    modality: str = parameter("spatial-bin", "What the modality of all spots is called.", min_length=1)


class ExportH5mu(CohortExport):
    """Write the spots of all samples together as one h5mu file, which muon, scanpy and squidpy open.

    Spots are called ``<sample>:<barcode>``, and ``obs["sample"]`` says where they are from (squidpy's
    ``library_key``). Genes that a sample lacks have no counts in it. Columns of var that samples differ in, or
    only some have, are there for each: ``<sample>:<column>``. ``uns["spatial"]`` has the images of all samples,
    other entries of ``uns`` lie under the sample's name. Needs the extra ``h5mu``.
    """

    name = "export.h5mu"
    Params = ExportH5muParams
    distributions = ("anndata", "mudata")

    def reads(self, params: ExportH5muParams, site: Site) -> Sequence[Read]:
        return sample_reads(site, params.x)

    def memory(self, shape: Shape, params: ExportH5muParams) -> int:
        """Three layers (12 bytes a count each) of each and of all, a hundred columns, images as they are."""
        return 80 * shape.nnz + 1600 * (shape.n_obs + shape.n_vars) + 400_000_000

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: ExportH5muParams, context: Context
    ) -> Mapping[str, Outputs]:
        import mudata

        samples = {name: to_anndata(own, params.x, name) for name, own in inputs.items()}
        joined = _joined(samples)
        with mudata.set_options(pull_on_update=False):
            data = mudata.MuData({params.modality: joined})
            path = context.file("file")
            data.write_h5mu(path, **PACKED)
        context.log(f"{len(samples)} samples: {joined.n_obs} spots, {joined.n_vars} genes")
        return {COHORT: {"file": path}}


class ExportSpatialdataParams(Destined):
    path: str = parameter(..., "Folder to write, from the recipe's folder.", pattern=r"\.zarr$")
    x: str | None = parameter(None, "Layer that becomes X; null for lognorm where there is one, else counts.")


class ExportSpatialdata(CohortExport):
    """Write all samples as one SpatialData store, which spatialdata, napari-spatialdata and Vitessce open.

    Every sample is a table (``tables/<sample>``), its images (``images/<sample>_hires``), its spots as circles of
    their true size (``shapes/<sample>_spots``), and a coordinate system of its name, in full-resolution pixels.
    """

    name = "export.spatialdata"
    version = 2
    Params = ExportSpatialdataParams
    distributions = ("anndata", "zarr")

    def reads(self, params: ExportSpatialdataParams, site: Site) -> Sequence[Read]:
        return sample_reads(site, params.x)

    def memory(self, shape: Shape, params: ExportSpatialdataParams) -> int:
        """One sample at a time, of which the shape has the spots of all: three layers and a hundred columns."""
        return 36 * shape.nnz + 800 * (shape.n_obs + shape.n_vars) + 300_000_000

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: ExportSpatialdataParams, context: Context
    ) -> Mapping[str, Outputs]:
        from spatialrun.readers.spatialdata_writer import SpatialDataWriter

        path = context.file("file")
        writer = SpatialDataWriter(path)
        for done, (sample, own) in enumerate(inputs.items(), start=1):
            table = to_anndata(own, params.x, sample)
            if "spatial" not in table.obsm:
                raise DataError(
                    "data.values", "spots have no places", where=Where(sample=sample, slot="obsm/spatial")
                )
            # Images have elements of their own; scanpy's places for them stay, without pixels.
            library = table.uns["spatial"][sample]
            del library["images"]
            images = {name_of(slot): own[slot].read() for slot in own if group_of(slot) == "images"}
            diameter = library["scalefactors"].get("spot_diameter_fullres", PLAIN_DIAMETER)
            writer.add(sample, table, images, float(diameter))
            context.progress(done, len(inputs), "samples")
        writer.close()
        return {COHORT: {"file": path}}


class ExportVitessceParams(Destined):
    path: str = parameter(..., "Where to write, from the recipe's folder.", pattern=r"\.json$")
    data: str = parameter(
        ..., "The store that `export.spatialdata` has written, as seen from this file.", pattern=r"\.zarr/?$"
    )
    url: str = parameter(
        "http://localhost:9000", "Where the folder of this file will be served.", pattern=r"^https?://"
    )
    groups: tuple[str, ...] = parameter((), "Columns of obs that colour and select spots: integrated.")
    image_key: str | None = parameter("hires", "The image that is shown; null for none.")
    name: str = parameter("spatialrun", "Title.")


class ExportVitessce(CohortExport):
    """Write a Vitessce configuration: every sample on its tissue, with genes and domains to choose, in a browser.

    It shows the store of ``export.spatialdata``. Serve the folder of both with leave for other sites to read it:
    ``npx http-server --cors -p 9000 FOLDER``; then open
    ``https://vitessce.io/#?url=http://localhost:9000/NAME.json``.
    """

    name = "export.vitessce"
    Params = ExportVitessceParams

    def reads(self, params: ExportVitessceParams, site: Site) -> Sequence[Read]:
        slots = [f"obs/{name}" for name in params.groups]
        slots += [f"images/{params.image_key}"] if params.image_key else []
        return [Read(slot, slot, optional=True) for slot in slots]

    def memory(self, shape: Shape, params: ExportVitessceParams) -> int:
        return 20_000_000

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: ExportVitessceParams, context: Context
    ) -> Mapping[str, Outputs]:
        import json

        from spatialrun.steps.vitessce import configuration

        groups = {name: [g for g in params.groups if f"obs/{g}" in own] for name, own in inputs.items()}
        images = {
            name: params.image_key if f"images/{params.image_key}" in own else None
            for name, own in inputs.items()
        }
        data = f"{params.url.rstrip('/')}/{params.data.rstrip('/')}"
        path = context.file("file")
        found = configuration(data, groups, images, params.name)
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return {COHORT: {"file": path}}


def _joined(samples: Mapping[str, AnnData]) -> AnnData:
    """All spots of all samples as one; what only some have is kept apart by their names."""
    import anndata
    import pandas as pd

    for name, sample in samples.items():
        sample.obs_names = [f"{name}:{barcode}" for barcode in sample.obs_names]
        own = {column: value for column, value in sample.uns.items() if column != "spatial"}
        sample.uns = {"spatial": sample.uns["spatial"]} | ({name: own} if own else {})
        sample.obs.insert(0, "sample", pd.Categorical([name] * sample.n_obs, categories=list(samples)))
    joined = anndata.concat(
        list(samples.values()), join="outer", merge=None, uns_merge="unique", fill_value=0, index_unique=None
    )
    # In the order of the first sample's genes, then of what others have beside them.
    genes = list(dict.fromkeys(gene for sample in samples.values() for gene in sample.var_names))
    if list(joined.var_names) != genes:
        joined = joined[:, genes].copy()
    joined.var = _columns_of_genes(samples, joined.var_names)
    joined.uns["spatial"] = {name: sample.uns["spatial"][name] for name, sample in samples.items()}
    for column, values in joined.obs.items():
        if values.dtype == object and values.map(lambda value: isinstance(value, bool)).any():
            joined.obs[column] = values.astype("boolean")
    return joined


def _columns_of_genes(samples: Mapping[str, AnnData], genes: pd.Index) -> pd.DataFrame:
    """Columns in which all samples agree under their names, others with the sample's before it."""
    import pandas as pd

    frames = {name: sample.var.reindex(genes) for name, sample in samples.items()}
    columns: dict[str, Any] = {}
    for column in dict.fromkeys(column for frame in frames.values() for column in frame):
        having = {name: frame[column] for name, frame in frames.items() if column in frame}
        first = next(iter(having.values()))
        if len(having) == len(frames) and all(values.equals(first) for values in having.values()):
            columns[column] = first
        else:
            columns |= {f"{name}:{column}": values for name, values in having.items()}
    return pd.DataFrame(columns, index=genes)
