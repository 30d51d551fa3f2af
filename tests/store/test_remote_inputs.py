"""Samples in a bucket: brought here once, brought again when they change, and read as local ones are."""

from __future__ import annotations

import shutil

import pytest
from lab import Lab, digests

from spatialrun.errors import RecipeErrors, StoreError
from spatialrun.plan.inputs import needed
from spatialrun.store.mirror import Listings, mirror
from spatialrun.store.remote import RemoteBackend
from spatialrun.store.store import open_store


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPATIALRUN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "inputs"


@pytest.fixture
def uploaded(bucket, sections):
    """The first section in a bucket, with an alignment that nobody needs."""
    backend = RemoteBackend(f"{bucket}/samples")
    shutil.copytree(sections["a"], backend.folder("a/outs"), dirs_exist_ok=True)
    backend.publish("a/outs")
    backend.put("a/outs/possorted_genome_bam.bam", b"large")
    return backend


def test_a_sample_in_a_bucket_is_read_as_a_local_one(server, uploaded, applied, tmp_path):
    lab = Lab(tmp_path / "from-bucket", {"a": f"{uploaded.url}/a/outs"})
    run = lab.apply().run
    assert run.status == "done"
    assert digests(run) == digests(open_store(applied.store).runs.latest())
    with server.counted() as requests:
        assert not lab.apply().changed
    assert [method for method, _ in requests] == ["GET"]


def test_only_what_is_needed_is_brought_and_only_once(server, uploaded, cache):
    url = f"{uploaded.url}/a/outs"
    path = mirror(url, lambda names: needed(names, raw=False))
    names = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    assert "filtered_feature_bc_matrix.h5" in names
    assert "possorted_genome_bam.bam" not in names
    with server.counted() as requests:
        assert mirror(url, lambda names: needed(names, raw=False)) == path
    assert len(requests) == 1


def test_a_changed_file_makes_another_mirror(uploaded, cache):
    uploaded.put("file.h5ad", b"one")
    first = mirror(f"{uploaded.url}/file.h5ad", lambda names: names)
    uploaded.put("file.h5ad", b"two")
    second = mirror(f"{uploaded.url}/file.h5ad", lambda names: names)
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")
    assert first.name == second.name == "file.h5ad"
    assert sorted(cache.iterdir()) == sorted([first.parent, second.parent])


def test_samples_that_lie_together_are_listed_together(server, uploaded, monkeypatch):
    names = ["b/outs", "c/outs", "d/deep/outs", "e.h5ad"]
    for name in names:
        path = name if name.endswith(".h5ad") else f"{name}/spatial/x.png"
        uploaded.put(path, name.encode())
    urls = [f"{uploaded.url}/{name}" for name in ["a/outs", *names]]
    alone = {url: Listings([url]).files(url) for url in urls}
    listings = Listings([*urls, f"{uploaded.url}/missing"])
    with server.counted() as requests:
        together = {url: listings.files(url) for url in urls}
    assert len(requests) == 1
    assert together == alone
    assert listings.files(f"{uploaded.url}/missing") == {}


def test_a_folder_that_holds_much_else_is_not_listed_for_a_few_samples(server, uploaded, monkeypatch):
    monkeypatch.setattr("spatialrun.store.remote.PAGE", 2)
    for number in range(30):
        uploaded.put(f"other/{number}", b"")
    urls = [f"{uploaded.url}/{name}" for name in ("b", "c", "d")]
    for number, url in enumerate(urls):
        uploaded.put(f"{url[-1]}/spatial/x.png", str(number).encode())
    listings = Listings(urls)
    with server.counted() as requests:
        found = [listings.files(url) for url in urls]
    assert [list(files) for files in found] == [["spatial/x.png"]] * 3
    assert len(requests) <= 3 + 1 + 3, requests


def test_samples_whose_folder_may_not_be_listed_are_listed_one_by_one(server, uploaded, monkeypatch):
    for name in "bcd":
        uploaded.put(f"{name}/spatial/x.png", b"")
    true = RemoteBackend.facts

    def facts(backend, path, pages=None):
        if not path:
            raise StoreError("store.permission", "no")
        return true(backend, path, pages)

    monkeypatch.setattr(RemoteBackend, "facts", facts)
    listings = Listings(urls := [f"{uploaded.url}/{name}" for name in "bcd"])
    assert [list(listings.files(url)) for url in urls] == [["spatial/x.png"]] * 3


@pytest.mark.parametrize("name", ["a/missing", "missing.h5ad"])
def test_a_sample_that_is_not_there_is_a_problem_of_the_recipe(uploaded, tmp_path, name):
    with pytest.raises(RecipeErrors) as caught:
        Lab(tmp_path / "missing", {"a": f"{uploaded.url}/{name}"}).load()
    assert [problem.code for problem in caught.value.problems] == ["data.missing-file"]
    assert caught.value.where.sample == "a"


def test_raw_counts_are_brought_where_they_are_asked_for_or_all_there_is():
    names = ["filtered_feature_bc_matrix.h5", "raw_feature_bc_matrix.h5", "spatial/a.png", "web_summary.html"]
    assert needed(names, raw=False) == ["filtered_feature_bc_matrix.h5", "spatial/a.png"]
    assert needed(names, raw=True) == names[:3]
    assert needed(names[1:], raw=False) == names[1:3]
    assert needed(["outs/spatial/a.png", "outs/x/filtered_feature_bc_matrix.h5"], raw=False) == [
        "outs/spatial/a.png"
    ]
