"""Embeddings: principal components, the graph of spots that are alike, and maps of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from spatialrun.errors import DataError, Where
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
from spatialrun.steps.on_anndata import functions_of

if TYPE_CHECKING:
    import numpy as np

NEIGHBORS = "neighbors"
"""Where scanpy looks for a graph of neighbours unless one says so."""
LIBRARIES = 350_000_000
"""Memory of scanpy, umap and what they compile."""


class EmbedPcaParams(Parameters):
    layer: str = parameter("lognorm", "Layer to decompose.")
    n_comps: int = parameter(50, "How many components.", unit="components", ge=1)
    mask_var: str | None = parameter(
        None, "Column of var: only genes where it is true (vst.hvg); null for all genes."
    )
    key_added: str = parameter("pca", "Name of the arrays in obsm and varm, and in uns.", output_name=True)


class EmbedPca(Step):
    """Find the principal components of expression, which stays sparse: of every spot, at any size.

    ``obsm`` has the spots' scores, ``varm`` the genes' loadings (0 for genes that are masked out), ``uns`` the
    variance of each component and its share. Components are those of ``scanpy.pp.pca``, up to their signs.
    """

    name = "embed.pca"
    Params = EmbedPcaParams
    READS = {"layer": "layers/{layer}"}
    WRITES = {"scores": "obsm/{key_added}", "loadings": "varm/{key_added}", "about": "uns/{key_added}"}

    def reads(self, params: EmbedPcaParams, site: Site) -> Sequence[Read]:
        reads = super().reads(params, site)
        if params.mask_var is None:
            return reads
        return [*reads, Read("mask", f"var/{params.mask_var}")]

    def memory(self, shape: Shape, params: EmbedPcaParams) -> int:
        """The layer (8 bytes a nonzero), Lanczos' vectors, and the scores."""
        vectors = 16 * (2 * params.n_comps + 20) * shape.n_vars
        return 20_000_000 + 9 * shape.nnz + vectors + 8 * params.n_comps * shape.n_obs

    def run(self, inputs: Inputs, params: EmbedPcaParams, context: Context) -> Outputs:
        import numpy as np

        from spatialrun.methods.pca import converged_components, total_variance

        X = inputs["layer"].read()
        if X.dtype != np.float32:
            X = X.astype(np.float32)
        genes = np.arange(X.shape[1])
        if "mask" in inputs:
            genes = _marked(inputs["mask"].read(), str(params.mask_var))
            X = X[:, genes]
        total = total_variance(X)
        if total == 0:
            raise DataError(
                "data.values",
                f"all {len(genes)} genes have the same value in all {X.shape[0]} spots",
                where=Where(slot=f"layers/{params.layer}"),
                hint="Is the layer one of expression, and the mask one of genes that are expressed?",
            )
        found = converged_components(X, params.n_comps)
        ratio = found.variances / total
        loadings = np.zeros((inputs["layer"].meta["shape"][1], params.n_comps))
        loadings[genes] = found.loadings
        context.log(
            f"{params.n_comps} components of {len(genes)} genes hold {ratio.sum():.1%} of the variance"
        )
        about = {"layer": params.layer, "mask_var": params.mask_var or "", "zero_center": True}
        return {
            "scores": found.scores.astype(np.float32),
            "loadings": loadings,
            "about": {"variance": found.variances, "variance_ratio": ratio, "params": about},
        }


class EmbedNeighborsParams(Parameters):
    use_rep: str = parameter("pca", "Array of obsm in which spots are near each other.")
    n_pcs: int | None = parameter(
        None, "Use only the first components; null for all.", unit="components", ge=1
    )
    n_neighbors: int = parameter(15, "Neighbours of a spot, itself included.", unit="spots", ge=2)
    metric: Literal["euclidean", "cosine", "manhattan", "correlation"] = parameter("euclidean", "Distance.")
    transformer: Literal["sklearn", "pynndescent"] | None = parameter(
        None, "sklearn: compare all pairs; pynndescent: approximately; null: the latter above 50,000 spots."
    )
    seed: int = parameter(0, "Seed of the approximate search.", ge=0)
    key_added: str = parameter(
        NEIGHBORS, "Name in uns; other than neighbors, it begins the names in obsp too.", output_name=True
    )


class EmbedNeighbors(Step):
    """Find the spots that are most alike in expression, wherever they lie, and connect them (UMAP's graph).

    scanpy's tools find the graph where they look for it: ``obsp/distances``, ``obsp/connectivities`` and
    ``uns/neighbors``.
    """

    name = "embed.neighbors"
    Params = EmbedNeighborsParams
    determinism = "seeded"
    distributions = ("pynndescent", "scikit-learn", "umap-learn")
    cite = "McInnes, Healy & Melville 2018, arXiv:1802.03426"
    READS = {"rep": "obsm/{use_rep}"}

    def writes(self, params: EmbedNeighborsParams, site: Site) -> Sequence[Write]:
        names = graph_names(params.key_added)
        return [Write("about", f"uns/{params.key_added}"), *(Write(n, f"obsp/{s}") for n, s in names.items())]

    def memory(self, shape: Shape, params: EmbedNeighborsParams) -> int:
        """Components twice, candidates of the search, and the graph a few times on its way to symmetry."""
        return LIBRARIES + shape.n_obs * (2000 + 160 * params.n_neighbors)

    def run(self, inputs: Inputs, params: EmbedNeighborsParams, context: Context) -> Outputs:
        from spatialrun.methods.expression_graph import neighbor_graph

        X = first_components(inputs["rep"].read(), params.use_rep, params.n_pcs)
        graph = neighbor_graph(
            X,
            params.n_neighbors,
            metric=params.metric,
            search=params.transformer,
            seed=params.seed,
            threads=context.threads,
        )
        names = graph_names(params.key_added)
        about: dict[str, Any] = {
            "n_neighbors": params.n_neighbors,
            "method": "umap",
            "random_state": params.seed,
            "metric": params.metric,
            "use_rep": params.use_rep,
        }
        if params.n_pcs is not None:
            about["n_pcs"] = params.n_pcs
        keys = {f"{port}_key": name for port, name in names.items()}
        return {
            "distances": graph.distances,
            "connectivities": graph.connectivities,
            "about": {**keys, "params": about},
        }


