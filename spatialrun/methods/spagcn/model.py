"""SpaGCN's domains of one sample or of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialrun.errors import DataError
from spatialrun.methods.cohort import shared_genes
from spatialrun.methods.neighbors import checked_places, nearest_within
from spatialrun.methods.partition import Domains, Labels, by_size, check_n_clusters, split
from spatialrun.methods.pca import principal_components
from spatialrun.methods.refine import VOTERS, Shape, refine_each
from spatialrun.methods.reporter import SILENT, Reporter
from spatialrun.methods.spagcn.adjacency import aggregate, length_scale
from spatialrun.methods.spagcn.network import train
from spatialrun.methods.spagcn.reference import Search, fit_by_resolution
from spatialrun.methods.spagcn.start import round_weights, start_labels

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_matrix

Array = NDArray[np.float64]

FITTED_SPOTS = 50_000
"""Most spots that loadings are computed from."""
CONSTANT = 1e-9
"""Variance of the first component below which nothing varies but rounding."""
SMOOTHING = 6
"""Nearest spots whose mean the start takes where no array shape is given."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """SpaGCN's parameters, under the names its users know."""

    p: float = 0.5
    """Weight of all other spots together, where the spot itself has 1."""
    num_pcs: int = 50
    lr: float = 0.05
    max_epochs: int = 200
    tol: float = 5e-3
    """Share of labels that change when training stops."""
    refine_shape: Shape = "hexagon"
    search: Literal["mixture", "reference"] = "mixture"
    """``reference``: Leiden starts and a search for a resolution, which may end at another number of domains."""
    res_start: float = 0.7
    res_step: float = 0.1
    """Of ``search: reference``."""


def domains(
    lognorm: csc_matrix,
    coordinates: ArrayLike,
    n_clusters: int = 7,
    *,
    seed: int = 0,
    histology: Array | None = None,
    options: Options | None = None,
    report: Reporter = SILENT,
) -> Domains:
    """Spatial domains of one sample.

    Parameters
    ----------
    lognorm
        (N, G) log-normalised expression, CSC.
    coordinates
        (N, 2) x, y in full-resolution pixels.
    n_clusters
        Domains, 2 to N. The result has exactly as many, refined too; under ``search: reference`` it may have
        others, and a warning says so.
    seed
        Of the mixture's starts; under ``search: reference`` of weights and Leiden.
    histology
        (N,) third coordinate from `histology_coordinate`, for the graph.
    options
        See `Options`.
    report
        Is told the lines that the reference prints, warnings and progress.

    Raises
    ------
    DataError
        ``data.values``: ``n_clusters`` out of bounds, fewer spots or genes than components, genes that do not
        vary. ``data.coordinates``: not finite.

    Notes
    -----
    Hu et al. 2021, 10.1038/s41592-021-01255-8. As there: H = A X with X the principal components and A Gaussian
    weights whose length l gives p; Z = H W + b; Student-t assignment with α = 0.2 towards its own sharpened
    target, by Adam. Changed, because the reference's result hangs on the seed (ARI 0.40 to 0.58 on one section of
    cortex) and often has other than n_clusters domains:

    - The start is a Gaussian mixture with shared covariance at exactly n_clusters domains, on components averaged
      over each spot and its neighbours on the array, the most likely of 40 starts; not Leiden on Z of random
      weights. Leiden has no number of domains to hold to, and cuts expression that is continuous in space.
    - W starts where the start's domains are round (see ``start.round_weights``), b at 0; not at random.
    - One fit; training stops before a domain loses its last spot, so no search for a resolution is needed.
    - A is sparse (weights below 1e-8 are left out) and multiplied once, so memory is linear in spots; above
      50,000 spots loadings and mixture are fitted to a part of them.

    ``search='reference'`` keeps the reference's procedure on our A and X.
    """
    third = None if histology is None else [histology]
    return _partition([lognorm], [coordinates], third, n_clusters, seed, options or Options(), report)[0]


