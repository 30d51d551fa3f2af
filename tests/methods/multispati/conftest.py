"""A small simulated section, and what the real ones hold."""

from __future__ import annotations

import pytest

from spatialrun.methods.simulate import SimulatedVisium, simulate_visium


@pytest.fixture(scope="session")
def section() -> SimulatedVisium:
    """700 spots in 4 layers."""
    return simulate_visium(n_spots=700, n_genes=600, n_domains=4, n_svg=120, mean_counts=2500, image_size=200)
