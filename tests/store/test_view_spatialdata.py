"""A run's view as the real spatialdata reads it, in an environment of its own: it needs an older dask."""

import json
from pathlib import Path

import numpy as np
import pytest
from handmade import N_GENES, N_SPOTS, make_run, sample_slots
from spatialdata_environment import succeed

from spatialrun.store.store import create_store
from spatialrun.store.view import write_view

SCRIPT = Path(__file__).with_name("open_with_spatialdata.py")
SEEDS = {"p2-t5": 0, "p1.t4": 1}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def samples():
    return {name: sample_slots(seed) for name, seed in SEEDS.items()}


@pytest.fixture(scope="module")
def found(tmp_path_factory, spatialdata_python, samples):
    """What spatialdata finds in the view."""
    store = create_store(tmp_path_factory.mktemp("view") / "store")
    view = store.backend.local(write_view(store, make_run(store, samples)))
    return json.loads(succeed(spatialdata_python, SCRIPT, view))


def test_every_sample_is_a_table(found, samples):
    assert set(found["tables"]) == set(samples)
    for name, slots in samples.items():
        table = found["tables"][name]
        assert table["shape"] == [N_SPOTS, N_GENES]
        assert table["obs_names"] == slots["axes/obs"][:2].tolist()
        assert {"total_counts", "spagcn.domain"} < set(table["obs"])
        assert table["x"] == pytest.approx(slots["layers/lognorm"].sum(), rel=1e-6)
        assert table["layers"]["counts"] == slots["layers/counts"].sum()


def test_every_spot_is_in_its_samples_region(found, samples):
    for name in samples:
        table = found["tables"][name]
        assert table["region"] == f"{name}_spots"
        assert table["regions_of_spots"] == [f"{name}_spots"]
        assert table["instances"] == [0, N_SPOTS - 1]


def test_every_image_is_there(found, samples):
    assert set(found["images"]) == {f"{name}_{image}" for name in samples for image in ("hires", "lowres")}
    for name, slots in samples.items():
        for size in ("hires", "lowres"):
            image, expected = found["images"][f"{name}_{size}"], slots[f"images/{size}"]
            assert image["dims"] == ["c", "y", "x"]
            assert image["shape"] == list(expected.shape)
            assert image["channels"] == ["r", "g", "b"]
            assert image["sum"] == int(expected.sum())


def test_images_lie_on_the_full_resolution_image(found):
    for name, image in found["images"].items():
        scale = 4.0 if name.endswith("hires") else 10.0
        np.testing.assert_allclose(image["to_global"], np.diag([scale, scale, 1.0]), rtol=1e-12)
