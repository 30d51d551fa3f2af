"""Domains of one sample or of a cohort: genes, components, neighbours, mixture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialrun.methods import mixture
from spatialrun.methods.cohort import shared_genes
from spatialrun.methods.multispati.embedding import Embedding, embed
from spatialrun.methods.multispati.expression import Columns, standardised, variable_genes
from spatialrun.methods.neighbors import mean_of, nearest_within
from spatialrun.methods.partition import Domains, by_size, check_n_clusters, split
from spatialrun.methods.pca import principal_components
from spatialrun.methods.refine import Shape, refine_each
from spatialrun.methods.reporter import SILENT, Reporter

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_matrix

Array = NDArray[np.float64]

FITTED_SPOTS = 50_000
"""Most spots that loadings are fitted to; all spots get a domain."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be chosen; the defaults are the published recipes' and hold for Visium."""

    n_genes: int = 3000
    """Highly variable genes, unless the caller marks genes."""
    n_pcs: int = 100
    """Principal components of the z-scores."""
    n_components: int = 20
    """Spatial components that are clustered."""
    embedding: Embedding = "multispati"
    k: int = 6
    """Neighbours of a spot."""
    starts: int = mixture.STARTS
    """Starts of the mixture."""
    refine_shape: Shape = "hexagon"


def domains(
    counts: csc_matrix,
    coordinates: ArrayLike,
    n_clusters: int = 7,
    *,
    seed: int = 0,
    genes: NDArray[np.bool_] | None = None,
    options: Options | None = None,
    report: Reporter = SILENT,
) -> Domains:
    """Spatial domains of one sample.

    Parameters
    ----------
    counts
        (N, G) raw counts, CSC.
    coordinates
        (N, 2), any unit.
    n_clusters
        Domains, 2 to N; the result has exactly as many, refined too.
    seed
        Of the mixture's starts. Most of them lead to one optimum: expect the labels of seeds to be alike.
    genes
        (G,) bool: use these instead of choosing ``options.n_genes`` by vst.
    options
        See `Options`.
    report
        Is told of warnings and progress.

    Raises
    ------
    DataError
        ``data.values``: ``n_clusters`` out of bounds, fewer spots or genes than components, genes that do not
        vary. ``data.coordinates``: not finite.

    Notes
    -----
    log1p of counts at 10,000 a spot, z-scores clipped at 10, principal components T, MULTISPATI components of T
    smoothed over the spot and its ``k`` neighbours, Gaussian mixture with shared covariance. Linear in spots;
    above 50,000 spots loadings and mixture are fitted to a part of them.
    """
    options = options or Options()
    check_n_clusters(n_clusters, counts.shape[0])
    rng = np.random.default_rng(seed)
    columns = np.arange(counts.shape[1]) if genes is None else np.flatnonzero(genes)
    if genes is None:
        columns = columns[variable_genes([counts], [columns], options.n_genes, rng)]
    return _partition([counts], [columns], [coordinates], n_clusters, rng, options, report)[0]


def integrate(
    counts: Sequence[csc_matrix],
    coordinates: Sequence[ArrayLike],
    gene_names: Sequence[pd.Index],
    n_clusters: int = 7,
    *,
    seed: int = 0,
    options: Options | None = None,
    report: Reporter = SILENT,
) -> list[Domains]:
    """Shared domains of a cohort: components and mixture of all spots together, neighbours within each sample.

    Parameters
    ----------
    counts, coordinates, gene_names
        One each a sample, as in `domains`; the genes that all samples have are used. Depth is counted over all
        genes of a sample.
    n_clusters
        Domains of the cohort; exactly as many in all, though a sample may lack some.
    seed, options, report
        As in `domains`.

    Raises
    ------
    DataError
        As `domains`; ``data.empty`` when the samples share no genes.
    """
    options = options or Options()
    shared, columns = shared_genes(gene_names)
    report.log(f"{len(counts)} samples share {len(shared)} genes.")
    rng = np.random.default_rng(seed)
    chosen = variable_genes(counts, columns, options.n_genes, rng)
    columns = [own[chosen] for own in columns]
    return _partition(counts, columns, coordinates, n_clusters, rng, options, report)


def _partition(
    counts: Sequence[csc_matrix],
    columns: Sequence[Columns],
    coordinates: Sequence[ArrayLike],
    n_clusters: int,
    rng: np.random.Generator,
    options: Options,
    report: Reporter,
) -> list[Domains]:
    from threadpoolctl import threadpool_limits

    sizes = [sample.shape[0] for sample in counts]
    neighbors = nearest_within(coordinates, options.k)
    report.log(f"{len(columns[0])} genes are used.")
    with threadpool_limits(1):  # the order of sums does not depend on the machine's cores
        X = standardised(counts, columns)
        T = principal_components(X, options.n_pcs, fitted_on=FITTED_SPOTS, rng=rng).scores
        del X
        n_components = min(options.n_components, options.n_pcs)
        E = embed(T, mean_of(neighbors), options.k, n_components, options.embedding)
        labels = by_size(mixture.clusters(E, n_clusters, rng, starts=options.starts, report=report))
    parts = split(labels, sizes)
    refined = refine_each(parts, coordinates, options.refine_shape)
    return [Domains(*part) for part in zip(parts, refined, split(E, sizes), strict=True)]
