"""Verification: each kind of damage is found, named and repaired; what is sound is left alone."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
import scipy.sparse as sp
import zarr
from lab import digests, done, statuses

from spatialrun.errors import StoreError
from spatialrun.store.actions import ActionRecord
from spatialrun.store.elements import StoredElement
from spatialrun.store.store import open_store
from spatialrun.store.verify import repair, verify

KEY = "ab" * 32


@pytest.fixture
def home(applied):
    return open_store(applied.store)


def chunk_of(store, sample, slot):
    """A file that holds a part of a slot's values."""
    ref = store.runs.latest().slots(sample)[slot]
    return next(path for path in sorted(store.backend.local(ref.path).rglob("*")) if path.name == "0")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def resealed(store, ref):
    """Let the manifest of an object's attempt say of its files what they are now."""
    attempt = ref.path.split("/")[1]
    path = f"data/{attempt}/manifest.json"
    files = json.loads(store.backend.get(path))["files"]
    contents = {name: store.backend.get(name) for name in files}
    facts = {name: [len(content), zlib.crc32(content)] for name, content in contents.items()}
    store.backend.put(path, json.dumps({"files": facts}).encode())


def test_a_sound_store_has_no_faults(home):
    found = verify(home)
    assert (found.faults, found.findings) == ((), ())
    assert found.records == len(list(home.actions.keys()))
    assert found.objects >= len(digests(home.runs.latest()))
    assert found.bytes > 0


def test_one_run_alone(home):
    latest = home.runs.latest()
    found = verify(home, latest.id)
    assert found.faults == ()
    assert found.records == len({task.key for task in latest.tasks.values()})


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (flip, "checksum"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "size"),
        (lambda path: path.unlink(), "missing"),
    ],
)
def test_a_damaged_file_is_found_and_named(home, damage, kind):
    path = chunk_of(home, "a", "layers/lognorm")
    damage(path)
    (fault,) = verify(home).faults
    assert (fault.kind, home.backend.local(fault.path)) == (kind, path)


def test_a_value_other_than_its_digest_says_is_found(store):
    attempt = store.attempt()
    ref = attempt.write("layers/x", np.ones(3))
    wrong = type(ref)("0" * 64, ref.path, ref.kind, ref.meta)
    store.actions.commit(attempt, ActionRecord(KEY, attempt.id, {"x": wrong}))
    (fault,) = verify(store).faults
    assert (fault.kind, fault.path) == ("digest", ref.path)


def test_a_record_that_is_torn_or_of_another_identity_is_found(home):
    torn, other, *_ = home.actions.keys()
    record = home.actions.read(other)
    home.backend.put(f"actions/{torn[:2]}/{torn}.json", b"{")
    data = json.loads(record.to_bytes())
    data["identity"] = {"schema": 1, "step": "something else"}
    home.backend.put(f"actions/{other[:2]}/{other}.json", json.dumps(data).encode())
    assert {(f.kind, f.what) for f in verify(home).faults} == {
        ("record", "cannot be read"),
        ("record", "does not belong to its key"),
    }


def test_an_empty_record_is_none(home):
    key = next(iter(home.actions.keys()))
    home.backend.put(f"actions/{key[:2]}/{key}.json", b"")
    assert home.actions.get(key) is None
    assert verify(home).faults == ()


def test_what_was_dropped_is_computed_anew_and_the_same(applied, home):
    before = digests(home.runs.latest())
    flip(chunk_of(home, "a", "layers/lognorm"))
    (attempt,) = repair(home, verify(home))
    assert not home.backend.exists(f"data/{attempt}")
    run = applied.apply().run
    assert done(statuses(run)) == ["log"]
    assert digests(run) == before
    assert verify(home, run.id).faults == ()


def test_what_no_run_needs_any_more_is_dropped_for_good(applied, home):
    """Nothing asks for a set-up again whose results are there."""
    setup = next(
        ref
        for key in sorted(home.actions.keys())
        for ref in home.actions.read(key).outputs.values()
        if ref.path and ref.path not in {held.path for _, _, held in _held(home)}
    )
    flip(max(home.backend.local(setup.path).rglob("0"), key=lambda path: path.stat().st_size))
    repair(home, verify(home))
    assert not applied.apply().changed
    assert verify(home).faults == ()


