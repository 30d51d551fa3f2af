"""Garbage collection: what no run holds goes; what runs hold, rely on or are making stays."""

from __future__ import annotations

import errno
import os
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialrun.errors import StoreError
from spatialrun.store.actions import ActionRecord
from spatialrun.store.entries import TaskEntry
from spatialrun.store.gc import HOUR, Policy, collect
from spatialrun.store.intents import Intent
from spatialrun.store.runs import Run
from spatialrun.store.store import create_store
from spatialrun.store.tombstones import Tombstones

NOW = Policy(grace=0)
SIZE = 50_000


def commit(store, key, run="", stages=None):
    """An action with one object of its own size."""
    attempt = store.attempt(run)
    ref = attempt.write("layers/x", np.random.default_rng(len(key)).random(SIZE))
    record = ActionRecord(key, attempt.id, {"x": ref}, {"step": "s"}, {"stages": stages or {}})
    return store.actions.commit(attempt, record)


def save(store, name, *records):
    """A run that holds some actions, with a view of their objects."""
    tasks = {
        (r.key, "a"): TaskEntry(r.key, "a", "s", "done", r.key, {}, {"layers/x": r.outputs["x"]}, {})
        for r in records
    }
    run = Run(name, "2026-01-01T00:00:00+00:00", "done", {"a": {}}, tasks)
    for record in records:
        store.backend.link(record.outputs["x"].path, f"runs/{name}/view.zarr/{record.key}")
    store.runs.save(run, "spatialrun: 1\n")
    return run


@pytest.fixture
def history(store):
    """Three runs, oldest first: each holds ``shared`` and one object of its own."""
    shared = commit(store, "shared")
    for number in (1, 2, 3):
        save(store, f"run{number}", shared, commit(store, f"own{number}"))
    return store


def attempts(store):
    return set(store.backend.list("data"))


def keys(store):
    return set(store.actions.keys())


def test_all_runs_are_kept_unless_told_otherwise(history):
    before = attempts(history)
    result = collect(history, NOW)
    assert (result.runs, result.attempts, result.records, result.freed) == ((), (), 0, 0)
    assert attempts(history) == before


def test_what_no_run_holds_goes_with_its_record(history):
    stray = commit(history, "stray")
    result = collect(history, NOW)
    assert result.attempts == (stray.attempt,)
    assert (result.records, "stray" in keys(history)) == (1, False)
    assert result.freed > SIZE  # compressed
    assert list(Tombstones(history.backend)) == []


def test_nothing_younger_than_the_grace_period_goes(history):
    stray = commit(history, "stray")
    assert collect(history).attempts == ()
    assert stray.attempt in attempts(history)


def test_a_dry_run_says_the_same_and_deletes_nothing(history):
    commit(history, "stray")
    said = collect(history, Policy(keep_runs=1, grace=0), dry_run=True)
    assert "stray" in keys(history)
    assert list(history.runs.names()) == ["run1", "run2", "run3"]
    assert collect(history, Policy(keep_runs=1, grace=0)) == said


def test_the_newest_runs_are_kept(history):
    result = collect(history, Policy(keep_runs=2, grace=0))
    assert result.runs == ("run1",)
    assert list(history.runs.names()) == ["run2", "run3"]
    assert keys(history) == {"shared", "own2", "own3"}


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_the_runs_that_are_left_are_the_newest_the_pinned_and_the_young(tmp_path_factory, data):
    store = create_store(tmp_path_factory.mktemp("runs") / "store")
    numbers = range(data.draw(st.integers(0, 5), "runs"))
    keep = data.draw(st.integers(1, 8), "kept")
    pinned, young = (
        data.draw(st.sets(st.sampled_from(numbers or [-1])), kind) for kind in ("pinned", "young")
    )
    for number in numbers:
        save(store, f"run{number}")
        if number in pinned:
            store.runs.pin(f"run{number}")
        for path in store.backend.local(f"runs/run{number}").rglob("*"):
            if number not in young:
                os.utime(path, (0, 0))
    left = {f"run{number}" for number in numbers if number in {*numbers[-keep:], *pinned, *young}}
    gone = collect(store, Policy(keep_runs=keep)).runs
    assert (set(store.runs.names()), set(gone)) == (left, {f"run{number}" for number in numbers} - left)


