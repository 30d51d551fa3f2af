"""The part that keeps an embedding from telling samples apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spatialrun.methods.deepst.network import EMBEDDING

LAYERS = 2
"""Hidden layers of the classifier."""


class _Reversed(torch.autograd.Function):
    """The identity, whose gradient points the other way."""

    @staticmethod
    def forward(_: Any, z: Tensor) -> Tensor:
        return z.view_as(z)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return -gradient


class Adversary(nn.Module):
    """A classifier of samples behind a reversed gradient: what helps it, the network learns to avoid.

    Parameters
    ----------
    sample
        (N,) number of each spot's sample.
    device
        Where to compute.

    Notes
    -----
    Ganin & Lempitsky 2015, arXiv:1409.7495; two hidden layers as DeepST has.
    """

    def __init__(self, sample: NDArray[np.integer], device: torch.device) -> None:
        super().__init__()
        hidden = [part for _ in range(LAYERS) for part in (nn.Linear(EMBEDDING, EMBEDDING), nn.ReLU())]
        self.classifier = nn.Sequential(*hidden, nn.Linear(EMBEDDING, int(sample.max()) + 1)).to(device)
        self._sample = torch.from_numpy(sample.astype(np.int64)).to(device)

    def forward(self, z: Tensor) -> Tensor:
        """Cross entropy of the classifier on embeddings (N, 28)."""
        logits = self.classifier(_Reversed.apply(z))  # type: ignore[no-untyped-call]
        return nn.functional.cross_entropy(logits, self._sample)
