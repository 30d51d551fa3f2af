"""DeepST's network: an autoencoder of expression, a variational graph autoencoder on its code, soft clusters."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import elu, mse_loss, relu

from spatialrun.methods.deepst.convolution import convolution
from spatialrun.methods.deepst.edges import Edges, edge_cross_entropy
from spatialrun.methods.deepst.schedule import Weights

CODE = (32, 20)
"""Widths of the encoder of expression."""
GRAPH = (64, 8)
"""Widths of the graph's encoder."""
EMBEDDING = CODE[1] + GRAPH[1]
DROPOUT = 0.01
ALPHA = 0.9
"""Degrees of freedom of the soft assignment."""


class Encoded(NamedTuple):
    """What the network makes of N spots."""

    z: Tensor
    """(N, 28): code of the spot's own expression, then of its neighbourhood's."""
    mean: Tensor
    """(N, 8) of the neighbourhood's code."""
    logvar: Tensor
    """(N, 8): its standard deviation is exp(logvar), as in the reference."""
    decoded: Tensor
    """(N, C)."""


class Network(nn.Module):
    """Weights for C components; initial ones are drawn from torch's global generator."""

    def __init__(self, n_components: int, conv_type: str) -> None:
        super().__init__()
        self.encoder = nn.ModuleList([_Layer(n_components, CODE[0]), _Layer(*CODE)])
        self.hidden = convolution(conv_type, CODE[1], GRAPH[0])
        self.hidden_norm = nn.BatchNorm1d(GRAPH[0], track_running_stats=False)
        self.mean = convolution(conv_type, *GRAPH)
        self.logvar = convolution(conv_type, *GRAPH)
        self.decoder = _Layer(EMBEDDING, CODE[0])
        self.output = nn.Linear(CODE[0], n_components)

    def forward(self, x: Tensor, edges: Edges, generator: Generator) -> Encoded:
        """Encode and decode components (N, C); in training with dropout and noise from the generator."""
        code = x
        for layer in self.encoder:
            code = layer(code, generator)
        hidden = relu(self.hidden_norm(self.hidden(code, edges)))
        mean, logvar = self.mean(hidden, edges), self.logvar(hidden, edges)
        drawn = mean
        if self.training:
            noise = torch.randn(mean.shape, generator=generator, device=x.device, dtype=x.dtype)
            drawn = mean + noise * torch.exp(logvar)
        z = torch.cat([code, drawn], dim=1)
        return Encoded(z, mean, logvar, self.output(self.decoder(z, generator)))


class _Layer(nn.Module):
    """Linear, normalised, ELU, dropout.

    Every pass sees all spots, so that it is normalised by their own mean and variance, in training and after:
    running ones would be those of weights that are long gone.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.norm = nn.BatchNorm1d(n_out, eps=0.001, track_running_stats=False)

    def forward(self, x: Tensor, generator: Generator) -> Tensor:
        x = elu(self.norm(self.linear(x)))
        return dropped(x, DROPOUT, generator) if self.training else x


def dropped(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Dropout: every value is 0 with probability ``share``, the others grow to keep the mean."""
    kept = torch.full_like(x, 1.0 / (1.0 - share))
    return x * _with_holes(kept, share, generator)


def masked(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Masking noise: a copy of x in which every value is 0 with probability ``share``."""
    return _with_holes(x.clone(), share, generator)


def _with_holes(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Set values to 0, each with probability ``share``, at the cost of those that are.

    A Poisson number of hits at any places, of rate -log(1 - share) each: a place is hit with probability
    ``share``, independently of all others.
    """
    rate = torch.tensor([-math.log1p(-share) * x.numel()], device=x.device, dtype=torch.float64)
    n_hits = int(torch.poisson(rate, generator=generator))
    hits = torch.randint(x.numel(), (n_hits,), generator=generator, device=x.device)
    x.view(-1)[hits] = 0.0
    return x


def reconstruction_loss(
    encoded: Encoded, x: Tensor, edges: Edges, norm: float, weights: Weights, generator: Generator | None
) -> Tensor:
    """Of components, of the graph, and of the code's divergence from a standard normal.

    Parameters
    ----------
    encoded
        What the network made of x, or of x with noise.
    x
        (N, C).
    edges, norm
        The graph.
    weights
        Of the parts.
    generator
        Of the dropout before the graph is predicted; ``None``: no dropout.

    Notes
    -----
    To the letter of the reference: std = exp(logvar),
    KLD = -0.5/N mean(sum(1 + 2 logvar - mean² - exp(logvar)²)).
    """
    mean, logvar = encoded.mean, encoded.logvar
    z = encoded.z if generator is None else dropped(encoded.z, DROPOUT, generator)
    bce = edge_cross_entropy(z, edges, norm)
    kld = -0.5 / len(x) * (1.0 + 2.0 * logvar - mean.square() - logvar.exp().square()).sum(dim=1).mean()
    return weights.mse * mse_loss(encoded.decoded, x) + weights.bce_kld * (bce + kld)


def soft_assignment(z: Tensor, centroids: Tensor) -> Tensor:
    """Student's t with 0.9 degrees of freedom around the centroids (K, 28): (N, K), rows of sum 1."""
    squares = (z[:, None, :] - centroids).square().sum(dim=2)
    q = (1.0 / (1.0 + squares / ALPHA + 1e-8)) ** ((ALPHA + 1.0) / 2.0)
    return q / q.sum(dim=1, keepdim=True)


def sharpened(q: Tensor) -> Tensor:
    """The target of assignments q: q²/Σq over spots, rows of sum 1."""
    p = q.square() / q.sum(dim=0)
    return p / p.sum(dim=1, keepdim=True)
