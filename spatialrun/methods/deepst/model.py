"""DeepST's domains of one sample or of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialrun.errors import DataError
from spatialrun.methods import mixture
from spatialrun.methods.checkpoint import UNSAVED, Checkpoint
from spatialrun.methods.cohort import shared_genes
from spatialrun.methods.deepst.augmentation import as_rows, augmented, scaled, similarity_weights
from spatialrun.methods.deepst.clustering import communities, most_distinct
from spatialrun.methods.deepst.graph import adjacency
from spatialrun.methods.multispati.expression import variable_genes
from spatialrun.methods.neighbors import checked_places, mean_of, nearest_within
from spatialrun.methods.partition import Domains, Labels, by_size, check_n_clusters, split
from spatialrun.methods.pca import principal_components
from spatialrun.methods.refine import VOTERS, Shape, refine_each
from spatialrun.methods.reporter import SILENT, Reporter

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csc_matrix

    from spatialrun.methods.deepst.schedule import Schedule

Array = NDArray[np.float64]

SIMILARITY_COMPONENTS = 100
"""Components of expression that neighbours are compared by."""
FITTED_SPOTS = 50_000
"""Most spots that loadings are computed from."""
STARTS = 30
"""Of the mixture."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How expression is prepared."""

    n_genes: int | None = 3000
    """Highly variable genes that are used; ``None`` for all, as the reference does."""
    pca_n_comps: int = 200
    spatial_k: int = 30
    """Nearest spots among which the most alike are looked for."""
    neighbour_k: int = 4
    """Ranks by likeness that are looked at, of which neighbour_k - 1 are taken."""
    keep_nearest: bool = True
    """Whether the neighbour most alike is taken; the reference drops it."""
    adjacent_weight: float = 0.3
    target_sum: float = 1.0
    """Counts of a spot before the logarithm; at the reference's 1 it is none: log(1 + x) = x for small x."""
    clip: float | None = 10.0
    """Largest absolute z-score; the reference has none."""


def components(
    counts: Sequence[csc_matrix],
    coordinates: Sequence[ArrayLike],
    options: Augmentation,
    *,
    features: Array | None = None,
    seed: int = 0,
) -> Array:
    """Components of the augmented expression of all samples' spots, (N, C).

    Parameters
    ----------
    counts
        (N_s, G) raw counts of each sample, CSC, on the same genes.
    coordinates
        (N_s, 2) of each, any unit.
    options
        See `Augmentation`.
    features
        (N, F) of the tissue image around the spots.
    seed
        Chooses the spots that loadings are computed from, where there are more than 50,000.

    Raises
    ------
    DataError
        ``data.values``: fewer spots or genes than components, genes that do not vary, features that are not
        finite. ``data.coordinates``: not finite.

    Notes
    -----
    X' = X + adjacent_weight S X with three entries in a row of S, then depth, log1p, z-scores, principal
    components. X' stays sparse, and z-scores are only ever dense in blocks of spots.

    Changed; ``Augmentation(n_genes=None, keep_nearest=False, clip=None)`` is the reference:

    - Of the genes the 3,000 most variable (vst) are used: z-scores give every gene the same weight, and most are
      noise to domains.
    - The spot most alike lends expression; the reference's slice leaves it out.
    - z-scores are clipped at 10: a gene that two spots have would be their only component otherwise.
    """
    rng = np.random.default_rng(seed)
    X = as_rows(_variable(counts, options.n_genes, rng))
    places = [checked_places(own) for own in coordinates]
    _check_features(features, X.shape[0])
    n_alike = min(SIMILARITY_COMPONENTS, min(X.shape) - 1)
    scores = principal_components(X, n_alike, fitted_on=FITTED_SPOTS, rng=rng).scores
    S = similarity_weights(
        scores,
        nearest_within(places, options.spatial_k),
        options.neighbour_k,
        keep_nearest=options.keep_nearest,
        features=features,
    )
    Z = scaled(augmented(X, S, options.adjacent_weight), options.target_sum, options.clip)
    del X
    return principal_components(Z, options.pca_n_comps, fitted_on=FITTED_SPOTS, rng=rng).scores


@dataclass(frozen=True, kw_only=True)
class Partitioning:
    """How components become domains."""

    n_domains: int = 7
    priori: bool = True
    """Whether there are ``n_domains``, or as many as stand apart best."""
    knn_k: int = 12
    """Neighbours of a spot in the graph that is learnt."""
    shape: Shape = "hexagon"
    clustering: Literal["leiden", "mixture"] = "leiden"
    """Leiden as the reference has, or the most likely Gaussian mixture with one covariance."""
    smooth: bool = True
    """Whether the mean of the embedding over a spot and its nearest on the array is partitioned."""


