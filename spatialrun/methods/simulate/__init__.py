"""Simulated Visium samples with known truth: a slide, a tissue, counts and an image of the section.

Everything is drawn from one seeded generator; the same parameters give the same arrays.
"""

from spatialrun.methods.simulate.counts import PATTERNS
from spatialrun.methods.simulate.visium import (
    BENCHMARK_1470,
    SimulatedVisium,
    SimulationParameters,
    simulate_visium,
)

__all__ = ["BENCHMARK_1470", "PATTERNS", "SimulatedVisium", "SimulationParameters", "simulate_visium"]
