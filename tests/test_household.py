"""A store's household, from Python."""

import zipfile

import pytest
from lab import Lab

import spatialrun
from spatialrun.errors import StoreError, UsageError


@pytest.fixture
def twice(applied: Lab, tmp_path) -> Lab:
    """A store of its own with two runs: the second with another depth."""
    copied = applied.copy(tmp_path / "copied")
    recipe = spatialrun.load(copied.recipe, ["steps.log.with.target_sum=5000"])
    assert recipe.apply().changed
    return copied


def test_runs_are_listed_compared_and_opened(twice):
    house = spatialrun.Household(twice.store)
    old, new = [run.id for run in house.runs()]
    assert house.experiment().run.id == new
    assert house.experiment(old).run.id == old
    assert not house.diff(old, new).nothing
    assert house.diff(new, new).nothing
    status = house.status()
    assert (status.last.id, status.going) == (new, ())


def test_a_recipe_stands_for_its_store(twice):
    house = spatialrun.Household(twice.recipe)
    assert house.store.url == str(twice.store)
    assert str(twice.store) in repr(house)
    with pytest.raises(UsageError):
        spatialrun.Household(twice.store, profile="quick")
    with pytest.raises(StoreError) as raised:
        house.experiment("20000101-000000-000000")
    assert raised.value.code == "store.no-run"


def test_what_is_damaged_is_found_dropped_and_made_anew(twice):
    house = spatialrun.Household(twice.store)
    assert house.verify().faults == ()
    assert [(one.differing, one.error) for one in house.recompute(1)] == [((), None)]
    chunk = max((twice.store / "data").rglob("c/*"), key=lambda path: path.stat().st_size)
    chunk.chmod(0o644)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    found = house.verify()
    assert found.faults
    assert house.repair(found) == found.damaged
    assert twice.load().apply().run.status == "done"
    assert spatialrun.Household(twice.store).verify(house.runs()[-1].id).faults == ()


def test_old_runs_go_unless_they_are_pinned(twice):
    house = spatialrun.Household(twice.store)
    old, new = [run.id for run in house.runs()]
    house.pin(old)
    assert house.gc(keep_runs=1, grace_s=0).runs == ()
    house.unpin(old)
    assert house.gc(keep_runs=1, grace_s=0, dry_run=True).runs == (old,)
    assert len(house.runs()) == 2
    assert house.gc(keep_runs=1, grace_s=0).runs == (old,)
    assert [run.id for run in house.runs()] == [new]


def test_a_run_is_reported_and_exported(twice, tmp_path):
    house = spatialrun.Household(twice.store)
    run = house.runs()[-1].id
    assert run in house.report()
    names = house.export_run(tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        assert set(names) == set(archive.namelist())
