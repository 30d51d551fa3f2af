import pytest

from spatialrun.methods.simulate import SimulatedVisium, simulate_visium
from spatialrun.readers.sample import Sample
from spatialrun.readers.simulated import to_sample


@pytest.fixture(scope="session")
def simulated() -> SimulatedVisium:
    return simulate_visium(
        n_spots=60, n_genes=150, n_domains=3, n_svg=12, mean_counts=800, image_size=900, seed=3
    )


@pytest.fixture
def sample(simulated) -> Sample:
    return to_sample(simulated)
