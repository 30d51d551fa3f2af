"""Fixtures that the whole suite shares: where the real data lies, if it does; a bench for whole recipes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from lab import Lab

REPOSITORY = Path(__file__).resolve().parent.parent

if "PYTEST_XDIST_WORKER" in os.environ:
    # As many processes as cores: more threads would only wait for each other.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    threadpool_limits(1)  # of what pytest's plugins have imported by now


# An example takes as long as the machine lets it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def folder(variable: str, name: str) -> Path:
    path = Path(os.environ.get(variable) or REPOSITORY.parent / "shared" / name)
    if not path.is_dir():
        pytest.skip(f"no real data: {path} does not exist (set {variable} to its folder)")
    return path


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real samples; tests that ask for it are skipped where it is absent."""
    return folder("SPATIALRUN_TEST_DATA", "data")


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference results; tests that ask for it are skipped where it is absent."""
    return folder("SPATIALRUN_TEST_REFERENCE", "reference")


@pytest.fixture(scope="session")
def sections(tmp_path_factory) -> dict[str, Path]:
    """Two small simulated sections as Space Ranger folders, ``a`` and ``b``."""
    from spatialrun.methods.simulate import simulate_visium
    from spatialrun.readers import simulated

    root = tmp_path_factory.mktemp("sections")
    size = {"n_spots": 120, "n_genes": 200, "n_domains": 3, "n_svg": 20, "mean_counts": 1500}
    return {
        name: simulated.write(simulate_visium(**size, image_size=200, seed=seed), root / name)
        for seed, name in enumerate("ab")
    }


@pytest.fixture
def lab(tmp_path, sections) -> Lab:
    """A bench with the one sample ``a``, and nothing done yet."""
    from lab import Lab

    return Lab(tmp_path / "lab", {"a": sections["a"]})


@pytest.fixture(scope="session")
def applied_once(tmp_path_factory, sections) -> Lab:
    """The bench after its first run; read only."""
    from lab import Lab

    lab = Lab(tmp_path_factory.mktemp("applied") / "lab", {"a": sections["a"]})
    outcome = lab.apply()
    assert outcome.run.status == "done", outcome.errors
    return lab


@pytest.fixture
def applied(applied_once, tmp_path) -> Lab:
    """A copy of the bench after its first run."""
    return applied_once.copy(tmp_path / "applied")


@pytest.fixture(scope="session")
def spatialdata_python(pytestconfig) -> str | Path:
    """A Python that has spatialdata, squidpy and vitessce."""
    from spatialdata_environment import interpreter

    return interpreter(pytestconfig)


@pytest.fixture
def claimed_devices(monkeypatch):
    """A function that makes every interpreter claim devices, which are not there."""
    from spatialrun import interpreters

    ask = interpreters._ask
    claimed: list[list[object]] = []

    def answer(python: str | None, code: str, *arguments: str) -> object:
        return claimed if code == interpreters._ASK_DEVICES else ask(python, code, *arguments)

    def claim(*names: str) -> None:
        claimed[:] = [[name, "a device that is not there", 8 * 10**9] for name in names]

    monkeypatch.setattr(interpreters, "_has_a_driver", lambda: True)
    monkeypatch.setattr(interpreters, "_ask", answer)
    return claim


@pytest.fixture
def only_workers(monkeypatch) -> None:
    """With more than one core, tasks that could run side by side do so in workers, however small they are."""
    monkeypatch.setattr("spatialrun.execute.queue.SMALL", -1)


@pytest.fixture
def own_steps(monkeypatch) -> None:
    """The step types of the tests are in the catalogue, here and in workers."""
    import steps_of_tests

    from spatialrun.execute import isolated, worker
    from spatialrun.steps import catalogue

    monkeypatch.setattr(catalogue, "STEPS", dict(catalogue.STEPS))
    for room in (worker, isolated):
        monkeypatch.setattr(room, "START", f"import steps_of_tests as s; s.register(); {room.START}")
    steps_of_tests.register()
