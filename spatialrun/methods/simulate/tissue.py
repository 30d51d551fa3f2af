"""The tissue on its slide: an outline, what lies within it, and the spots that lie on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

PITCH_UM = 100.0
"""Distance between the centres of neighbouring Visium spots."""
MARGIN_UM = 800.0
"""Frame around the array that the full-resolution image shows."""
SLIDE = (78, 128)
"""Rows and columns of the array of a 6.5 mm slide; every second column of a row holds a spot."""


@dataclass(frozen=True, eq=False)
class Outline:
    """Where tissue is on the slide. Places are (..., 2) arrays of x, y in micrometres from the frame's corner."""

    frame_um: np.ndarray
    centre: np.ndarray
    radius: np.ndarray
    waves: np.ndarray
    """Amplitude and phase of the outline's undulations, one row per frequency from 2 on."""
    edge: float = 0.0
    """Level of the outline: the tissue is where `level` is at most this."""

    def level(self, um: np.ndarray) -> np.ndarray:
        """Distance from the centre in units of the undulating outline."""
        x, y = np.moveaxis((um - self.centre) / self.radius, -1, 0)
        angle = np.arctan2(y, x)
        outline = 1 + sum(a * np.cos(k * angle + phase) for k, (a, phase) in enumerate(self.waves, start=2))
        level: np.ndarray = np.hypot(x, y) / outline
        return level

    def contains(self, um: np.ndarray, overhang_um: float) -> np.ndarray:
        """Whether there is tissue, which reaches so far beyond the outermost spots."""
        inside: np.ndarray = self.level(um) <= self.edge + overhang_um / self.radius.min()
        return inside


class Tissue(Protocol):
    """An outline and domains as functions of the place, so that spots and image agree."""

    @property
    def outline(self) -> Outline:
        """Where it is."""

    def domain(self, um: np.ndarray) -> np.ndarray:
        """1 to the number of domains (int32), by place."""


@dataclass(frozen=True, eq=False)
class Layers:
    """Domains that follow each other, as in cortex: arcs around a point outside the tissue."""

    outline: Outline
    centre: np.ndarray
    bounds: np.ndarray
    """Depths that part the domains, ascending."""

    def depth(self, um: np.ndarray) -> np.ndarray:
        """Depth across the layers, which are slightly folded."""
        x, y = np.moveaxis((um - self.centre) / self.outline.radius, -1, 0)
        depth: np.ndarray = np.hypot(x, y) + 0.08 * np.sin(5 * np.arctan2(y, x))
        return depth

    def domain(self, um: np.ndarray) -> np.ndarray:
        """1 to the number of domains (int32)."""
        return (1 + np.searchsorted(self.bounds, self.depth(um), side="right")).astype(np.int32)


def hexagons(n_spots: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and places (micrometres) of a Visium array: a slide's, or one that ``n_spots`` fit on."""
    rows, columns = SLIDE
    if (growth := np.sqrt(n_spots / 4000)) > 1:
        rows, columns = int(np.ceil(rows * growth)), int(np.ceil(columns * growth))
    row, column = np.divmod(np.arange(rows * columns, dtype=np.int32), np.int32(columns))
    on_lattice = (row + column) % 2 == 0
    row, column = row[on_lattice], column[on_lattice]
    return row, column, MARGIN_UM + PITCH_UM * np.column_stack([column / 2, row * np.sqrt(3) / 2])


def draw_outline(rng: np.random.Generator, um: np.ndarray, middle: tuple[float, float]) -> Outline:
    """A rounded blob on an array of places (M, 2; micrometres); how large is the spots' to decide.

    ``middle`` is where it lies in the frame, from 0 to 1 each way, more or less.
    """
    frame = um.max(axis=0) + MARGIN_UM
    return Outline(
        frame_um=frame,
        radius=frame.min() / 2 * np.array([1.0, rng.uniform(0.75, 0.95)]),
        centre=frame * np.array(middle) + rng.uniform(-0.03, 0.03, 2) * frame,
        waves=np.column_stack([rng.uniform(0.0, 0.06, 4), rng.uniform(0, 2 * np.pi, 4)]),
    )


def choose_spots(
    rng: np.random.Generator, um: np.ndarray, outline: Outline, n_spots: int
) -> tuple[np.ndarray, Outline]:
    """Which places of an array lie innermost, in no order; the outline that holds just these."""
    level = outline.level(um)
    # Shuffled, because barcodes (which order a matrix) say nothing of the place.
    chosen = rng.permutation(np.argsort(level, kind="stable")[:n_spots])
    return chosen, replace(outline, edge=float(level[chosen].max()))


def draw_layers(
    rng: np.random.Generator, um: np.ndarray, n_spots: int, n_domains: int
) -> tuple[np.ndarray, Layers]:
    """Which places of an array (M, 2; micrometres) lie on tissue, in no order; the tissue, of layers."""
    outline = draw_outline(rng, um, (0.5, 0.5))
    centre = outline.frame_um / 2 + outline.radius * np.array([rng.uniform(-0.5, 0.5), 2.0])
    chosen, outline = choose_spots(rng, um, outline, n_spots)
    # Layers of unequal width, none thinner than a third of the mean.
    shares = 1 / 3 / n_domains + 2 / 3 * rng.dirichlet(np.full(n_domains, 4.0))
    depth = Layers(outline, centre, np.empty(0)).depth(um[chosen])
    return chosen, Layers(outline, centre, np.quantile(depth, np.cumsum(shares)[:-1]))
