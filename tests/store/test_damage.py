"""Damage of every kind, in a folder and in a bucket: found, said, never served, and made good by applying."""

from __future__ import annotations

import re

import kill_points
import numpy as np
import pytest
from lab import digests

from spatialrun.errors import StoreError
from spatialrun.store.actions import record_path
from spatialrun.store.store import open_store
from spatialrun.store.verify import repair, verify

MORE = "  - {id: more, uses: test.follower, with: {flag: none, key_added: more}}\n"
"""Reads what ``joined`` has made, so that the damage is met."""


@pytest.fixture(params=["local", "s3"])
def lab(request, tmp_path, home, own_steps):
    """A bench whose recipe has been applied, with its store in a folder or in a bucket."""
    url = f"{request.getfixturevalue('bucket')}/store" if request.param == "s3" else None
    (tmp_path / "a.h5ad").write_bytes((home / "a.h5ad").read_bytes())
    lab = kill_points.lab_of(str(tmp_path / "lab"), url)
    assert lab.apply().errors == ()
    lab.url = url or lab.store
    return lab


def backend_of(lab):
    return open_store(lab.url).backend


def object_of(lab):
    """Where a column of spots lies."""
    return open_store(lab.url).runs.latest().slots("a")["obs/noted"].path


def chunk_of(lab):
    return f"{object_of(lab)}/c/0"


def change(lab, path, edit):
    backend = backend_of(lab)
    backend.put(path, edit(backend.get(path)))


def flip(content):
    return content[:9] + bytes([content[9] ^ 1]) + content[10:]


def cut(content):
    return content[: len(content) // 2]


def cut_off(content):
    return b""


def record_of(lab):
    return record_path(open_store(lab.url).runs.latest().tasks["joined", "_cohort"].key)


DAMAGES = {
    "a bit flipped in an object": (lambda lab: change(lab, chunk_of(lab), flip), "checksum"),
    "an object cut short": (lambda lab: change(lab, chunk_of(lab), cut), "size"),
    "a file of an object deleted": (lambda lab: backend_of(lab).delete(chunk_of(lab)), "missing"),
    "an object deleted": (lambda lab: backend_of(lab).delete(object_of(lab)), "missing"),
    "an attempt deleted": (
        lambda lab: backend_of(lab).delete(object_of(lab).rpartition("/a/")[0]),
        "missing",
    ),
    "an attempt's manifest cut short": (
        lambda lab: change(lab, object_of(lab).rpartition("/a/")[0] + "/manifest.json", cut),
        "missing",
    ),
    "an object's metadata cut short": (lambda lab: change(lab, f"{object_of(lab)}/zarr.json", cut), "size"),
    "a record cut short": (lambda lab: change(lab, record_of(lab), cut), "record"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_by_verify_and_made_good_by_applying(lab, damage):
    spoil, kind = DAMAGES[damage]
    before = digests(open_store(lab.url).runs.latest())
    spoil(lab)
    found = verify(open_store(lab.url))
    assert kind in {fault.kind for fault in found.faults}
    repair(open_store(lab.url), found)
    outcome = lab.apply()
    assert outcome.errors == ()
    assert digests(outcome.run) == before
    again = verify(open_store(lab.url), outcome.run.id)
    assert (again.faults, again.findings) == ((), ())
    assert not lab.apply().changed


@pytest.mark.parametrize(
    "damage", [name for name, (_, kind) in DAMAGES.items() if kind != "record" and "manifest" not in name]
)
def test_damage_that_a_run_meets_is_made_good_by_the_run(lab, damage, tmp_path):
    before = digests(open_store(lab.url).runs.latest())
    DAMAGES[damage][0](lab)
    lab.steps += MORE
    outcome = lab.apply()
    assert outcome.errors == ()
    found = digests(outcome.run)
    assert {name: found[name] for name in before if "exports" not in name[1]} == {
        name: digest for name, digest in before.items() if "exports" not in name[1]
    }
    store = open_store(lab.url)
    values = [store.element(outcome.run.slots("a")[slot]).read() for slot in ("obs/noted", "obs/more")]
    np.testing.assert_array_equal(values[1], values[0] + 1)
    assert verify(store, outcome.run.id).faults == ()


@pytest.mark.parametrize("damage", [name for name, (_, kind) in DAMAGES.items() if kind == "record"])
def test_a_damaged_record_that_a_run_meets_is_made_anew(lab, damage):
    before = digests(open_store(lab.url).runs.latest())
    DAMAGES[damage][0](lab)
    backend = backend_of(lab)
    for path in ("latest", "runs"):
        backend.delete(path)
    outcome = lab.apply()
    assert outcome.errors == ()
    assert [step for (step, _), task in outcome.run.tasks.items() if task.status == "done"] == ["joined"]
    assert digests(outcome.run) == before
    assert verify(open_store(lab.url)).faults == ()


def test_what_is_damaged_is_never_read(lab):
    run = open_store(lab.url).runs.latest()
    ref = run.slots("a")["obs/noted"]
    change(lab, chunk_of(lab), flip)
    with pytest.raises(StoreError) as caught:
        open_store(lab.url).element(ref).read()
    assert caught.value.code == "store.corrupt"
    assert re.search(r"data/.*noted|data/.*column", str(caught.value))
    assert caught.value.hint


def test_a_run_or_the_name_of_the_newest_that_is_torn_costs_nothing_computed(lab):
    store = open_store(lab.url)
    for path in ("latest", f"runs/{store.runs.latest().id}/manifest.json"):
        change(lab, path, cut)
        outcome = lab.apply()
        assert outcome.errors == ()
        assert not outcome.changed or {task.status for task in outcome.run.tasks.values()} == {"cached"}


def test_an_empty_record_is_none(lab):
    """A kill between a claim and its record leaves it, where there are no hard links."""
    change(lab, record_of(lab), cut_off)
    assert verify(open_store(lab.url)).faults == ()
    backend_of(lab).delete("latest")
    backend_of(lab).delete("runs")
    outcome = lab.apply()
    assert outcome.errors == ()
    assert "done" in {task.status for task in outcome.run.tasks.values()}
    assert backend_of(lab).get(record_of(lab))


def test_torn_leftovers_of_the_engine_itself_are_passed_over(lab):
    backend = backend_of(lab)
    for path in ("leases/ab", "intents/x/intent.json", "findings/ab.json", "sources/ab/abcd.json"):
        backend.put(path, b'{"half of it": ')
    outcome = lab.apply("steps.sums.with.factor=2")
    assert outcome.errors == ()
    assert verify(open_store(lab.url)).faults == ()
