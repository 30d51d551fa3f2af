"""Fixtures that the whole suite shares: where the real data lies, if it does."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


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
