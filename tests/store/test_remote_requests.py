"""How many requests are made: few where there is nothing to do, and few for what lies together."""

from __future__ import annotations

import shutil

import pytest
import scipy.sparse as sp
from lab import Lab

from spatialrun.methods.simulate import simulate_visium
from spatialrun.readers import simulated
from spatialrun.store.actions import ActionRecord
from spatialrun.store.remote import RemoteBackend
from spatialrun.store.store import create_store, open_store

TEN_STEPS = "  - {id: read, uses: read.visium, with: {min_spots: 1}}\n" + "".join(
    f"  - {{id: n{number}, uses: test.constant, with: {{flag: none, key_added: n{number}}}}}\n"
    for number in range(9)
)


class S3Lab(Lab):
    url = ""

    @property
    def text(self):
        return super().text.replace("store: store", f"store: {self.url}")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Ten samples of 20 spots."""
    root = tmp_path_factory.mktemp("cohort")
    size = {"n_spots": 20, "n_genes": 12, "n_domains": 2, "n_svg": 4, "mean_counts": 200, "image_size": 20}
    return {
        f"s{seed}": simulated.write(simulate_visium(**size, seed=seed), root / f"s{seed}")
        for seed in range(10)
    }


def test_nothing_to_do_for_a_hundred_tasks_takes_few_requests(server, bucket, cohort, own_steps, tmp_path):
    lab = S3Lab(tmp_path / "lab", cohort, TEN_STEPS)
    lab.url = f"{bucket}/store"
    first = lab.apply()
    assert first.errors == ()
    assert len(first.run.tasks) == 100
    with server.counted() as requests:
        assert not lab.apply().changed
    assert len(requests) <= 15, requests
    with server.counted() as requests:
        assert lab.plan().count("cached") == 100
    assert len(requests) <= 15, requests


def test_nothing_to_do_for_samples_in_a_bucket_takes_few_requests(
    server, bucket, cohort, own_steps, tmp_path, monkeypatch
):
    monkeypatch.setenv("SPATIALRUN_CACHE", str(tmp_path / "cache"))
    samples = {}
    inputs = RemoteBackend(f"{bucket}/cohort")
    for number, (name, outs) in enumerate(list(cohort.items()) * 2):
        sample = f"{name}-{number}"
        shutil.copytree(outs, inputs.folder(f"{sample}/outs"), dirs_exist_ok=True)
        inputs.publish(f"{sample}/outs")
        samples[sample] = f"{inputs.url}/{sample}/outs"
    five = "".join(TEN_STEPS.splitlines(keepends=True)[:5])
    lab = S3Lab(tmp_path / "lab", samples, five)
    lab.url = f"{bucket}/store"
    assert len(lab.apply().run.tasks) == 100
    with server.counted() as requests:
        assert not lab.apply().changed
    assert len(requests) <= 15, requests
    with server.counted() as requests:
        assert lab.plan().count("cached") == 100
    assert len(requests) <= 15, requests


@pytest.fixture
def written(bucket):
    """A function that writes a value into a store on S3, and opens it anew."""

    def write(value):
        store = create_store(f"{bucket}/store")
        attempt = store.attempt()
        ref = attempt.write("group/name", value)
        store.actions.commit(attempt, ActionRecord("ab" * 32, attempt.id, {"name": ref}))
        return open_store(store.url).element(ref)

    return write


def test_a_small_element_takes_one_listing_and_a_request_for_each_file(server, written):
    element = written(sp.random(20, 10, density=0.3, format="csc", random_state=0))
    with server.counted() as requests:
        element.read()
        element.columns(2, 5)
    assert len(requests) == 1 + 7


def test_a_stretch_of_columns_takes_an_index_and_a_range_of_each_array(server, written, monkeypatch):
    monkeypatch.setattr("spatialrun.store.layout.CHUNK_ELEMENTS", 100)
    monkeypatch.setattr("spatialrun.store.ahead.SMALL", 0)
    monkeypatch.setattr("spatialrun.values.SMALL", 0)
    matrix = sp.random(100, 200, density=0.3, format="csc", random_state=0)
    element = written(matrix)
    element.columns(0, 0)  # metadata and indptr
    with server.counted() as requests:
        found = element.columns(10, 40)
    assert (found != matrix[:, 10:40]).nnz == 0
    assert len(requests) == 4
    with server.counted() as requests:
        element.columns(40, 70)
    assert len(requests) == 2


def test_an_element_is_written_with_each_file_once_and_nothing_asked(server, bucket):
    store = create_store(f"{bucket}/store")
    attempt = store.attempt()
    with server.counted() as requests:
        attempt.write("name", sp.random(20, 10, density=0.3, format="csc", random_state=0))
        attempt.verify()
    # Eight files, a listing to see that they are there, and the manifest.
    assert [method for method, _ in requests] == ["PUT"] * 8 + ["GET", "PUT"]
