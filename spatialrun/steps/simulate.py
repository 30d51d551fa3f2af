"""Simulated samples with known truth."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from spatialrun.errors import UsageError
from spatialrun.steps.contract import (
    CohortStep,
    Context,
    Inputs,
    Outputs,
    Parameters,
    Shape,
    Step,
    parameter,
)

if TYPE_CHECKING:
    from spatialrun.methods.simulate import SimulatedVisium

Spots = Annotated[int, Field(ge=15)]


def _ascending(bounds: tuple[int, int]) -> tuple[int, int]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"give the smaller number first: [{bounds[1]}, {bounds[0]}]")
    return bounds


class SimulateVisiumParams(Parameters):
    n_spots: int = parameter(1000, "Spots on the tissue.", unit="spots", ge=1)
    n_genes: int = parameter(2000, "Genes in all.", unit="genes", ge=1)
    n_domains: int = parameter(5, "Layers of the tissue.", unit="domains", ge=1)
    n_svg: int = parameter(100, "Genes whose expression depends on the place.", unit="genes", ge=0)
    mean_counts: float = parameter(5000.0, "Mean depth of a spot.", unit="counts", gt=0)
    depth_sigma: float = parameter(0.4, "Standard deviation of log depth over spots.", ge=0)
    abundance_sigma: float = parameter(2.0, "Standard deviation of log abundance over genes.", ge=0)
    dispersion: float = parameter(0.3, "Median dispersion alpha: variance is mean + alpha mean^2.", gt=0)
    min_svg_counts: float = parameter(
        200.0, "Genes with fewer expected counts are not made spatially variable.", unit="counts", ge=0
    )
    image_size: int = parameter(2000, "Longer side of the hires image.", unit="pixels", ge=16, le=8000)
    seed: int = parameter(0, "Seed of the random numbers.", ge=0)


class SimulateVisium(Step):
    """Simulate a Visium section with layered domains and planted genes, as a Space Ranger folder.

    ``read.visium`` reads the folder like any other. The truth stays apart from it, in two tables that
    ``annotate.obs`` and ``annotate.var`` can join: ``uns/truth.spots`` (``domain``) and ``uns/truth.genes``
    (``svg``, ``pattern``, ``effect_size``).
    """

    name = "simulate.visium"
    determinism = "seeded"
    distributions = ("numpy",)
    Params = SimulateVisiumParams
    WRITES = {"files": "files/spaceranger", "spots": "uns/truth.spots", "genes": "uns/truth.genes"}

    def memory(self, shape: Shape, params: SimulateVisiumParams) -> int:
        """The image in float64 with its masks, and as many counts as the mean depth can make, a few times."""
        counts = params.n_spots * min(params.n_genes, int(params.mean_counts))
        return 100_000_000 + 120 * params.image_size**2 + 32 * counts

    def run(self, inputs: Inputs, params: SimulateVisiumParams, context: Context) -> Outputs:
        from spatialrun.methods.simulate import simulate_visium

        return _outputs(simulate_visium(**params.model_dump()), context.folder("files"))


class SimulateVisiumHdParams(Parameters):
    n_bins: int = parameter(20_000, "Bins on the tissue.", unit="bins", ge=1)
    n_genes: int = parameter(2000, "Genes in all.", unit="genes", ge=1)
    bin_um: Literal[2, 8, 16] = parameter(8, "Side of a bin.", unit="micrometres")
    n_domains: int = parameter(5, "Layers of the tissue.", unit="domains", ge=1)
    n_svg: int = parameter(200, "Genes whose expression depends on the place.", unit="genes", ge=0)
    mean_counts: float = parameter(350.0, "Mean depth of a bin.", unit="counts", gt=0)
    depth_sigma: float = parameter(0.6, "Standard deviation of log depth over bins.", ge=0)
    abundance_sigma: float = parameter(2.0, "Standard deviation of log abundance over genes.", ge=0)
    dispersion: float = parameter(0.3, "Median dispersion alpha: variance is mean + alpha mean^2.", gt=0)
    min_svg_counts: float = parameter(
        200.0, "Genes with fewer expected counts are not made spatially variable.", unit="counts", ge=0
    )
    image_size: int = parameter(2000, "Longer side of the hires image.", unit="pixels", ge=16, le=8000)
    seed: int = parameter(0, "Seed of the random numbers.", ge=0)


class SimulateVisiumHd(Step):
    """Simulate a Visium HD section of any size, as a Space Ranger folder of one bin size.

    ``read.visium_hd`` reads the folder like any other; the truth stays apart from it, as with
    ``simulate.visium``. Counts are drawn and written a stretch of bins at a time.
    """

    name = "simulate.visium_hd"
    version = 3
    determinism = "seeded"
    distributions = ("numpy",)
    Params = SimulateVisiumHdParams
    WRITES = SimulateVisium.WRITES

    def memory(self, shape: Shape, params: SimulateVisiumHdParams) -> int:
        """A stretch of bins as it is drawn; the image in float64 with its masks; places and names of all bins."""
        return 700_000_000 + 120 * params.image_size**2 + 600 * params.n_bins

    def run(self, inputs: Inputs, params: SimulateVisiumHdParams, context: Context) -> Outputs:
        from spatialrun.methods.simulate import simulate_visium_hd
        from spatialrun.readers import visium_hd_writer

        section = simulate_visium_hd(**params.model_dump())
        folder = context.folder("files")
        visium_hd_writer.write(section, folder, progress=context.progress)
        bins, genes = visium_hd_writer.truth(section)
        return {
            "files": folder,
            "spots": bins.astype({"domain": str}).astype({"domain": "category"}),
            "genes": genes.astype({"pattern": "category"}),
        }


Range = Annotated[tuple[Spots, Spots], AfterValidator(_ascending)]


class SimulateCohortParams(Parameters):
    n_spots: Range | dict[str, Spots] = parameter(
        (1000, 2200), "Spots of every sample, by its name; or the fewest and the most, to draw from.",
        unit="spots",
    )  # fmt: skip
    n_genes: int = parameter(
        5000, "Genes in all, some 170 of them with names that are known.", unit="genes", ge=1
    )
    n_svg: int = parameter(
        600, "Genes by which domains differ, the known ones among them.", unit="genes", ge=0
    )
    mean_counts: float = parameter(6000.0, "Mean depth of a spot; samples differ.", unit="counts", gt=0)
    depth_sigma: float = parameter(0.35, "Standard deviation of log depth over spots.", ge=0)
    abundance_sigma: float = parameter(1.5, "Standard deviation of log abundance over genes.", ge=0)
    dispersion: float = parameter(0.25, "Median dispersion alpha: variance is mean + alpha mean^2.", gt=0)
    batch_sigma: float = parameter(
        0.06, "Standard deviation of a sample's effects on the log abundance of genes.", ge=0
    )
    image_size: int = parameter(2000, "Longer side of the hires images.", unit="pixels", ge=16, le=8000)
    seed: int = parameter(0, "Seed of the random numbers.", ge=0)


class SimulateCohort(CohortStep):
    """Simulate sections through tumours, as Space Ranger folders: 15 domains, laid out anew in each.

    Tumour with its front and its dying core, stroma, vessels, lymphoid follicles and the organ around, told apart
    by genes that are known for them (LUM, CSTB, IGKC ...) and others. A sample is the same whatever others there
    are. The truth is in ``uns/truth.spots`` and ``uns/truth.genes`` of every sample, as with ``simulate.visium``.
    """

    name = "simulate.cohort"
    determinism = "seeded"
    distributions = ("numpy",)
    Params = SimulateCohortParams
    WRITES = SimulateVisium.WRITES

    def memory(self, shape: Shape, params: SimulateCohortParams) -> int:
        """One section at a time, as of ``simulate.visium``, and its layout by pixel."""
        spots = params.n_spots
        most = max(spots.values() if isinstance(spots, dict) else spots)
        counts = most * min(params.n_genes, int(params.mean_counts))
        return 100_000_000 + 200 * params.image_size**2 + 40 * counts

    def run_cohort(
        self, inputs: Mapping[str, Inputs], params: SimulateCohortParams, context: Context
    ) -> Mapping[str, Outputs]:
        from spatialrun.methods.simulate import simulate_cohort

        sizes = {name: _size(name, params) for name in inputs}
        outputs: dict[str, Outputs] = {}
        for name, section in simulate_cohort(sizes, **params.model_dump(exclude={"n_spots"})):
            outputs[name] = _outputs(section, context.folder(f"{name}/files"))
            context.progress(len(outputs), len(sizes), "samples")
        return outputs


def _size(sample: str, params: SimulateCohortParams) -> int:
    """Spots of a sample: as given, or by its name from the range."""
    if isinstance(params.n_spots, dict):
        if sample not in params.n_spots:
            hint = f"`n_spots` has: {', '.join(params.n_spots)}"
            raise UsageError("usage", f"`n_spots` does not say how many spots {sample} has", hint=hint)
        return params.n_spots[sample]
    fewest, most = params.n_spots
    return fewest + zlib.crc32(f"{params.seed} {sample}".encode()) % (most - fewest + 1)


def _outputs(section: SimulatedVisium, folder: Path) -> Outputs:
    """A section's folder and its truth."""
    from spatialrun.readers import simulated

    simulated.write(section, folder)
    truth = simulated.truth(section)
    return {"files": folder, "spots": truth["truth_spots"], "genes": truth["truth_genes"]}
