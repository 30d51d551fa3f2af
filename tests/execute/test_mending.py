"""A damaged object that a task meets is dropped, made anew once, and the run goes on to the same results."""

import pytest
from lab import Lab, codes, digests, done, statuses

from spatialrun.store.store import open_store

STEPS = """\
  - {id: read, uses: read.visium}
  - {id: log, uses: normalize.log}
  - {id: sums, uses: test.blocks, with: {flag: FLAG}}
"""
MORE = "  - {id: variable, uses: genes.variable}\n"


@pytest.fixture
def own(lab, own_steps, tmp_path) -> Lab:
    lab.steps = STEPS.replace("FLAG", str(tmp_path / "flag"))
    assert lab.apply().errors == ()
    return lab


def spoil(lab, attempt):
    """Flip a bit in every chunk of an attempt."""
    for path in (lab.store / "data" / attempt).rglob("*"):
        if path.is_file() and "c" in path.parts and not path.name.endswith(".json"):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(bytes(content))


def attempt_of(lab, slot):
    return open_store(lab.store).runs.latest().slots("a")[slot].path.split("/")[1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_maker_runs_once_more_and_all_comes_to_the_same(own, tmp_path, jobs):
    undisturbed = Lab(tmp_path / "undisturbed", own.samples, own.steps + MORE).apply().run
    spoil(own, attempt_of(own, "layers/counts"))
    own.steps += MORE
    events = []
    outcome = own.apply(jobs=jobs, listener=events.append)
    assert outcome.errors == ()
    assert set(done(statuses(outcome.run))) == {"read", "variable"}
    assert digests(outcome.run) == digests(undisturbed)
    warnings = [event.data["line"] for event in events if event.kind == "task-warning"]
    assert sum("it is dropped, and computed anew" in line for line in warnings) == 1
    assert not own.apply().changed


def test_a_stage_of_the_task_itself_is_made_anew(own, tmp_path):
    other = Lab(tmp_path / "other", own.samples, own.steps)
    edit = "steps.sums.with.factor=3"
    store = open_store(own.store)
    for key in list(store.actions.keys()):
        record = store.actions.read(key)
        if record.identity.get("stage") == "blocks":
            spoil(own, record.attempt)
    outcome = own.apply(edit)
    assert outcome.errors == ()
    assert digests(outcome.run) == digests(other.apply(edit).run)


def test_one_that_is_damaged_again_and_again_is_the_failure_of_its_task(own):
    def spoil_at_once(event):
        if event.kind == "task-started" and event.step == "variable":
            for path in (own.store / "data").iterdir():
                spoil(own, path.name)

    own.steps += MORE
    outcome = own.apply(listener=spoil_at_once)
    assert codes(outcome.errors) == ["store.corrupt"]
    assert outcome.run.status == "failed"
