from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from spatialrun.methods import mixture


@pytest.fixture
def cloud() -> tuple[np.ndarray, np.ndarray]:
    """Four long parallel clusters, which k-means would cut across."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, 800)
    X = np.column_stack([rng.normal(0, 30, 800), 5 * label + rng.normal(0, 0.6, 800), rng.normal(0, 1, 800)])
    return X @ rng.standard_normal((3, 3)), label


def test_finds_long_clusters(cloud):
    X, label = cloud
    model = mixture.fit(X, 4, np.random.default_rng(0))
    assert adjusted_rand_score(label, model.scores(X).argmax(axis=1)) > 0.98


def test_is_an_optimum_for_scikit_learn_too(cloud):
    X, _ = cloud
    model = mixture.fit(X, 4, np.random.default_rng(0))
    found = model.scores(X).argmax(axis=1)
    means = np.stack([X[found == k].mean(axis=0) for k in range(4)])
    precision = np.linalg.inv(np.cov((X - means[found]).T))
    theirs = GaussianMixture(4, covariance_type="tied", means_init=means, precisions_init=precision, tol=1e-6)
    _, logdet = np.linalg.slogdet(np.cov(X.T, bias=True))
    constant = -0.5 * (3 * np.log(2 * np.pi) + logdet)
    assert model.log_likelihood + constant == pytest.approx(theirs.fit(X).score(X), abs=1e-3)
    assert adjusted_rand_score(theirs.predict(X), found) > 0.98


def test_linear_maps_change_nothing(cloud):
    X, _ = cloud
    mapped = X @ np.array([[2.0, 0, 1], [0, 0.1, 0], [0, 3, 50.0]]) + 7
    a = mixture.fit(X, 4, np.random.default_rng(0))
    b = mixture.fit(mapped, 4, np.random.default_rng(0))
    assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=1e-3)


def test_data_of_lower_rank(cloud):
    X, label = cloud
    flat = np.column_stack([X, X.sum(axis=1)])
    model = mixture.fit(flat, 4, np.random.default_rng(0))
    assert model.whitening.shape == (4, 3)
    assert adjusted_rand_score(label, model.scores(flat).argmax(axis=1)) > 0.98


def test_seeds_lead_to_one_optimum(cloud):
    X, _ = cloud
    found = [mixture.fit(X, 4, np.random.default_rng(seed)).log_likelihood for seed in range(4)]
    assert np.ptp(found) < 1e-3


def test_starts_on_a_part_are_finished_on_all(cloud, monkeypatch):
    X, _ = cloud
    whole = mixture.fit(X, 4, np.random.default_rng(0))
    monkeypatch.setattr(mixture, "START_SPOTS", 200)
    part = mixture.fit(X, 4, np.random.default_rng(0))
    assert part.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-3)
