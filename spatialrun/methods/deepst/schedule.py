"""What DeepST's training is asked for; torch is not needed to say it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

ConvType = Literal[
    "GATConv",
    "GCNConv",
    "SAGEConv",
    "GraphConv",
    "GatedGraphConv",
    "ResGatedGraphConv",
    "TransformerConv",
    "TAGConv",
    "ARMAConv",
    "SGConv",
    "MFConv",
    "RGCNConv",
    "FeaStConv",
    "LEConv",
    "ClusterGCNConv",
]
"""The graph convolutions that DeepST names."""
CONV_TYPES: tuple[str, ...] = get_args(ConvType)


LR = 0.01
"""The reference's 5e-4 leaves the network near its random start: an epoch is one step."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Of the parts of the loss. The published class has 10, 0.1 and 100 as defaults, and is called with 1."""

    mse: float = 1.0
    bce_kld: float = 1.0
    kl: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long, towards what, and from which random numbers."""

    pre_epochs: int = 200
    epochs: int = 200
    conv_type: ConvType = "GATConv"
    weights: Weights = field(default_factory=Weights)
    lr: float = LR
    """Learning rate of Adam's first step; see `rate`."""
    adversary_weight: float = 1.0
    """Of the loss that keeps the embedding from telling samples apart, where there are several; 0 for without."""
    seed: int = 0

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted over both parts: half a cosine from ``lr`` to 0.

        Loshchilov & Hutter 2017, arXiv:1608.03983. The last steps are short ones, so that it hardly matters at
        which of them the training ends; with a constant rate it does.
        """
        return self.lr * (0.5 + 0.5 * math.cos(math.pi * epoch / (self.pre_epochs + self.epochs)))