def test_what_earlier_runs_have_lost_is_no_fault_of_the_newest(applied, home):
    before = home.runs.latest()
    flip(chunk_of(home, "a", "layers/lognorm"))
    (attempt,) = repair(home, verify(home))
    assert verify(home).faults != ()
    applied.apply()
    found = verify(home)
    assert (found.faults, found.lost) == ((), (attempt,))
    assert verify(home, before.id).faults != ()


def _held(home):
    return [place for task in home.runs.latest().tasks.values() for place in task.places()]


def test_an_attempt_that_cannot_be_removed_is_told_when_the_rest_is_repaired(home, monkeypatch):
    flip(chunk_of(home, "a", "layers/lognorm"))
    key = next(iter(home.actions.keys()))
    home.backend.put(f"actions/{key[:2]}/{key}.json", b"{")
    found = verify(home)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    with pytest.raises(StoreError, match=f"data/{found.damaged[0]} ") as caught:
        repair(home, found)
    assert caught.value.code == "store.permission"
    assert not home.backend.exists(f"actions/{key[:2]}/{key}.json")


class TestInPieces:
    MATRIX = sp.random(50, 90, density=0.4, format="csc", random_state=0)

    @pytest.fixture
    def ref(self, store):
        attempt = store.attempt()
        ref = attempt.write("layers/x", self.MATRIX)
        store.actions.commit(attempt, ActionRecord(KEY, attempt.id, {"x": ref}))
        return ref

    def test_a_matrix_is_never_held_whole(self, store, ref, monkeypatch):
        def whole(self):
            raise AssertionError("it is read whole")

        monkeypatch.setattr(StoredElement, "read", whole)
        monkeypatch.setattr("spatialrun.store.verify.PIECE", 100)
        found = verify(store)
        assert (found.faults, found.objects) == ((), 1)
        sizes = store.backend.sizes(ref.path.rpartition("/")[0])
        assert found.bytes == sum(sizes.values())

    @pytest.mark.parametrize(("part", "at"), [("data", -1), ("indices", 0), ("indptr", 5), ("indptr", -1)])
    def test_a_matrix_of_other_entries_is_found(self, store, ref, part, at):
        folder, _, name = ref.path.rpartition("/")
        array = zarr.open(store.backend.local(folder))[name][part]
        array[at] = array[at] + 1
        resealed(store, ref)
        (fault,) = verify(store).faults
        assert (fault.kind in ("digest", "unreadable"), fault.path) == (True, ref.path)

    def test_a_matrix_that_lost_its_end_is_found(self, store, ref):
        folder, _, name = ref.path.rpartition("/")
        zarr.open(store.backend.local(folder))[name]["indptr"].resize((40,))
        resealed(store, ref)
        (fault,) = verify(store).faults
        assert (fault.kind, fault.path) == ("digest", ref.path)


class TestFindings:
    @staticmethod
    def commit(store, value):
        attempt = store.attempt()
        ref = attempt.write("layers/x", np.full(3, value))
        record = ActionRecord(KEY, attempt.id, {"x": ref}, {"step": "odd"}, {"started": "then"})
        return store.actions.commit(attempt, record)

    def test_a_second_result_that_differs_is_kept_as_a_finding(self, store):
        first = self.commit(store, 1.0)
        assert self.commit(store, 2.0) == first
        (finding,) = verify(store).findings
        assert (finding.key, finding.uses, finding.ports) == (KEY, "odd", ("x",))
        assert finding.standing.attempt == first.attempt
        assert finding.standing.digests["x"] == first.outputs["x"].digest
        assert finding.other.digests["x"] != finding.standing.digests["x"]

    def test_a_second_result_that_is_the_same_is_none(self, store):
        self.commit(store, 1.0)
        self.commit(store, 1.0)
        assert list(store.findings) == []

    def test_one_that_was_computed_anew_to_another_result_is_one(self, store):
        first = self.commit(store, 1.0)
        store.drop(first.outputs["x"].path)
        second = self.commit(store, 2.0)
        (finding,) = store.findings
        assert (finding.standing.attempt, finding.other.attempt) == (second.attempt, first.attempt)
