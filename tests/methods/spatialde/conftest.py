"""Small samples on which every formula can also be written out with dense matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Spots with sizes, and genes of very different abundance and dispersion."""

    coordinates: Array
    size: Array
    counts: csc_matrix

    @property
    def columns(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        return self.counts.indptr, self.counts.indices, self.counts.data


@pytest.fixture(scope="session")
def sample() -> Sample:
    """250 spots on a jittered lattice, 60 genes: Poisson to strongly dispersed, 0.05 to 50 counts a spot."""
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(25.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    coordinates = 100.0 * grid + rng.normal(0.0, 5.0, grid.shape)
    size = rng.lognormal(8.0, 0.6, len(grid))
    mean = np.geomspace(0.05, 50.0, 60)
    alpha = np.tile([0.0, 0.05, 0.3, 1.0, 4.0], 12)
    mu = mean * (size / size.mean())[:, None]
    rate = np.where(alpha > 0.0, rng.gamma(1.0 / np.maximum(alpha, 1e-9), alpha, mu.shape), 1.0)
    return Sample(coordinates, size, csc_matrix(rng.poisson(mu * rate).astype(np.int32)))
