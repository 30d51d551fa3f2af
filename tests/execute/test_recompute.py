"""Tasks computed once more come to the same results, and those that do not are found."""

import itertools

import steps_of_tests

from spatialrun.execute.recompute import recompute_some
from spatialrun.store.store import open_store


def test_all_that_a_store_holds_the_inputs_of_comes_to_the_same(applied):
    store = open_store(applied.store)
    before = applied.listing()
    again = recompute_some(store, None, 100)
    assert {task.step for task in again} == {"log", "svg", "chosen"}
    assert all(task.error is None and task.differing == () for task in again)
    assert applied.listing() == before


def test_the_seed_decides_which(applied):
    store = open_store(applied.store)
    drawn = {seed: [task.step for task in recompute_some(store, None, 1, seed)] for seed in (1, 1, 2, 3)}
    assert all(len(steps) == 1 for steps in drawn.values())
    assert [task.step for task in recompute_some(store, None, 1, 1)] == drawn[1]


def test_another_result_is_a_finding(lab, own_steps, monkeypatch):
    counter = itertools.count()
    column = steps_of_tests.OfTests.column
    monkeypatch.setattr(steps_of_tests.Constant, "column", lambda *args: column(*args) + next(counter))
    lab.steps = "  - {id: read, uses: read.visium}\n  - {id: odd, uses: test.constant, with: {flag: none}}\n"
    lab.apply()
    store = open_store(lab.store)
    (again,) = recompute_some(store, None, 5)
    assert (again.step, again.differing) == ("odd", ("column",))
    (finding,) = store.findings
    assert finding.uses == "test.constant"


def test_what_was_computed_on_a_gpu_is_left_out(lab, own_steps):
    lab.steps = "  - {id: read, uses: read.visium}\n"
    for id, device in (("x", "cpu"), ("y", "cuda")):
        given = f"flag: none, key_added: {id}"
        lab.steps += f"  - {{id: {id}, uses: test.on_device, gpu: {{device: {device}}}, with: {{{given}}}}}\n"
    assert lab.apply().run.status == "done"
    (again,) = recompute_some(open_store(lab.store), None, 5)
    assert (again.step, again.differing, again.error) == ("x", (), None)