@pytest.mark.parametrize("limit", [{"keep_runs": 1}, {"max_size": 1}])
def test_a_run_younger_than_the_grace_period_is_kept(history, monkeypatch, limit):
    assert collect(history, Policy(**limit)).runs == ()
    assert len(list(history.runs.names())) == 3
    later = time.time() + 2 * HOUR
    monkeypatch.setattr("spatialrun.store.gc.time.time", lambda: later)
    assert collect(history, Policy(**limit)).runs == ("run1", "run2")


def test_a_pinned_run_is_kept(history):
    history.runs.pin("run1")
    assert collect(history, Policy(keep_runs=1, grace=0)).runs == ("run2",)
    history.runs.unpin("run1")
    assert collect(history, Policy(keep_runs=1, grace=0)).runs == ("run1",)


def test_no_run_that_is_not_there_is_pinned(history):
    with pytest.raises(StoreError) as caught:
        history.runs.pin("run9")
    assert caught.value.code == "store.no-run"


def test_the_oldest_runs_go_until_the_store_fits(history):
    size = collect(history, NOW, dry_run=True).left
    result = collect(history, Policy(max_size=size - 1, grace=0))
    assert result.runs == ("run1",)
    assert result.left < size
    smallest = collect(history, Policy(max_size=1, grace=0))
    assert smallest.runs == ("run2",)
    assert list(history.runs.names()) == ["run3"], "the newest run is never deleted"


def test_a_file_of_several_names_is_counted_once(history):
    on_disk = {(f.identity, f.size) for f in history.backend.walk("")}
    assert collect(history, NOW, dry_run=True).left == sum(size for _, size in on_disk)
    assert len(on_disk) < sum(1 for _ in history.backend.walk(""))


def test_the_stages_that_a_result_was_made_from_are_kept(store):
    setup = commit(store, "setup")
    save(store, "run1", commit(store, "final", stages={"setup": "setup"}))
    assert collect(store, NOW).attempts == ()
    assert setup.attempt in attempts(store)


class TestIntents:
    def test_what_a_run_makes_is_kept_until_it_is_saved(self, history):
        history.intents.announce(Intent("run4"))
        made = commit(history, "made", run="run4")
        assert collect(history, NOW).attempts == ()
        history.intents.withdraw("run4")
        assert collect(history, NOW).attempts == (made.attempt,)

    def test_the_run_before_is_kept(self, history):
        history.intents.announce(Intent("run4", last="run1"))
        assert collect(history, Policy(keep_runs=1, grace=0)).runs == ("run2",)

    def test_what_it_came_to_rely_on_is_kept(self, history):
        stray, other = commit(history, "stray"), commit(history, "other")
        history.intents.announce(Intent("run4"))
        assert history.intents.rely("run4", [stray.attempt]) == set()
        assert collect(history, NOW).attempts == (other.attempt,)

    def test_what_is_going_or_gone_cannot_be_relied_on(self, history):
        stray, other = commit(history, "stray"), commit(history, "other")
        Tombstones(history.backend).place(stray.attempt)
        history.backend.delete(f"data/{other.attempt}")
        wanted = {stray.attempt, other.attempt}
        assert history.intents.rely("run4", wanted) == wanted

    def test_what_is_going_counts_as_absent_until_it_is_spared(self, history):
        stray = commit(history, "stray")
        tombstones = Tombstones(history.backend)
        tombstones.place(stray.attempt)
        assert history.actions.get("stray") is None
        tombstones.lift(stray.attempt)
        assert history.actions.get("stray") == stray

    def test_a_run_that_is_going_does_not_stand(self, history):
        assert history.runs.stands("run1")
        Tombstones(history.backend).place("run1")
        assert not history.runs.stands("run1")

    def test_that_of_a_dead_process_counts_no_longer(self, history):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        history.intents.announce(Intent("run4", pid=child))
        made = commit(history, "made", run="run4")
        assert collect(history, NOW).attempts == (made.attempt,)
        assert list(history.intents) == []

    @pytest.mark.parametrize(("silence", "kept"), [(3600, True), (3 * 86400, False)])
    def test_that_of_another_host_counts_while_its_heart_beats(self, history, silence, kept):
        before = Intent("run4")
        history.intents.announce(Intent("run4", host="elsewhere", heartbeat=before.heartbeat - silence))
        made = commit(history, "made", run="run4")
        assert (collect(history, NOW).attempts == ()) == kept
        assert (made.attempt in attempts(history)) == kept

    def test_one_between_the_two_looks_spares_what_it_names(self, history, monkeypatch):
        stray = commit(history, "stray")
        place = Tombstones.place

        def place_and_rely(self, name):
            place(self, name)
            history.intents.announce(Intent("run4"))
            history.intents.rely("run4", [stray.attempt])

        monkeypatch.setattr(Tombstones, "place", place_and_rely)
        assert collect(history, NOW).attempts == ()
        assert history.actions.get("stray") == stray, "its tombstone is lifted"

    def test_a_run_saved_between_the_two_looks_keeps_what_it_holds(self, history, monkeypatch):
        stray = commit(history, "stray")
        place = Tombstones.place

        def place_and_save(self, name):
            place(self, name)
            save(history, "run4", stray)

        monkeypatch.setattr(Tombstones, "place", place_and_save)
        assert collect(history, NOW).attempts == ()


