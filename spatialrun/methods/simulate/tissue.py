"""The tissue on its slide: an outline and layers, and the spots that lie on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PITCH_UM = 100.0
"""Distance between the centres of neighbouring Visium spots."""
MARGIN_UM = 800.0
"""Frame around the array that the full-resolution image shows."""
SLIDE = (78, 128)
"""Rows and columns of the array of a 6.5 mm slide; every second column of a row holds a spot."""


@dataclass(frozen=True, eq=False)
class Tissue:
    """Outline and layers as functions of the place, so that spots and image agree.

    Places are (..., 2) arrays of x, y in micrometres from the frame's corner.
    """

    frame_um: np.ndarray
    centre: np.ndarray
    radius: np.ndarray
    waves: np.ndarray
    """Amplitude and phase of the outline's undulations, one row per frequency from 2 on."""
    edge: float
    """Level of the outline: the tissue is where `level` is at most this."""
    layer_centre: np.ndarray
    bounds: np.ndarray
    """Layer depths that part the domains, ascending."""

    def level(self, um: np.ndarray) -> np.ndarray:
        """Distance from the centre in units of the undulating outline."""
        x, y = np.moveaxis((um - self.centre) / self.radius, -1, 0)
        angle = np.arctan2(y, x)
        outline = 1 + sum(a * np.cos(k * angle + phase) for k, (a, phase) in enumerate(self.waves, start=2))
        level: np.ndarray = np.hypot(x, y) / outline
        return level

    def layer(self, um: np.ndarray) -> np.ndarray:
        """Depth across the layers: arcs around a point outside the tissue, slightly folded."""
        x, y = np.moveaxis((um - self.layer_centre) / self.radius, -1, 0)
        layer: np.ndarray = np.hypot(x, y) + 0.08 * np.sin(5 * np.arctan2(y, x))
        return layer

    def domain(self, um: np.ndarray) -> np.ndarray:
        """1 to the number of domains (int32)."""
        return (1 + np.searchsorted(self.bounds, self.layer(um), side="right")).astype(np.int32)


def hexagons(n_spots: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and places (micrometres) of a Visium array: a slide's, or one that ``n_spots`` fit on."""
    rows, columns = SLIDE
    if (growth := np.sqrt(n_spots / 4000)) > 1:
        rows, columns = int(np.ceil(rows * growth)), int(np.ceil(columns * growth))
    row, column = np.divmod(np.arange(rows * columns, dtype=np.int32), np.int32(columns))
    on_lattice = (row + column) % 2 == 0
    row, column = row[on_lattice], column[on_lattice]
    return row, column, MARGIN_UM + PITCH_UM * np.column_stack([column / 2, row * np.sqrt(3) / 2])


def draw_tissue(
    rng: np.random.Generator, um: np.ndarray, n_spots: int, n_domains: int
) -> tuple[np.ndarray, Tissue]:
    """Which places of an array (M, 2; micrometres) lie on tissue, in no order; the tissue."""
    frame = um.max(axis=0) + MARGIN_UM
    radius = frame.min() / 2 * np.array([1.0, rng.uniform(0.75, 0.95)])
    shape = {
        "frame_um": frame,
        "centre": frame / 2 + rng.uniform(-0.03, 0.03, 2) * frame,
        "radius": radius,
        "waves": np.column_stack([rng.uniform(0.0, 0.06, 4), rng.uniform(0, 2 * np.pi, 4)]),
        "layer_centre": frame / 2 + radius * np.array([rng.uniform(-0.5, 0.5), 2.0]),
    }
    level = Tissue(**shape, edge=0.0, bounds=np.empty(0)).level(um)
    # Shuffled, because barcodes (which order a matrix) say nothing of the place.
    on_tissue = rng.permutation(np.argsort(level, kind="stable")[:n_spots])
    um = um[on_tissue]

    # Layers of unequal width, none thinner than a third of the mean.
    shares = 1 / 3 / n_domains + 2 / 3 * rng.dirichlet(np.full(n_domains, 4.0))
    unbounded = Tissue(**shape, edge=float(level[on_tissue].max()), bounds=np.empty(0))
    bounds = np.quantile(unbounded.layer(um), np.cumsum(shares)[:-1])
    return on_tissue, Tissue(**shape, edge=unbounded.edge, bounds=bounds)