def integrate(
    lognorm: Sequence[csc_matrix],
    coordinates: Sequence[ArrayLike],
    gene_names: Sequence[pd.Index],
    n_clusters: int = 7,
    *,
    seed: int = 0,
    histology: Sequence[Array] | None = None,
    options: Options | None = None,
    report: Reporter = SILENT,
) -> list[Domains]:
    """Shared domains of a cohort: one model, with a graph and a length l for each sample.

    Parameters
    ----------
    lognorm, coordinates, gene_names, histology
        One each a sample, as in `domains`; the genes that all samples have are used.
    n_clusters
        Domains of the cohort; exactly as many in all, though a sample may lack some.
    seed, options, report
        As in `domains`.

    Raises
    ------
    DataError
        As `domains`; ``data.empty`` when the samples share no genes.
    """
    shared, columns = shared_genes(gene_names)
    report.log(f"{len(lognorm)} samples share {len(shared)} genes.")
    on_shared = [sample[:, own] for sample, own in zip(lognorm, columns, strict=True)]
    return _partition(on_shared, coordinates, histology, n_clusters, seed, options or Options(), report)


def _partition(
    expression: list[csc_matrix],
    coordinates: Sequence[ArrayLike],
    histology: Sequence[Array] | None,
    n_clusters: int,
    seed: int,
    options: Options,
    report: Reporter,
) -> list[Domains]:
    from threadpoolctl import threadpool_limits

    sizes = [sample.shape[0] for sample in expression]
    check_n_clusters(n_clusters, sum(sizes))
    places = [checked_places(own) for own in coordinates]
    rng = np.random.default_rng(seed)
    X = _components(expression, options.num_pcs, rng)
    with threadpool_limits(1):
        H = _aggregated(X, places, histology, options.p, report)
        if options.search == "reference":
            labels = _by_reference(H, n_clusters, seed, options, report)
        else:
            labels = _by_mixture(X, H, places, n_clusters, rng, options, report)
    parts = split(by_size(labels), sizes)
    refined = refine_each(parts, places, options.refine_shape)
    return [Domains(*part) for part in zip(parts, refined, split(H, sizes), strict=True)]


def _components(expression: list[csc_matrix], n_components: int, rng: np.random.Generator) -> Array:
    """Principal components of all samples' spots together, (N, C).

    Raises
    ------
    DataError
        ``data.values`` when every gene is constant.
    """
    from scipy.sparse import vstack

    stacked = expression[0] if len(expression) == 1 else vstack([own.tocsr() for own in expression], "csr")
    found = principal_components(stacked, n_components, fitted_on=FITTED_SPOTS, rng=rng)
    if found.variances[0] <= CONSTANT:
        raise DataError(
            "data.values",
            f"all {stacked.shape[1]} genes have the same value in all {stacked.shape[0]} spots",
            hint="Is the layer one of log-normalised expression?",
        )
    return found.scores


def _aggregated(
    X: Array, places: list[Array], histology: Sequence[Array] | None, p: float, report: Reporter
) -> Array:
    """H of all samples, (N, C)."""
    source = "xy coordinates only" if histology is None else "spatial coords + histology image"
    report.log(f"calculating adjacency matrix from {source}.")
    if histology is not None:
        places = [np.column_stack([own, z]) for own, z in zip(places, histology, strict=True)]
    H = []
    for own, part in zip(places, split(X, [len(own) for own in places]), strict=True):
        length = length_scale(own, p)
        report.log(f"recommended l = {length}")
        H.append(aggregate(own, length, part))
    return np.concatenate(H)


def _by_mixture(
    X: Array,
    H: Array,
    places: list[Array],
    n_clusters: int,
    rng: np.random.Generator,
    options: Options,
    report: Reporter,
) -> Labels:
    neighbors = nearest_within(places, VOTERS[options.refine_shape] or SMOOTHING)
    start, n_filled = start_labels(X, neighbors, n_clusters, rng, report)
    if n_filled:
        report.warn(
            f"{n_filled} of {n_clusters} domains start with one spot each: fewer can be told apart in these data"
        )
    W = round_weights(H, start)
    trained = train(
        H,
        W,
        np.zeros(W.shape[1]),
        start,
        lr=options.lr,
        max_epochs=options.max_epochs,
        tol=options.tol,
        keep_domains=True,
        report=report,
    )
    report.log(f"{trained.message}.")
    return trained.labels


def _by_reference(H: Array, n_clusters: int, seed: int, options: Options, report: Reporter) -> Labels:
    search = Search(
        n_clusters=n_clusters,
        res_start=options.res_start,
        res_step=options.res_step,
        lr=options.lr,
        max_epochs=options.max_epochs,
        tol=options.tol,
        seed=seed,
    )
    labels = fit_by_resolution(H, search, report)
    found = len(np.unique(labels))
    if found != n_clusters:
        report.warn(
            f"n_clusters {n_clusters} was asked for, and the reference's search ended at {found} domains: "
            "no resolution that it tried gave as many (`search: mixture` always does)"
        )
    return labels
