"""Our start: a mixture on locally averaged components, and weights in which its domains are round."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods import mixture
from spatialrun.methods.neighbors import Ints, mean_of
from spatialrun.methods.partition import Labels, fill_empty
from spatialrun.methods.reporter import SILENT, Reporter

Array = NDArray[np.float64]

FITTED_SPOTS = 50_000
"""Most spots that the mixture is fitted to."""
STARTS = 40
"""Of the mixture. Training follows, and optima of about one likelihood train to about one partition."""
SCALE = 4.0
"""Weights in units of 1/(standard deviation within domains)."""


def start_labels(
    X: Array,
    neighbors: Sequence[Ints],
    n_clusters: int,
    rng: np.random.Generator,
    report: Reporter = SILENT,
) -> tuple[Labels, int]:
    """Domains to start from, exactly ``n_clusters``, and how many of them had to be filled with a spot.

    Parameters
    ----------
    X
        (N, C) expression components.
    neighbors
        Of the spots of each sample, from ``neighbors.nearest_within``.
    n_clusters
        K.
    rng
        Draws the mixture's starts, and the spots it is fitted to.
    report
        Is told how many starts are done.
    """
    k = max(block.shape[1] for block in neighbors)
    smoothed = (X + k * (mean_of(neighbors) @ X)) / (k + 1)
    fitted = smoothed
    if len(X) > FITTED_SPOTS:
        fitted = smoothed[np.sort(rng.choice(len(X), FITTED_SPOTS, replace=False))]
    model = mixture.fit(fitted, n_clusters, rng, starts=STARTS, report=report)
    scores = model.scores(smoothed)
    return fill_empty(scores.argmax(axis=1).astype(np.int32), n_clusters, scores.max(axis=1))


def round_weights(H: Array, labels: Labels) -> Array:
    """W (C, C): in H W the domains of the start have covariance SCALE² on their principal axes.

    Parameters
    ----------
    H
        (N, C) aggregated expression.
    labels
        (N,) of 0 to K - 1, none empty.

    Notes
    -----
    The Student-t takes all directions alike: with round domains its nearest centroid is the mixture's most likely
    component. SCALE makes one of Adam's steps (0.05) a tenth of a typical weight. With the reference's weights,
    ±0.14, a step is a third of one, labels jump, and where training stops is luck: of the scales tried 4 is the
    one at which seeds agree best with each other.
    """
    means = np.stack([H[labels == domain].mean(axis=0) for domain in range(labels.max() + 1)])
    residuals = H - means[labels]
    values, axes = np.linalg.eigh(residuals.T @ residuals / len(H))
    kept = np.maximum(values, values[-1] * 1e-10)
    weights: Array = SCALE * axes[:, ::-1] / np.sqrt(kept[::-1])
    return weights
