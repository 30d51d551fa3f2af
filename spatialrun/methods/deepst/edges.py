"""Sums over the edges of a symmetric graph, and their gradients: nothing is ever spots by spots."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
"""Torch says so once a process; what is used of it is tested against dense matrices."""


class Edges:
    """The E edges of a graph of N spots on a device, ordered by the spot they lead to.

    Parameters
    ----------
    loops
        (N, N) symmetric in structure, rows sorted, every spot its own neighbour: ``graph.with_loops``.
    device
        Where to compute.
    """

    def __init__(self, loops: csr_matrix, device: torch.device) -> None:
        from scipy.sparse import csr_matrix

        order = csr_matrix((np.arange(loops.nnz), loops.indices, loops.indptr), shape=loops.shape)
        turned = order.T.tocsr()
        turned.sort_indices()
        self.n_spots = int(loops.shape[0])
        self.n_edges = int(loops.nnz)
        self._starts = torch.from_numpy(loops.indptr.astype(np.int32)).to(device)
        self._offsets = self._starts.long()
        self.sources = torch.from_numpy(loops.indices.astype(np.int32)).to(device)
        self.targets = torch.repeat_interleave(
            torch.arange(self.n_spots, dtype=torch.int32, device=device), self._starts.diff()
        )
        self.reverse = torch.from_numpy(turned.data.astype(np.int32)).to(device)

    def weights(self) -> Tensor:
        """1/sqrt(degree degree'), loops counted: weights for convolutions without attention, (E,)."""
        degree = self._offsets.diff().float()
        return degree[self.targets].mul(degree[self.sources]).rsqrt()

    def pairs(self) -> Tensor:
        """Sources and targets as torch_geometric takes them: (2, E) int64."""
        return torch.stack([self.sources, self.targets]).long()

    def matrix(self, values: Tensor) -> Tensor:
        """Values of the edges as a sparse (N, N)."""
        shape = (self.n_spots, self.n_spots)
        return torch.sparse_csr_tensor(self._starts, self.sources, values, shape, check_invariants=False)

    def reversed(self, values: Tensor) -> Tensor:
        """Every edge's value given to the edge in the other direction."""
        return values.index_select(0, self.reverse)

    def products(self, X: Tensor, Y: Tensor) -> Tensor:
        """x_target y_source of every edge, (E,), for X and Y (N, C)."""
        blank = self.matrix(torch.zeros(self.n_edges, dtype=X.dtype, device=X.device))
        products: Tensor = torch.sparse.sampled_addmm(blank, X, Y.t(), beta=0.0).values()
        return products

    def sums(self, values: Tensor) -> Tensor:
        """Sum over the edges that lead to a spot, given to each of them: (E,)."""
        return self._spread(torch.segment_reduce(values, "sum", offsets=self._offsets))

    def largest(self, values: Tensor) -> Tensor:
        """As `sums`, the largest value."""
        return self._spread(torch.segment_reduce(values, "max", offsets=self._offsets))

    def _spread(self, of_spots: Tensor) -> Tensor:
        return of_spots.index_select(0, self.targets)


class _Softmax(torch.autograd.Function):
    """Over the edges that lead to a spot."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, edges: Edges) -> Tensor:
        powers = torch.exp(values - edges.largest(values))
        shares = powers / edges.sums(powers)
        ctx.save_for_backward(shares)
        ctx.edges = edges
        return shares

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (shares,) = ctx.saved_tensors
        weighted = shares * gradient
        return weighted - shares * ctx.edges.sums(weighted), None


class _Aggregate(torch.autograd.Function):
    """Sum of sources' features, weighted: A X with A the edges' weights."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, X: Tensor, edges: Edges) -> Tensor:
        ctx.save_for_backward(weights, X)
        ctx.edges = edges
        return edges.matrix(weights) @ X

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weights, X = ctx.saved_tensors
        edges: Edges = ctx.edges
        gradient = gradient.contiguous()
        return edges.products(gradient, X), edges.matrix(edges.reversed(weights)) @ gradient, None


class _Inner(torch.autograd.Function):
    """z_target z_source of every edge."""

    @staticmethod
    def forward(ctx: Any, Z: Tensor, edges: Edges) -> Tensor:
        ctx.save_for_backward(Z)
        ctx.edges = edges
        return edges.products(Z, Z)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (Z,) = ctx.saved_tensors
        edges: Edges = ctx.edges
        return edges.matrix(gradient + edges.reversed(gradient)) @ Z, None


def softmax(values: Tensor, edges: Edges) -> Tensor:
    """Softmax over the edges that lead to each spot, (E,)."""
    shares: Tensor = _Softmax.apply(values, edges)  # type: ignore[no-untyped-call]
    return shares


def aggregate(weights: Tensor, X: Tensor, edges: Edges) -> Tensor:
    """Sum over a spot's neighbours of weight times features, (N, C), for weights (E,) and X (N, C)."""
    summed: Tensor = _Aggregate.apply(weights, X, edges)  # type: ignore[no-untyped-call]
    return summed


def inner_products(Z: Tensor, edges: Edges) -> Tensor:
    """Products of the embeddings that an edge joins, (E,), for Z (N, C)."""
    products: Tensor = _Inner.apply(Z, edges)  # type: ignore[no-untyped-call]
    return products


def edge_cross_entropy(Z: Tensor, edges: Edges, norm: float) -> Tensor:
    """Cross entropy of the graph that Z predicts, over all pairs of spots.

    Parameters
    ----------
    Z
        (N, C) embedding.
    edges
        Of the graph that is to be predicted.
    norm
        `graph.edge_norm`.

    Notes
    -----
    The reference takes ``binary_cross_entropy_with_logits`` of σ(Z Z') and the adjacency, both times the
    adjacency, as a mean over N² pairs: the sigmoid is applied twice, and off the edges prediction and label are
    0, which is log 2 for each. So it is a sum over edges and a constant, and no more than that.
    """
    pairs = float(edges.n_spots) ** 2
    present = torch.nn.functional.softplus(-torch.sigmoid(inner_products(Z, edges))).sum()
    return norm * (present + (pairs - edges.n_edges) * math.log(2.0)) / pairs
