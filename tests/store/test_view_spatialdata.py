"""A run's view as the real spatialdata reads it, in an environment of its own: it needs an older dask."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from handmade import N_GENES, N_SPOTS, make_run, sample_slots

from spatialrun.store.store import create_store
from spatialrun.store.view import SPATIALDATA_VERSION, write_view

REQUIREMENTS = [f"spatialdata=={SPATIALDATA_VERSION}", "dask<2026.1.2"]
SCRIPT = Path(__file__).with_name("open_with_spatialdata.py")
SEEDS = {"p2-t5": 0, "p1.t4": 1}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def interpreter(pytestconfig):
    """A Python with spatialdata: what SPATIALRUN_SPATIALDATA_PYTHON names, else one made once and kept."""
    if given := os.environ.get("SPATIALRUN_SPATIALDATA_PYTHON"):
        return given
    folder = pytestconfig.cache.mkdir(f"spatialdata-{SPATIALDATA_VERSION}") / "environment"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        if os.environ.get("SPATIALRUN_NO_NETWORK"):
            pytest.skip("SPATIALRUN_NO_NETWORK is set: spatialdata cannot be installed")
        shutil.rmtree(folder, ignore_errors=True)
        succeed(sys.executable, "-m", "venv", folder)
        succeed(python, "-m", "pip", "install", "--quiet", *REQUIREMENTS)
        ready.touch()
    return python


def succeed(*command):
    """Run a command and return what it prints; fail with what it complains of."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


@pytest.fixture(scope="module")
def samples():
    return {name: sample_slots(seed) for name, seed in SEEDS.items()}


@pytest.fixture(scope="module")
def found(tmp_path_factory, interpreter, samples):
    """What spatialdata finds in the view."""
    store = create_store(tmp_path_factory.mktemp("view") / "store")
    view = store.backend.local(write_view(store, make_run(store, samples)))
    return json.loads(succeed(interpreter, SCRIPT, view))


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
