"""Simulated samples with known truth: a slide, a tissue of layers or a tumour, counts and an image.

Everything is drawn from seeded generators; the same parameters give the same arrays.
"""

from spatialrun.methods.simulate.cohort import simulate_cohort
from spatialrun.methods.simulate.counts import PATTERNS
from spatialrun.methods.simulate.visium import (
    BENCHMARK_1470,
    SimulatedVisium,
    SimulationParameters,
    simulate_visium,
)
from spatialrun.methods.simulate.visium_hd import SimulatedVisiumHd, simulate_visium_hd

__all__ = [
    "BENCHMARK_1470",
    "PATTERNS",
    "SimulatedVisium",
    "SimulatedVisiumHd",
    "SimulationParameters",
    "simulate_cohort",
    "simulate_visium",
    "simulate_visium_hd",
]
