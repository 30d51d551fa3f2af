"""Clusters of spots that are alike in expression, wherever they lie."""

from __future__ import annotations

from collections.abc import Sequence

from spatialrun.steps.contract import (
    Context,
    Inputs,
    Outputs,
    Parameters,
    Read,
    Shape,
    Site,
    Step,
    parameter,
)
from spatialrun.steps.embed import NEIGHBORS, graph_names
from spatialrun.steps.on_anndata import functions_of


class ClusterLeidenParams(Parameters):
    neighbors_key: str = parameter(NEIGHBORS, "Name of the graph in uns.")
    resolution: float = parameter(
        1.0, "The higher, the more clusters; with n_clusters, the first one tried.", gt=0
    )
    n_clusters: int | None = parameter(
        None, "Search the resolution that gives so many; null for the resolution as it is.", ge=2
    )
    n_iterations: int = parameter(2, "Passes of the algorithm; -1 until nothing improves.", ge=-1)
    use_weights: bool = parameter(True, "Whether connections count by their strength.")
    seed: int = parameter(0, "Seed of the algorithm.", ge=0)
    key_added: str = parameter("leiden", "Column of obs, and name in uns.", output_name=True)


class ClusterLeiden(Step):
    """Cluster the graph of spots that are alike (Leiden, as scanpy runs it with igraph).

    Clusters are numbered by size, 0 the largest. A graph does not have every number of clusters: where
    ``n_clusters`` is not to be had, the nearest number is returned, and the step warns.
    """

    name = "cluster.leiden"
    Params = ClusterLeidenParams
    determinism = "seeded"
    distributions = ("igraph",)
    cite = "Traag, Waltman & van Eck 2019, doi 10.1038/s41598-019-41695-z"
    WRITES = {"labels": "obs/{key_added}", "about": "uns/{key_added}"}

    def reads(self, params: ClusterLeidenParams, site: Site) -> Sequence[Read]:
        return [Read("graph", f"obsp/{graph_names(params.neighbors_key)['connectivities']}")]

    def memory(self, shape: Shape, params: ClusterLeidenParams) -> int:
        """The edges of the graph of 15 neighbours, in both directions, in igraph and on the way there."""
        return 100_000_000 + 4000 * shape.n_obs

    def run(self, inputs: Inputs, params: ClusterLeidenParams, context: Context) -> Outputs:
        import pandas as pd

        from spatialrun.methods.leiden import Leiden

        graph = Leiden(
            inputs["graph"].read(),
            n_iterations=params.n_iterations,
            use_weights=params.use_weights,
            seed=params.seed,
        )
        if params.n_clusters is None:
            found = graph.at(params.resolution)
        else:
            found = graph.into(params.n_clusters, start=params.resolution, log=context.log)
            if found.n_clusters == params.n_clusters:
                context.log(f"found resolution {found.resolution:.4g} for {params.n_clusters} clusters")
            else:
                context.warn(
                    f"no resolution gave {params.n_clusters} clusters: "
                    f"{found.resolution:.4g} gave {found.n_clusters}, which is nearest"
                )
        context.log(f"{found.n_clusters} clusters, modularity {found.modularity:.4f}")
        context.measure(n_found=found.n_clusters, modularity=found.modularity)
        names = pd.Index([str(number) for number in range(found.n_clusters)])
        about = {
            "resolution": found.resolution,
            "random_state": params.seed,
            "n_iterations": params.n_iterations,
        }
        return {
            "labels": pd.Categorical.from_codes(found.labels, names),
            "about": {"params": about, "modularity": found.modularity},
        }


__getattr__ = functions_of(__name__)
