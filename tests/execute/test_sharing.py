"""Several runs at once: each task is computed by one of them, and the others take its results."""

from __future__ import annotations

import os
import threading

import pytest
from lab import Lab, digests, done, statuses
from steps_of_tests import notes

from spatialrun.execute.events import ignore
from spatialrun.execute.options import Options
from spatialrun.store.intents import Intent
from spatialrun.store.store import create_store, open_store

STEPS = """\
  - {id: read, uses: read.visium}
  - {id: sums, uses: test.blocks, with: {flag: FLAG}}
"""


@pytest.fixture
def shared(lab, own_steps, tmp_path) -> Lab:
    lab.steps = STEPS.replace("FLAG", str(tmp_path / "flag"))
    return lab


def once(lab, tmp_path) -> bool:
    """Whether each part was computed once."""
    lines = notes(tmp_path / "flag")
    return len(lines) == len(set(lines)) == 12


def test_who_comes_second_waits_and_takes_the_results(shared, tmp_path):
    create_store(shared.store)
    events, others = [], []
    other = Lab(shared.root, shared.samples, shared.steps)

    def second():
        others.append(other.apply(listener=events.append))

    thread = threading.Thread(target=second)

    def listen(event):
        if event.kind == "task-started" and event.step == "read":
            thread.start()
            while not any(e.kind == "task-waiting" for e in events):
                threading.Event().wait(0.01)

    first = shared.apply(listener=listen)
    thread.join()
    (waiting, *_) = [e for e in events if e.kind == "task-waiting"]
    assert (waiting.data["run"], waiting.data["pid"]) == (first.run.id, os.getpid())
    assert digests(others[0].run) == digests(first.run)
    assert once(shared, tmp_path)
    assert list(open_store(shared.store).leases) == []


def test_two_samples_of_one_content_are_computed_once(shared, sections, tmp_path):
    shared.samples = {"a": sections["a"], "b": sections["a"]}
    run = shared.apply().run
    assert done(statuses(run)) == ["read", "sums"]
    assert set(statuses(run, "b").values()) == {"cached"}
    assert once(shared, tmp_path)


def test_that_of_a_process_that_was_killed_holds_nobody_up(shared, tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    process = shared.python("recipe.apply(Options(jobs=1))")
    process.communicate(timeout=120)
    assert len(list(open_store(shared.store).leases)) > 0
    flag.unlink()
    events = []
    assert shared.apply(listener=events.append).run.status == "done"
    assert "task-waiting" not in [event.kind for event in events]


def test_of_one_that_fails_the_other_tries_for_itself(lab, own_steps, tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    lab.steps = (
        f"  - {{id: read, uses: read.visium}}\n  - {{id: bad, uses: test.failing, with: {{flag: {flag}}}}}\n"
    )
    assert lab.apply().run.status == "failed"
    assert list(open_store(lab.store).leases) == []
    flag.unlink()
    assert lab.apply().run.status == "done"


def test_ctrl_c_ends_the_waiting(shared):
    store = create_store(shared.store)
    shared.apply()
    edit = "steps.sums.with.factor=2"
    key = str(shared.decide("sums", edit).key)
    store.intents.announce(Intent("other"))
    assert store.leases.take(key, "other")

    def listen(event):
        if event.kind == "task-waiting":
            os.kill(os.getpid(), 2)

    with pytest.raises(KeyboardInterrupt):
        shared.apply(edit, listener=listen)
    store.intents.withdraw("other")
    assert done(statuses(shared.apply(edit).run)) == ["sums"]


def test_with_fail_fast_what_waits_for_others_is_left_out(lab, own_steps, tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    lab.steps = (
        "  - {id: read, uses: read.visium}\n"
        f"  - {{id: slow, uses: test.constant, with: {{flag: {flag}}}}}\n"
        f"  - {{id: bad, uses: test.failing, with: {{flag: {flag}, key_added: bad}}}}\n"
    )
    flag.unlink()
    lab.apply()
    flag.touch()
    edits = ["steps.slow.with.value=2", "steps.bad.with.value=2"]
    store = open_store(lab.store)
    store.intents.announce(Intent("other"))
    assert store.leases.take(str(lab.decide("slow", *edits).key), "other")
    outcome = lab.load(*edits).apply(Options(jobs=1, memory=2 * 10**9, keep_going=False), ignore)
    assert statuses(outcome.run) == {"read": "cached", "slow": "skipped", "bad": "failed"}
