from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from spatialrun.methods.deepst.graph import adjacency
from spatialrun.methods.neighbors import nearest_within


@dataclass
class Layers:
    """A hexagonal array of three layers, 40 genes each of its own."""

    counts: csc_matrix
    places: np.ndarray
    layer: np.ndarray

    @property
    def graph(self):
        return adjacency(nearest_within([self.places], 12))


@pytest.fixture(scope="session")
def layers() -> Layers:
    rng = np.random.default_rng(0)
    row, column = np.divmod(np.arange(300), 15)
    places = np.column_stack([column + row % 2 / 2, row * 3**0.5 / 2])
    layer = row // 7
    gene = np.arange(240)
    mean = np.where((gene < 120) & (gene % 3 == layer[:, None]), 4.0, 1.0)
    return Layers(csc_matrix(rng.poisson(mean)), places, layer)
