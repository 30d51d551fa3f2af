"""Experiments whose store is in a bucket: what they show, and the view, which is made on request."""

from __future__ import annotations

import anndata
import numpy as np
import pytest
from handmade import make_run, sample_slots

from spatialrun.experiment import open_experiment
from spatialrun.store.store import create_store


@pytest.fixture
def store(bucket):
    store = create_store(f"{bucket}/store")
    make_run(store, {"a": sample_slots(0), "b": sample_slots(1)})
    return store


@pytest.fixture
def experiment(store):
    return open_experiment(store.url)


def test_an_experiment_is_printed_from_its_manifest(server, store):
    with server.counted() as requests:
        text = str(open_experiment(store.url))
    assert "2 samples" in text
    assert len(requests) == 3


def test_runs_are_listed_without_a_look_at_each(server, store):
    for number in range(20):
        make_run(store, {"a": {"x": np.arange(2)}}, id=f"run-{number:02}")
    with server.counted() as requests:
        assert len(list(store.runs.names())) == 21
    assert len(requests) == 2


def test_a_sample_is_read_without_a_view(experiment, store):
    adata = experiment["a"]
    np.testing.assert_array_equal(
        adata.layers["counts"].toarray(), sample_slots(0)["layers/counts"].toarray()
    )
    assert not store.backend.exists(f"runs/{experiment.run.id}/view.zarr")


def test_the_view_is_made_once_and_is_one_that_anndata_opens(server, experiment, store):
    view = experiment.view
    adata = anndata.read_zarr(view / "tables" / "b")
    np.testing.assert_array_equal(
        adata.layers["counts"].toarray(), sample_slots(1)["layers/counts"].toarray()
    )
    with server.counted() as requests:
        lazy = open_experiment(store.url).lazy("b")
    assert "PUT" not in [method for method, _ in requests]
    np.testing.assert_array_equal(lazy[:, :5].to_memory().X.toarray(), adata[:, :5].X.toarray())


def test_a_view_that_was_not_finished_is_made_anew(experiment, store):
    path = f"runs/{experiment.run.id}/view.zarr/zarr.json"
    store.backend.put(path, b'{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    assert (experiment.view / "tables" / "a").is_dir()


def test_an_interrupted_view_does_not_look_whole(experiment, store, monkeypatch):
    def stop(target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("spatialrun.store.view.consolidate", stop)
        with pytest.raises(KeyboardInterrupt):
            _ = experiment.view
    again = open_experiment(store.url).view
    assert len(anndata.read_zarr(again / "tables" / "a")) == 30


def test_figures_are_brought_here(experiment):
    assert {name: path.read_bytes() for name, path in experiment.figures.items()} == {
        "a/spatial": b"\x89PNG",
        "b/spatial": b"\x89PNG",
    }
