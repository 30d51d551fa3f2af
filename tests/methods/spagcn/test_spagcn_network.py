"""Gradients by hand against differences, and when training stops."""

from __future__ import annotations

import numpy as np
import pytest

from spatialrun.methods.spagcn.network import Network, target_of, train


@pytest.fixture
def network() -> Network:
    rng = np.random.default_rng(0)
    return Network(rng.standard_normal((4, 4)), rng.standard_normal(4), rng.standard_normal((3, 4)))


@pytest.fixture
def spots() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((30, 4))


def test_assignment_to_the_letter(network, spots):
    Z = spots @ network.W + network.b
    squares = ((Z[:, None] - network.mu) ** 2).sum(axis=2)
    q = (1.0 / (1.0 + squares / 0.2 + 1e-8)) ** 1.2 / 2.0
    q /= q.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.forward(spots).q, q, rtol=1e-10)
    p = q**2 / q.sum(axis=0)
    np.testing.assert_allclose(target_of(q), p / p.sum(axis=1, keepdims=True))


def test_gradients_against_differences(network, spots):
    target = target_of(network.forward(spots).q[::-1])

    def loss() -> float:
        q = network.forward(spots).q
        return float((target * np.log(target / (q + 1e-6))).sum(axis=1).mean())

    gradients = network.gradients(spots, network.forward(spots), target)
    for values, gradient in zip((network.W, network.b, network.mu), gradients, strict=True):
        numerical = np.empty_like(values)
        for place in np.ndindex(values.shape):
            kept = values[place]
            values[place] = kept + 1e-6
            above = loss()
            values[place] = kept - 1e-6
            numerical[place] = (above - loss()) / 2e-6
            values[place] = kept
        np.testing.assert_allclose(gradient, numerical, atol=1e-7)


def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(3), 60).astype(np.int32)
    return rng.standard_normal((180, 4)) + 8 * np.eye(4)[label], label


def test_wrong_labels_are_put_right():
    H, label = blobs()
    start = label.copy()
    start[::10] = (start[::10] + 1) % 3
    trained = train(H, np.eye(4), np.zeros(4), start, lr=0.05, max_epochs=100, tol=5e-3)
    np.testing.assert_array_equal(trained.labels, label)


def test_stops_when_labels_stand_still_and_says_so():
    H, label = blobs()
    trained = train(H, np.eye(4), np.zeros(4), label, lr=0.05, max_epochs=100, tol=5e-3)
    assert trained.message == "delta_label 0.000000 < tol 0.005, stopping at epoch 1"


def test_epochs_run_out():
    H, label = blobs()
    trained = train(H, np.eye(4), np.zeros(4), label, lr=0.05, max_epochs=7, tol=0.0)
    assert trained.message == "stopping after 7 epochs"


def test_a_domain_is_kept_from_vanishing():
    H, label = blobs()
    lone = label.copy()
    lone[[0, 60, 120]] = 3  # its centre is in the middle of the three blobs: nobody's nearest
    free = train(H, np.eye(4), np.zeros(4), lone, lr=0.05, max_epochs=1, tol=0.0)
    kept = train(H, np.eye(4), np.zeros(4), lone, lr=0.05, max_epochs=1, tol=0.0, keep_domains=True)
    assert len(set(free.labels)) == 3
    np.testing.assert_array_equal(kept.labels, lone)
    assert kept.message == "a domain would vanish, stopping at epoch 0"