class EmbedUmapParams(Parameters):
    neighbors_key: str = parameter(NEIGHBORS, "Name of the graph in uns.")
    use_rep: str = parameter("pca", "Array of obsm that the graph was made from.")
    n_components: int = parameter(2, "Dimensions of the map.", ge=1, le=50)
    min_dist: float = parameter(0.5, "How densely spots may lie.", ge=0)
    spread: float = parameter(1.0, "Width over which they spread.", gt=0)
    maxiter: int | None = parameter(
        None, "Rounds; null for 500, or 200 above 10,000 spots.", unit="rounds", ge=1
    )
    alpha: float = parameter(1.0, "Learning rate of the first round.", gt=0)
    gamma: float = parameter(1.0, "Weight of repulsion.", ge=0)
    negative_sample_rate: int = parameter(5, "Spots that repel one that is attracted.", ge=1)
    init_pos: str = parameter(
        "spectral", "Where spots start: spectral, random, or an array of obsm (its first columns)."
    )
    seed: int = parameter(0, "Seed of the layout.", ge=0)
    key_added: str = parameter("umap", "Name of the array in obsm, and in uns.", output_name=True)


class EmbedUmap(Step):
    """Draw a map on which spots that are alike in expression lie together (UMAP)."""

    name = "embed.umap"
    Params = EmbedUmapParams
    determinism = "seeded"
    distributions = ("scanpy", "umap-learn")
    cite = "McInnes, Healy & Melville 2018, arXiv:1802.03426"
    READS = {"rep": "obsm/{use_rep}"}
    WRITES = {"map": "obsm/{key_added}", "about": "uns/{key_added}"}

    def reads(self, params: EmbedUmapParams, site: Site) -> Sequence[Read]:
        connectivities = graph_names(params.neighbors_key)["connectivities"]
        reads = [*super().reads(params, site), Read("graph", f"obsp/{connectivities}")]
        if params.init_pos not in ("spectral", "random"):
            reads.append(Read("start", f"obsm/{params.init_pos}"))
        return reads

    def memory(self, shape: Shape, params: EmbedUmapParams) -> int:
        """The graph of 15 neighbours as edges, with their rounds, and the vectors of the spectral start."""
        return LIBRARIES + 5000 * shape.n_obs

    def run(self, inputs: Inputs, params: EmbedUmapParams, context: Context) -> Outputs:
        from spatialrun.methods.expression_graph import umap

        start: Any = params.init_pos
        if "start" in inputs:
            start = first_components(inputs["start"].read(), params.init_pos, params.n_components)
        found, a, b = umap(
            inputs["graph"].read(),
            inputs["rep"].read(),
            n_components=params.n_components,
            min_dist=params.min_dist,
            spread=params.spread,
            max_iter=params.maxiter,
            alpha=params.alpha,
            gamma=params.gamma,
            negative_sample_rate=params.negative_sample_rate,
            start=start,
            seed=params.seed,
        )
        return {"map": found, "about": {"params": {"a": a, "b": b, "random_state": params.seed}}}


def graph_names(key: str) -> dict[str, str]:
    """What a graph's matrices are called in obsp, as scanpy calls them."""
    ports = ("distances", "connectivities")
    return {port: port if key == NEIGHBORS else f"{key}_{port}" for port in ports}


def first_components(X: np.ndarray, name: str, n: int | None) -> np.ndarray:
    """The first n columns of an array of obsm.

    Raises
    ------
    DataError
        ``data.values`` when it has fewer.
    """
    if n is not None and n > X.shape[1]:
        raise DataError(
            "data.values",
            f"{n} components asked of {name}, which has {X.shape[1]}",
            where=Where(slot=f"obsm/{name}"),
        )
    return X if n is None else X[:, :n]


def _marked(mask: np.ndarray, name: str) -> np.ndarray:
    """The genes where a mask is true."""
    import numpy as np

    where = Where(slot=f"var/{name}")
    if mask.dtype != bool:
        raise DataError(
            "data.values",
            f"the column {name} holds {mask.dtype}, where true or false is needed",
            where=where,
        )
    if not mask.any():
        raise DataError("data.values", f"the column {name} marks no gene", where=where)
    return np.flatnonzero(mask)


__getattr__ = functions_of(__name__)
