"""Gaussian mixture with one covariance for all components: clusters of equal shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.partition import Labels, fill_empty
from spatialrun.methods.reporter import SILENT, Reporter

Array = NDArray[np.float64]

STARTS = 100
"""On sections of cortex one start in five to fifteen reaches the best optimum: a hundred hardly ever miss it."""
START_SPOTS = 10_000
"""Most spots that starts are run on; the best one is finished on all."""
FITTED_SPOTS = 50_000
"""Most spots that `clusters` fits; all of them get a label."""
LLOYD_ROUNDS = 10
MAX_ITERATIONS = 300
TOLERANCE = 1e-5
"""Gain in mean log-likelihood per spot below which a run has converged."""
RIDGE = 1e-6
"""Added to the covariance, in units of the data's total variance."""


@dataclass(frozen=True, eq=False)
class TiedMixture:
    """Weights and means of K components, and the discriminants that follow from the shared covariance.

    A spot's log-density in component k is ``whitened @ slope[k] + offset[k]`` up to a term that all components
    share: with equal covariances the quadratic term cancels.
    """

    mean: Array
    """(D,): of the data."""
    whitening: Array
    """(D, r): to total covariance 1; r is the data's rank."""
    slope: Array
    """(K, r)."""
    offset: Array
    """(K,)."""
    log_likelihood: float
    """Mean per spot, of the whitened data."""

    def scores(self, X: Array) -> Array:
        """Log-densities of spots (N, D) in the components up to a constant of the spot: (N, K)."""
        scores: Array = (X - self.mean) @ (self.whitening @ self.slope.T) + self.offset
        return scores


def fit(
    X: Array,
    n_components: int,
    rng: np.random.Generator,
    *,
    starts: int = STARTS,
    report: Reporter = SILENT,
) -> TiedMixture:
    """Fit by expectation and maximisation from many starts, and keep the most likely.

    Parameters
    ----------
    X
        (N, D).
    n_components
        K, at most N.
    rng
        Draws the starts.
    starts
        How many; each is a short k-means from k-means++ seeds, run to convergence on at most 10,000 spots.
    report
        Is told how many starts are done.

    Notes
    -----
    mclust's model EEE (Scrucca et al. 2016, 10.32614/RJ-2016-021). It does not change under linear maps of X, so
    everything happens in whitened coordinates. Starts must be drawn there too: k-means on raw scores sees the
    first component alone, and ends at worse likelihoods. Σ = Y'Y/N - M' diag(w) M, so an iteration costs
    O(N r K), without a sum over pairs of dimensions. All starts are run to the end, because how likely a start is
    after a few iterations says little about where it will end.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        mean = X.mean(axis=0)
        whitening = _whitening(X - mean)
        Y = (X - mean) @ whitening
        some = Y if len(Y) <= START_SPOTS else Y[np.sort(rng.choice(len(Y), START_SPOTS, replace=False))]
        best = _most_likely(some, n_components, rng, starts, report)
        if some is not Y:
            best.follow(Y)
    return TiedMixture(mean, whitening, best.slope, best.offset, best.log_likelihood)


def clusters(
    X: Array,
    n_clusters: int,
    rng: np.random.Generator,
    *,
    starts: int = STARTS,
    report: Reporter = SILENT,
) -> Labels:
    """Labels of exactly ``n_clusters`` by the most likely mixture, (N,) int32 of 0 to n_clusters - 1.

    Parameters
    ----------
    X
        (N, D).
    n_clusters
        At most N.
    rng
        Draws the starts, and the spots that are fitted where there are more than 50,000.
    starts
        As of `fit`.
    report
        Is told the likelihood, and warned of clusters that are empty but for one spot.
    """
    fitted = X
    if len(X) > FITTED_SPOTS:
        fitted = X[np.sort(rng.choice(len(X), FITTED_SPOTS, replace=False))]
    model = fit(fitted, n_clusters, rng, starts=starts, report=report)
    report.log(f"mixture of {n_clusters} domains: log-likelihood {model.log_likelihood:.4f} a spot.")
    scores = model.scores(X)
    labels, n_empty = fill_empty(scores.argmax(axis=1).astype(np.int32), n_clusters, scores.max(axis=1))
    if n_empty:
        report.warn(
            f"{n_empty} of {n_clusters} domains hold one spot each: fewer can be told apart in these data"
        )
    return labels


def _most_likely(
    Y: Array, n_components: int, rng: np.random.Generator, starts: int, report: Reporter
) -> _Run:
    """The first of the best runs."""
    best = None
    for done in range(1, starts + 1):
        run = _Run(_lloyd(Y, n_components, rng)).follow(Y)
        if best is None or run.log_likelihood > best.log_likelihood:
            best = run
        report.progress(done, starts, "starts")
    assert best is not None
    return best


def _whitening(centred: Array) -> Array:
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = values > max(values[-1], 0.0) * 1e-10
    whitening: Array = vectors[:, kept] / np.sqrt(values[kept])
    return whitening


def _lloyd(Y: Array, n_components: int, rng: np.random.Generator) -> Array:
    """Centres (K, r) after a few rounds of k-means."""
    from sklearn.cluster import kmeans_plusplus

    centres, _ = kmeans_plusplus(Y, n_components, random_state=int(rng.integers(2**31)))
    components = np.arange(n_components)[:, None]
    for _ in range(LLOYD_ROUNDS):
        nearest = (centres @ Y.T - 0.5 * (centres**2).sum(axis=1)[:, None]).argmax(axis=0)
        members = (nearest == components).astype(np.float64)
        sizes = members.sum(axis=1)[:, None]
        centres = np.where(sizes > 0, members @ Y / np.maximum(sizes, 1.0), centres)
    return np.asarray(centres)


class _Run:
    """One start, and where it has led."""

    def __init__(self, centres: Array) -> None:
        self.slope = centres
        self.offset = -0.5 * (centres**2).sum(axis=1) - np.log(len(centres))
        self.precision = np.eye(centres.shape[1])
        self.log_determinant = 0.0
        self.log_likelihood = -np.inf

    def follow(self, Y: Array) -> _Run:
        """E and M steps on whitened spots (N, r), or a part of them, until the likelihood stands still."""
        scatter = Y.T @ Y / len(Y)
        self.log_likelihood = -np.inf
        for _ in range(MAX_ITERATIONS):
            members, reached = self._expected(Y, scatter)
            gain, self.log_likelihood = reached - self.log_likelihood, reached
            if gain < TOLERANCE:
                break
            self._maximise(Y, scatter, members)
        return self

    def _expected(self, Y: Array, scatter: Array) -> tuple[Array, float]:
        """Memberships (K, N) and the mean log-likelihood. Spots run along rows: sums over K are vectorised."""
        members = self.slope @ Y.T + self.offset[:, None]
        highest = members.max(axis=0)
        members -= highest
        np.exp(members, out=members)
        total = members.sum(axis=0)
        members /= total
        shared = -0.5 * (float((self.precision * scatter).sum()) + self.log_determinant)
        return members, float((highest + np.log(total)).mean()) + shared

    def _maximise(self, Y: Array, scatter: Array, members: Array) -> None:
        sizes = members.sum(axis=1) + 1e-9
        weight = sizes / len(Y)
        M = members @ Y / sizes[:, None]
        covariance = scatter + RIDGE * np.eye(len(scatter)) - (M * weight[:, None]).T @ M
        self.precision = np.linalg.inv(covariance)
        self.log_determinant = float(np.linalg.slogdet(covariance)[1])
        self.slope = M @ self.precision
        self.offset = np.log(weight) - 0.5 * (M * self.slope).sum(axis=1)
