"""Stores to test with."""

import pytest

from spatialrun.store.store import create_store


@pytest.fixture
def store(tmp_path):
    """A new store."""
    return create_store(tmp_path / "store")
