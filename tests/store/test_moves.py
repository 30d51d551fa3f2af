"""Stores in other places: moved, copied to a bucket, shared, without hard links; and clocks that are wrong."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from datetime import datetime, timedelta

import anndata
import kill_points
import pytest
from lab import digests, done, statuses
from test_kill_points import Bench, Point, every, sweep

from spatialrun.store import leases
from spatialrun.store.gc import Policy, collect
from spatialrun.store.intents import Intent
from spatialrun.store.store import open_store
from spatialrun.store.verify import verify


@pytest.fixture
def lab(tmp_path, home, own_steps):
    """A bench whose recipe has been applied."""
    (tmp_path / "a.h5ad").write_bytes((home / "a.h5ad").read_bytes())
    lab = kill_points.lab_of(str(tmp_path / "lab"))
    assert lab.apply().errors == ()
    return lab


def test_a_store_that_was_moved_holds_all_it_held(lab, tmp_path):
    before = digests(open_store(lab.store).runs.latest())
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "elsewhere" / "kept"
    lab.store.rename(place)
    moved = kill_points.lab_of(str(lab.root), str(place))
    outcome = moved.apply()
    assert (outcome.changed, digests(outcome.run)) == (False, before)
    view = place / "runs" / outcome.run.id / "view.zarr"
    assert anndata.read_zarr(view / "tables" / "a").n_obs == 30
    assert verify(open_store(place)).faults == ()
    assert done(statuses(moved.apply("steps.sums.with.factor=2").run)) == ["sums"]


def test_a_store_that_was_copied_to_a_bucket_holds_all_it_held(lab, bucket):
    before = digests(open_store(lab.store).runs.latest())
    url = f"{bucket}/copied"
    kill_points.copy(str(lab.store), url)
    there = kill_points.lab_of(str(lab.root), url)
    outcome = there.apply()
    assert (outcome.changed, digests(outcome.run)) == (False, before)
    assert verify(open_store(url)).faults == ()
    again = there.apply("steps.sums.with.factor=2")
    assert done(statuses(again.run)) == ["sums"]
    assert digests(again.run) == digests(lab.apply("steps.sums.with.factor=2").run)


@pytest.mark.parametrize("mode", [0o2775, 0o2770])
def test_what_one_of_a_group_makes_the_others_may_change(lab, tmp_path, mode):
    root = tmp_path / "group"
    root.mkdir()
    (root / "store").mkdir()
    (root / "store").chmod(mode)
    before = os.umask(0o077)
    try:
        ours = kill_points.lab_of(str(root))
        ours.apply()
        ours.apply("steps.sums.with.factor=2")
        collect(open_store(ours.store), Policy(keep_runs=1, grace=0))
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (root / "store").rglob("*")}
    assert {m for path, m in modes.items() if path.is_dir()} == {mode}
    assert {m for path, m in modes.items() if path.is_file()} == {mode & 0o666}


class TestWithoutHardLinks:
    @pytest.fixture
    def bench(self, home, warm):
        return Bench(home, warm, None, links=False)

    def test_all_is_the_same(self, home, warm, bench):
        found = bench.undisturbed
        assert found["errors"] == []
        assert found["digests"] == Bench(home, warm, None).undisturbed["digests"]
        place = bench.place()
        assert bench.do("apply", **place, links=False)["export"] == found["export"]
        assert bench.go_on(place, thorough=True) == []

    def test_killed_where_a_name_is_claimed(self, bench):
        claims = {
            kind: Point(at, torn=kind.startswith("write"))
            for at, kind in enumerate(bench.undisturbed["points"])
            if kind.split()[0] in ("write", "rename")
            and re.search(r"/(store\.json|(actions|leases)/[^.]+)", kind)
        }
        assert {"write /store/store.json", "rename /store/actions/*/*.json"} <= claims.keys()
        assert bench.in_apply(claims.values()) == {}

    @sweep
    @pytest.mark.slow
    def test_killed_at_every_point(self, bench):
        points = every(bench.undisturbed["points"])
        assert len(points) > 100
        assert bench.in_apply(points) == {}


class TestClocks:
    @pytest.fixture
    def clock(self, monkeypatch):
        """Sets all clocks of this process by some days."""
        real = time.time

        def set_by(days):
            class Shifted(datetime):
                @classmethod
                def now(cls, zone=None):
                    return datetime.now(zone) + timedelta(days=days)

            monkeypatch.setattr(time, "time", lambda: real() + days * 86400)
            monkeypatch.setattr("spatialrun.execute.apply.datetime", Shifted)
            monkeypatch.setattr("spatialrun.execute.reliance.time", time.time)

        return set_by

    @pytest.mark.parametrize("days", [-400, -1, 400])
    def test_a_clock_that_is_set_wrong_and_right_again_costs_nothing(self, lab, clock, days):
        store = open_store(lab.store)
        first = store.runs.latest()
        clock(days)
        outcome = lab.apply("steps.sums.with.factor=2")
        assert done(statuses(outcome.run)) == ["sums"]
        assert store.runs.latest().id == outcome.run.id, "the newest is the last, not that of the latest date"
        assert (outcome.run.id < first.id) == (days < 0)
        collect(store, Policy(keep_runs=1, grace=0))
        assert store.runs.stands(outcome.run.id)
        clock(0)
        assert not lab.apply("steps.sums.with.factor=2").changed
        collect(store, Policy(keep_runs=1, grace=0))
        assert verify(store).faults == ()
        assert not lab.apply("steps.sums.with.factor=2").changed

    def test_a_collection_whose_clock_is_behind_deletes_nothing_young(self, lab, clock):
        before = lab.listing()
        clock(-400)
        assert collect(open_store(lab.store)).attempts == ()
        assert lab.listing() == before


def test_the_lease_of_a_host_that_died_holds_a_run_up_for_a_while(lab, monkeypatch):
    monkeypatch.setattr(leases, "SILENCE", 2.0)
    edit = "steps.sums.with.factor=2"
    store = open_store(lab.store)
    far = Intent("far", host="a-host-that-died")
    store.intents.announce(far)
    assert store.leases.take(str(lab.decide("sums", edit).key), "far")
    events = []
    outcome = lab.apply(edit, listener=events.append)
    assert done(statuses(outcome.run)) == ["sums"]
    (waiting,) = [event.data for event in events if event.kind == "task-waiting"]
    assert (waiting["run"], waiting["host"]) == ("far", "a-host-that-died")
    shutil.rmtree(lab.store / "intents")
    assert not lab.apply(edit).changed


def test_two_runs_within_one_second_are_in_order(lab):
    names = [lab.apply(f"steps.sums.with.factor={factor}").run.id for factor in (2, 3, 4, 5)]
    assert list(open_store(lab.store).runs.names())[1:] == names