def test_one_collection_lifts_no_mark_of_another(history):
    stray = commit(history, "stray")
    Tombstones(history.backend).place(stray.attempt)
    history.intents.announce(Intent("run4"))
    history.intents.rely("run4", [stray.attempt])
    collect(history, NOW)
    assert stray.attempt in Tombstones(history.backend)


def test_the_mark_that_a_killed_collection_left_is_lifted_after_a_day(history):
    record = history.actions.get("own1")
    Tombstones(history.backend).place(record.attempt)
    (mark,) = (history.backend.root / "tombstones").iterdir()
    os.utime(mark, (0, 0))
    collect(history, NOW)
    assert history.actions.get("own1") == record


def test_what_cannot_be_removed_is_told_when_the_rest_is_gone(history, monkeypatch):
    stuck, stray = commit(history, "stuck"), commit(history, "stray")
    there = history.backend.local(stuck.outputs["x"].path) / "zarr.json"
    inode = there.stat().st_ino

    def refuse(path, *, dir_fd=None, unlink=os.unlink):
        if os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_ino == inode:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        unlink(path, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(StoreError) as caught:
            collect(history, NOW)
    assert caught.value.code == "store.permission"
    assert f"data/{stuck.attempt} " in caught.value.what
    assert stray.attempt not in caught.value.what
    assert there.exists()
    assert stray.attempt not in attempts(history)
    assert keys(history) == {"shared", "own1", "own2", "own3"}
    assert list(Tombstones(history.backend)) == []
    again = collect(history, NOW)
    assert (again.attempts, again.records) == ((stuck.attempt,), 0)
    assert stuck.attempt not in attempts(history)


def test_old_leftovers_go(history):
    leftovers = ["partial/key/0000000-a.npz", "sources/ab/abcd.json", f"actions/ab/.x.json.{'0a' * 6}"]
    for path in leftovers:
        history.backend.put(path, b"left")
    assert collect(history, NOW).files == 0
    for path in leftovers:
        os.utime(history.backend.local(path), (0, 0))
    result = collect(history, NOW)
    assert (result.partials, result.files) == (("key",), 2)
    assert not any(history.backend.exists(path) for path in leftovers)


def test_folders_without_files_go_unless_they_are_young_or_somebody_is_about_to_fill_them(history):
    before = attempts(history)
    history.intents.announce(Intent("alive"))
    for path in ("data/one-dead/table", "data/two-alive/table", "runs/never"):
        history.backend.folder(path)
    collect(history)
    assert attempts(history) == before | {"one-dead", "two-alive"}
    result = collect(history, NOW)
    assert (result.attempts, result.runs, result.freed) == (("one-dead",), ("never",), 0)
    assert attempts(history) == before | {"two-alive"}
    assert not history.backend.exists("runs/never")
    assert list(Tombstones(history.backend)) == []


def test_a_run_that_was_never_saved_goes(history):
    history.backend.put("runs/run0/view.zarr/zarr.json", b"{}")
    assert collect(history, NOW).runs == ("run0",)
    assert not history.backend.exists("runs/run0")


def test_a_record_without_its_attempt_goes(history):
    stray = commit(history, "stray")
    history.backend.delete(f"data/{stray.attempt}")
    assert collect(history, NOW).records == 1
    assert "stray" not in keys(history)


def test_a_manifest_that_cannot_be_read_stops_it(history):
    history.backend.put("runs/run2/manifest.json", b"{")
    before = attempts(history)
    with pytest.raises(StoreError) as caught:
        collect(history, Policy(keep_runs=1, grace=0))
    assert caught.value.code == "store.corrupt"
    assert attempts(history) == before
