"""The difference of two runs: what decided it, and how far each kind of value moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from spatialrun.plan.difference import Moved, difference, measure
from spatialrun.store.elements import StoredElement
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.store.store import create_store, open_store


@pytest.fixture
def two(applied):
    """The store after the number of genes to be chosen was changed, and both runs' names."""
    store = open_store(applied.store)
    old = store.runs.latest().id
    applied.edit("n_svg: 10", "n_svg: 4")
    return store, old, applied.apply().run.id


def test_a_run_is_the_same_as_itself(applied):
    store = open_store(applied.store)
    run = store.runs.latest().id
    assert difference(store, run, run).nothing


def test_recipe_parameters_and_slots(two):
    found = difference(*two)
    assert any(line.startswith("+") and "n_svg: 4" in line for line in found.recipe)
    (change,) = found.tasks
    (reason,) = change.reasons
    assert (change.step, change.samples) == ("svg", ("a",))
    assert (reason.kind, reason.name, reason.old, reason.new) == ("parameter", "n_svg", 10, 4)
    assert found.versions == {}
    moved = {change.slot: change.moved for change in found.slots}
    flags = moved["var/spatialde.svg"][""]
    assert (flags.absolute, flags.relative) == (1.0, 1.0)
    assert 0 < flags.changed <= 6 / 200
    assert "var/spatialde.padj" not in moved


def test_slots_that_one_run_lacks(two, applied):
    store, _, old = two
    applied.edit("  - {id: log, uses: normalize.log}\n", "")
    found = difference(store, old, applied.apply().run.id)
    kinds = {(change.slot, change.kind) for change in found.slots}
    assert kinds == {("layers/norm", "removed"), ("layers/lognorm", "removed")}
    assert {change.step for change in found.tasks} == {"log"}


def test_numbers():
    assert measure(np.array([1.0, 2.0, 4.0, np.nan]), np.array([1.0, 3.0, 2.0, np.nan])) == Moved(
        2.0, 0.5, 0.5
    )
    assert measure(np.array([1.0, np.nan]), np.array([1.0, 0.0])).absolute == np.inf
    assert measure(np.array([True, False]), np.array([True, True])) == Moved(1.0, 1.0, 0.5)
    assert measure(np.zeros(3), np.zeros((2, 2))).what == "3 became 2 x 2"


def test_sparse_matrices_count_what_neither_holds_as_the_same():
    old, new = sp.csc_matrix(np.diag([1.0, 2.0])), sp.csc_matrix(np.diag([1.0, 4.0]))
    assert measure(old, new) == Moved(2.0, 0.5, 0.25)


@pytest.mark.parametrize(("one", "other"), [("csc", "csc"), ("csr", "csc"), ("csr", "csr")])
def test_stored_matrices_are_compared_some_columns_at_a_time(tmp_path, monkeypatch, one, other):
    old = sp.random(40, 30, density=0.3, format="csc", random_state=1)
    new = old + sp.random(40, 30, density=0.05, format="csc", random_state=2)
    new.data[7] = np.nan
    store = create_store(tmp_path / "store")
    attempt = store.attempt()
    refs = [
        attempt.write(name, matrix.asformat(kind))
        for name, matrix, kind in [("old", old, one), ("new", new, other)]
    ]
    expected = measure(old.toarray(), new.toarray())
    read = StoredElement.read

    def part(self):
        assert self.ref.meta["format"] == "csr", "it is read whole"
        return read(self)

    monkeypatch.setattr(StoredElement, "read", part)
    monkeypatch.setattr("spatialrun.plan.difference.STRETCH", 50)
    assert changed(store, *refs) == expected
    assert changed(store, refs[0], refs[0]) == Moved(0.0, 0.0, 0.0)


def test_stored_matrices_of_other_shapes(tmp_path):
    store = create_store(tmp_path / "store")
    attempt = store.attempt()
    old, new = (attempt.write(f"x{n}", sp.random(4, n, density=0.5, format="csc")) for n in (3, 5))
    assert changed(store, old, new) == Moved(what="4 x 3 became 4 x 5")


def test_a_stored_matrix_that_cannot_be_read(tmp_path):
    store = create_store(tmp_path / "store")
    attempt = store.attempt()
    old, new = (attempt.write(f"x{n}", sp.random(4, 3, density=0.5, format="csc")) for n in (3, 5))
    store.backend.delete(f"{new.path}/data/c/0")
    assert "cannot be read" in changed(store, old, new).what


def changed(store, old, new):
    """How far a slot moved in a run after another."""
    for name, ref in (("one", old), ("two", new)):
        same = replace(ref, digest=name)
        tasks = {("s", "a"): TaskEntry("s", "a", "s", "done", outputs={"layers/x": same})}
        store.runs.save(Run(name, "2026-01-01T00:00:00+00:00", "done", {"a": {}}, tasks), "")
    (change,) = difference(store, "one", "two").slots
    return change.moved[""]


def test_labels_of_the_same_groups_agree_whatever_their_names():
    old, new = pd.Categorical(list("aabb")), pd.Categorical(list("xxyy"))
    assert measure(old, new) == Moved(changed=1.0, ari=1.0)


def test_text():
    assert measure(np.array(["a", "b"], object), np.array(["a", "c"], object)) == Moved(changed=0.5)
