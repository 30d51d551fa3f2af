"""SpaGCN's model: one linear layer and a Student-t soft assignment, trained towards its own confidence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spatialrun.methods.reporter import SILENT, Reporter

Array = NDArray[np.float64]
Ints = NDArray[np.int32]

ALPHA = 0.2
"""Degrees of freedom of the Student-t."""
UPDATE_EVERY = 3
"""Epochs between targets, and between checks whether to stop."""
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's."""


@dataclass(frozen=True, eq=False)
class State:
    """What the network says of N spots."""

    Z: Array
    """(N, C)."""
    v: Array
    """(N, K): 1/(1 + d²/ALPHA)."""
    q: Array
    """(N, K): how much each spot belongs to each domain; proportional to v^(1 + ALPHA)."""

    @property
    def labels(self) -> Ints:
        """(N,): the domain of largest q."""
        return np.asarray(self.q.argmax(axis=1), np.int32)


@dataclass(frozen=True, eq=False)
class Network:
    """Z = H W + b, and K centroids μ in Z; trained in place."""

    W: Array
    """(C, C)."""
    b: Array
    """(C,)."""
    mu: Array
    """(K, C)."""

    def forward(self, H: Array) -> State:
        """Soft assignment of spots, H (N, C)."""
        Z = H @ self.W + self.b
        v = 1.0 / (1.0 + _squares(Z, self.mu) / ALPHA + 1e-8)
        weight = v ** (ALPHA + 1.0) / 2.0
        return State(Z, v, weight / weight.sum(axis=1, keepdims=True))

    def gradients(self, H: Array, state: State, target: Array) -> tuple[Array, Array, Array]:
        """Of KL(target || q)/N with respect to W, b and μ.

        ∂KL/∂d²_ik = -(1 + α)/α q v (g - Σ_k g q), with g = ∂KL/∂q.
        """
        q = state.q
        g = -target / (q + 1e-6) / len(H)
        e = -(1 + ALPHA) / ALPHA * q * state.v * (g - (g * q).sum(axis=1, keepdims=True))
        dZ = 2 * (state.Z * e.sum(axis=1, keepdims=True) - e @ self.mu)
        dmu = 2 * (e.sum(axis=0)[:, None] * self.mu - e.T @ state.Z)
        return H.T @ dZ, dZ.sum(axis=0), dmu


def _squares(Z: Array, mu: Array) -> Array:
    """Squared distances (N, K)."""
    squares = (Z**2).sum(axis=1)[:, None] - 2 * Z @ mu.T + (mu**2).sum(axis=1)
    return np.asarray(np.maximum(squares, 0.0))


def target_of(q: Array) -> Array:
    """Target p (N, K): q sharpened, and evened out over domains."""
    weight = q**2 / q.sum(axis=0)
    target: Array = weight / weight.sum(axis=1, keepdims=True)
    return target


@dataclass
class _Adam:
    """Steps of equal size for parameters of any scale (Kingma & Ba 2015, arXiv:1412.6980)."""

    lr: float
    t: int = 0
    first: list[Array] = field(default_factory=list)
    second: list[Array] = field(default_factory=list)

    def step(self, parameters: tuple[Array, ...], gradients: tuple[Array, ...]) -> None:
        """Change ``parameters`` in place."""
        if not self.first:
            self.first = [np.zeros_like(value) for value in parameters]
            self.second = [np.zeros_like(value) for value in parameters]
        self.t += 1
        for value, gradient, m, s in zip(parameters, gradients, self.first, self.second, strict=True):
            m += (1 - BETA1) * (gradient - m)
            s += (1 - BETA2) * (gradient**2 - s)
            value -= self.lr * (m / (1 - BETA1**self.t)) / (np.sqrt(s / (1 - BETA2**self.t)) + EPSILON)


@dataclass(frozen=True, eq=False)
class Training:
    """Where training ended."""

    labels: Ints
    """(N,) of 0 to K - 1."""
    message: str
    """Why it stopped, as a line of the log."""
    converged: bool
    """Whether that was because labels no longer change."""


def train(
    H: Array,
    W: Array,
    b: Array,
    labels: Ints,
    *,
    lr: float,
    max_epochs: int,
    tol: float,
    keep_domains: bool = False,
    report: Reporter = SILENT,
) -> Training:
    """Train from a start.

    Parameters
    ----------
    H
        (N, C) aggregated expression.
    W, b
        (C, C), (C,) start of the layer.
    labels
        (N,) of 0 to K - 1, none empty; the centroids start at the means of their spots.
    lr, max_epochs
        Of Adam, on all spots at once.
    tol
        Stop when fewer than this share of the labels change; looked at where (epoch - 1) % 3 == 0.
    keep_domains
        Stop before a domain loses its last spot.
    report
        Is told how many epochs are done.
    """
    Z = H @ W + b
    K = int(labels.max()) + 1
    mu = np.stack([Z[labels == domain].mean(axis=0) for domain in range(K)])
    network = Network(W.copy(), b.copy(), mu)
    adam = _Adam(lr)
    state = network.forward(H)
    target = target_of(state.q)
    last = reached = labels
    for epoch in range(max_epochs):
        if epoch % UPDATE_EVERY == 0:
            target = target_of(state.q)
        adam.step((network.W, network.b, network.mu), network.gradients(H, state, target))
        found = state.labels
        delta, last = float((found != last).mean()), found
        state = network.forward(H)
        if keep_domains and len(np.unique(state.labels)) < K:
            return Training(reached, f"a domain would vanish, stopping at epoch {epoch}", False)
        reached = state.labels
        report.progress(epoch + 1, max_epochs, "epochs")
        if epoch > 0 and (epoch - 1) % UPDATE_EVERY == 0 and delta < tol:
            why = f"delta_label {delta:.6f} < tol {tol:g}, stopping at epoch {epoch}"
            return Training(reached, why, True)
    return Training(reached, f"stopping after {max_epochs} epochs", False)
