"""Simulated samples with known truth."""

from __future__ import annotations

from typing import Literal

from spatialrun.steps.contract import Context, Inputs, Outputs, Parameters, Shape, Step, parameter


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
        from spatialrun.readers import simulated

        section = simulate_visium(**params.model_dump())
        folder = context.folder("files")
        simulated.write(section, folder)
        truth = simulated.truth(section)
        spots, genes = truth["truth_spots"], truth["truth_genes"]
        # Numbers of domains are names: as categories they are drawn and compared as such.
        return {
            "files": folder,
            "spots": spots.astype({"domain": str}).astype({"domain": "category"}),
            "genes": genes.astype({"pattern": "category"}),
        }


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
    version = 2
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