def domains(
    components: Array,
    coordinates: Sequence[ArrayLike],
    options: Partitioning,
    schedule: Schedule,
    *,
    device: str = "cpu",
    checkpoint: Checkpoint = UNSAVED,
    report: Reporter = SILENT,
) -> list[Domains]:
    """Spatial domains of one sample, or shared ones of a cohort.

    Parameters
    ----------
    components
        (N, C) from `components`, of the spots of all samples.
    coordinates
        (N_s, 2) of each sample, any unit; spots are neighbours within a sample.
    options
        See `Partitioning`.
    schedule
        Of the training; its seed is the partition's too.
    device
        To train on, as torch names it.
    checkpoint
        Where the state of the training is saved, and gone on from.
    report
        Is told epochs, losses, resolutions.

    Returns
    -------
    Of each sample. With ``priori`` there are exactly ``n_domains`` in all, refined too, though a sample may lack
    some; ``embedding`` is (N_s, 28): the code of the spot's expression (20) and of its neighbourhood's (8).

    Raises
    ------
    DataError
        ``data.values``: ``n_domains`` out of bounds. ``data.coordinates``: not finite.
    ImportError
        Where torch, or torch_geometric for convolutions that need it, is not installed.

    Notes
    -----
    Xu et al. 2022, 10.1093/nar/gkac901. Changed:

    - Spots are normalised by the mean and variance of all spots that the weights at hand give, as in training.
      The reference keeps running means of a hundred epochs: after 200 epochs an eighth of them is still that of
      the start. Of two sections of cortex, domains of four seeds agreed with each other to an adjusted Rand
      index of 0.63 and 0.66 before, and to 0.74 and 0.79 with this and the rate below.
    - Adam's rate begins at 1e-2 and ends at 0 (``Schedule.rate``). An epoch is one step, and 200 of them end at a
      lower loss the higher the rate is: the reference's 5e-4 leaves much of the random start.
    - Leiden sees the embedding averaged over a spot and its neighbours on the array (``smooth``). Most of the
      embedding is the code of single spots' expression, which is noise to domains; the reference lets neighbours
      vote after the partition, when most of what they know is lost.
    - The resolution is found by bisection, and there are exactly n_domains; not the first of 240 resolutions that
      gives as many, or 0.2.
    - Training stops when no label changes between two targets; the reference compares with < 0, and never stops.
    """
    from spatialrun.methods.deepst.training import train

    places = [checked_places(own) for own in coordinates]
    sizes = [len(own) for own in places]
    if options.priori:
        check_n_clusters(options.n_domains, sum(sizes))
    adversary = len(sizes) > 1 and schedule.adversary_weight > 0
    embedding = train(
        components,
        adjacency(nearest_within(places, options.knn_k)),
        schedule,
        sample=np.repeat(np.arange(len(sizes)), sizes) if adversary else None,
        device=device,
        checkpoint=checkpoint,
        report=report,
    )
    seen = _smoothed(embedding, places, options.shape) if options.smooth else embedding
    parts = split(_labels(seen, options, schedule.seed, report), sizes)
    refined = refine_each(parts, places, options.shape)
    return [Domains(*part) for part in zip(parts, refined, split(embedding, sizes), strict=True)]


def _smoothed(embedding: Any, places: Sequence[Array], shape: Shape) -> Any:
    k = VOTERS[shape] or VOTERS["hexagon"]
    return (embedding + k * (mean_of(nearest_within(places, k)) @ embedding)) / (k + 1)


def _variable(counts: Sequence[csc_matrix], n_genes: int | None, rng: np.random.Generator) -> Sequence[Any]:
    """Counts of the genes that vary most in all samples."""
    every = np.arange(counts[0].shape[1])
    if n_genes is None or n_genes >= len(every):
        return counts
    kept = np.flatnonzero(variable_genes(counts, [every] * len(counts), n_genes, rng))
    return [own[:, kept] for own in counts]


def _labels(embedding: Any, options: Partitioning, seed: int, report: Reporter) -> Labels:
    if not options.priori:
        return by_size(most_distinct(embedding, seed=seed, report=report))
    if options.clustering == "leiden":
        return communities(embedding, options.n_domains, seed=seed, report=report)
    X, rng = embedding.astype(np.float64), np.random.default_rng(seed)
    return by_size(mixture.clusters(X, options.n_domains, rng, starts=STARTS, report=report))


def on_shared_genes(counts: Sequence[csc_matrix], names: Sequence[pd.Index]) -> list[csc_matrix]:
    """Counts of the genes that all samples have, in the first sample's order.

    Raises
    ------
    DataError
        ``data.empty`` when there are none.
    """
    _, columns = shared_genes(names)
    return [own[:, chosen] for own, chosen in zip(counts, columns, strict=True)]


def _check_features(features: Array | None, n_spots: int) -> None:
    if features is None:
        return
    if features.ndim != 2 or len(features) != n_spots:
        raise DataError("data.values", f"features of shape {features.shape} for {n_spots} spots")
    bad = int((~np.isfinite(features)).any(axis=1).sum())
    if bad:
        raise DataError("data.values", f"{bad} of {n_spots} spots have features that are NaN or infinite")
