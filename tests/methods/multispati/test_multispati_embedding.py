"""Components that neighbours share."""

from __future__ import annotations

import numpy as np
import pytest

from spatialrun.methods.multispati.embedding import embed
from spatialrun.methods.neighbors import mean_of, nearest_within

K = 4


@pytest.fixture
def places() -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(20.0), np.arange(15.0)), axis=-1).reshape(-1, 2)


@pytest.fixture
def scores(places) -> np.ndarray:
    """Ten directions of noise; a smooth wave hides in the direction of (1, ..., 1)."""
    rng = np.random.default_rng(0)
    wave = np.sin(places[:, 0] / 5) * np.cos(places[:, 1] / 4)
    T = rng.standard_normal((len(places), 10)) + wave[:, None]
    return T - T.mean(axis=0)


def test_the_first_component_follows_the_spatial_direction(scores, places):
    W = mean_of(nearest_within([places], K))
    first = embed(scores, W, K, 1, "multispati")[:, 0]
    wave = np.sin(places[:, 0] / 5) * np.cos(places[:, 1] / 4)
    assert abs(np.corrcoef(first, wave)[0, 1]) > 0.95


def test_multispati_is_the_eigenproblem_written_out(scores, places):
    W = mean_of(nearest_within([places], K)).toarray()
    M = scores.T @ (W + W.T) @ scores / (2 * len(scores))
    values, vectors = np.linalg.eigh(M)
    expected = (np.eye(len(scores)) + K * W) @ scores @ vectors[:, ::-1][:, :3] / (K + 1)
    found = embed(scores, mean_of(nearest_within([places], K)), K, 3, "multispati")
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)
    assert values[-1] > values[0]


def test_smoothed_takes_the_mean_over_a_spot_and_its_neighbours(scores, places):
    W = mean_of(nearest_within([places], K))
    found = embed(scores, W, K, 2, "smoothed")
    spot = 47
    among = [spot, *W[spot].indices]
    np.testing.assert_allclose(found[spot], scores[among].mean(axis=0)[:2])


def test_reduced_rank_at_full_rank_is_the_regression(scores, places):
    W = mean_of(nearest_within([places], K))
    smoothed = embed(scores, W, K, 10, "smoothed")
    fitted = smoothed @ np.linalg.lstsq(smoothed, scores, rcond=None)[0]
    found = embed(scores, W, K, 10, "reduced_rank")
    np.testing.assert_allclose(found @ found.T, fitted @ fitted.T, atol=1e-8)
