"""The graph convolutions that DeepST names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from spatialrun.methods.deepst.edges import Edges, aggregate, softmax


def convolution(conv_type: str, n_in: int, n_out: int) -> nn.Module:
    """A convolution over `Edges` from n_in to n_out features a spot; GATConv alone needs no torch_geometric."""
    return Attention(n_in, n_out) if conv_type == "GATConv" else _Geometric(conv_type, n_in, n_out)


class Attention(nn.Module):
    """GATConv with one head, as torch_geometric computes it, on sparse matrices: three times as fast.

    What comes last of projecting and summing over neighbours is done on the narrower side: both are linear.

    Notes
    -----
    Veličković et al. 2018, arXiv:1710.10903.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in))
        self.source = nn.Parameter(torch.empty(1, n_out))
        self.target = nn.Parameter(torch.empty(1, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        for parameter in (self.weight, self.source, self.target):
            nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """Features (N, n_out) from (N, n_in)."""
        n_out, n_in = self.weight.shape
        scores = x @ (self.weight.t() @ torch.cat([self.source, self.target]).t())
        from_source = scores[:, 0].contiguous().index_select(0, edges.sources)
        at_target = scores[:, 1].contiguous().index_select(0, edges.targets)
        shares = softmax(nn.functional.leaky_relu(from_source + at_target, 0.2), edges)
        if n_in < n_out:
            return aggregate(shares, x, edges) @ self.weight.t() + self.bias
        return aggregate(shares, x @ self.weight.t(), edges) + self.bias


class _Geometric(nn.Module):
    """A convolution of torch_geometric; those that weigh edges get the reference's weights."""

    def __init__(self, conv_type: str, n_in: int, n_out: int) -> None:
        super().__init__()
        import torch_geometric.nn as kinds

        # A gated graph convolution cannot narrow; the reference's call of it fails.
        self.narrowing = nn.Linear(n_in, n_out) if conv_type == "GatedGraphConv" and n_in > n_out else None
        make = SPECIAL.get(conv_type, _plain)
        self.convolution: Any = make(getattr(kinds, conv_type), n_in, n_out)
        self.weighs = "edge_weight" in inspect.signature(self.convolution.forward).parameters
        self.typed = conv_type == "RGCNConv"

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        if self.narrowing is not None:
            x = self.narrowing(x)
        pairs = edges.pairs()
        if self.weighs:
            found: Tensor = self.convolution(x, pairs, edge_weight=edges.weights())
        elif self.typed:
            kinds = torch.zeros(pairs.shape[1], dtype=torch.long, device=x.device)
            found = self.convolution(x, pairs, edge_type=kinds)
        else:
            found = self.convolution(x, pairs)
        return found


def _plain(kind: Any, n_in: int, n_out: int) -> Any:
    return kind(n_in, n_out)


SPECIAL: Mapping[str, Callable[[Any, int, int], Any]] = {
    "RGCNConv": lambda kind, n_in, n_out: kind(n_in, n_out, num_relations=1),
    "GatedGraphConv": lambda kind, _, n_out: kind(n_out, num_layers=2),
}
"""Convolutions that take more than two widths."""
