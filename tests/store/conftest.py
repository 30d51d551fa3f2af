"""Stores to test with, and a server for those that are in buckets."""

import itertools
import os

import pytest

from spatialrun.store.store import create_store

_NUMBERS = itertools.count()


@pytest.fixture
def store(tmp_path):
    """A new store."""
    return create_store(tmp_path / "store")


@pytest.fixture(scope="session")
def running():
    """The one S3 server of the session."""
    from server import Server

    server = Server()
    yield server
    server.stop()


@pytest.fixture
def server(running, monkeypatch):
    """An S3 server without faults, which clients of this process and its children find by the environment."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.calm()
    yield running
    running.calm()


@pytest.fixture
def bucket(server):
    """The URL of a new bucket."""
    return server.bucket(f"bucket-{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    """The one Azure server of the session; tests that ask for it are skipped where it cannot be had."""
    from azurite import Azurite

    server = Azurite(tmp_path_factory.mktemp("azurite"))
    yield server
    server.stop()


@pytest.fixture
def container(azurite, monkeypatch):
    """The URL of a new container."""
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    return azurite.container(f"container-{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def google_server(tmp_path_factory):
    """The one server of the session that speaks as Google Cloud Storage does."""
    from google_storage import Google

    server = Google(tmp_path_factory.mktemp("google"))
    yield server
    server.stop()


@pytest.fixture
def google(google_server, monkeypatch):
    """The URL of a new bucket of Google Cloud Storage."""
    for name, value in google_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"gs://bucket-{next(_NUMBERS)}"


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with a small sample, and what processes that are to be killed work in."""
    import anndata
    import kill_points
    import numpy as np

    home = tmp_path_factory.mktemp("kills")
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(rng.poisson(2.0, (30, kill_points.GENES)).astype(np.float32))
    adata.obsm["spatial"] = rng.random((30, 2)) * 1000
    adata.write_h5ad(home / "a.h5ad")
    return home


@pytest.fixture(scope="session")
def warm(home, running):
    """Two warm processes, which find the server of buckets, too."""
    from forks import Forks

    forks = [Forks("kill_points", home, running.environment) for _ in range(2)]
    yield forks
    for each in forks:
        each.close()
