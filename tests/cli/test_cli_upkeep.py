"""``runs``, ``status``, ``gc`` and ``verify``: a store looked after from the command line."""

from __future__ import annotations

import json
import shutil

import pytest

from spatialrun.cli.console import out
from spatialrun.cli.render_verify import print_verification
from spatialrun.store.intents import Intent
from spatialrun.store.store import open_store
from spatialrun.store.verify import Verification


@pytest.fixture
def own(store, tmp_path):
    """A copy of the store, to be changed."""
    shutil.copytree(store, tmp_path / "own")
    return open_store(tmp_path / "own")


@pytest.fixture
def run_id(own):
    return own.runs.latest().id


def test_runs_are_listed_with_their_tasks_and_size(call, own, run_id):
    result = call("runs", own.url)
    header, line = result.lines
    assert header.split() == ["run", "begun", "status", "tasks", "size"]
    assert line.startswith(run_id)
    assert "6 done, 4 cached" in line  # the samples are alike: what is done for one is there for the other
    (facts,) = json.loads(call("runs", own.url, "--json").out)
    assert (facts["id"], facts["tasks"], facts["pinned"]) == (run_id, {"done": 6, "cached": 4}, False)
    assert facts["size"] > 0


def test_a_run_is_pinned_and_unpinned(call, own, run_id):
    assert call("runs", own.url, "--pin", run_id).lines[-1].endswith("pinned")
    assert own.runs.pinned() == {run_id}
    assert not call("runs", own.url, "--unpin", run_id).lines[-1].endswith("pinned")
    assert "error[store.no-run]" in call("runs", own.url, "--pin", "never").err


def test_status_shows_what_is_running(call, own, run_id):
    assert call("status", own.url).lines[0] == "running   nothing"
    progress = {"total": 5, "ended": 2, "running": ["svg a"]}
    own.intents.announce(Intent("next", last=run_id, progress=progress))
    first, task, last, *_ = call("status", own.url).lines
    assert "next: 2 of 5 tasks" in first
    assert task.strip() == "svg a"
    assert run_id in last
    data = json.loads(call("status", own.url, "--json").out)
    assert data["going"][0]["intent"]["run"] == "next"
    assert data["size"] > 0


def test_gc_says_first_what_it_does_then(call, own):
    call("gc", own.url, "--grace", "0s")
    attempt = own.attempt()
    attempt.write("uns/x", 1)
    attempt.verify()
    said = call("gc", own.url, "--grace", "0s", "--dry-run")
    assert said.lines[0].startswith("would delete 1 result: ")
    assert own.backend.exists(f"data/{attempt.id}")
    assert call("gc", own.url).lines[0].startswith("deleted nothing: "), "it is younger than the grace period"
    data = json.loads(call("gc", own.url, "--grace", "0s", "--json").out)
    assert data["attempts"] == [attempt.id]
    assert not own.backend.exists(f"data/{attempt.id}")


def test_gc_warns_where_the_store_cannot_be_made_to_fit(call, own, run_id):
    result = call("gc", own.url, "--max-size", "1kB", "--grace", "0s")
    assert "warning: what is left is held by" in result.out
    assert list(own.runs.names()) == [run_id]


@pytest.mark.parametrize("words", [("--grace", "soon"), ("--max-size", "big"), ("--keep-runs", "0")])
def test_gc_refuses(call, own, words):
    assert call("gc", own.url, *words).code == 2


def test_a_sound_store_is_verified(call, own, run_id):
    result = call("verify", own.url)
    assert (result.code, "all as they were written" in result.out) == (0, True)
    assert call("verify", own.url, "--run", run_id).code == 0


def test_damage_is_shown_and_dropped(call, own):
    ref = own.runs.latest().slots("p1")["layers/lognorm"]
    path = next(p for p in own.backend.local(ref.path).rglob("*") if p.name == "0")
    path.write_bytes(path.read_bytes()[:-1])
    result = call("verify", own.url)
    assert result.code == 4
    assert "1 fault" in result.out
    assert result.lines[-1].endswith("--repair")
    assert len(json.loads(call("verify", own.url, "--json").out)["faults"]) == 1
    assert call("verify", own.url, "--repair").code == 0
    assert not own.backend.exists(ref.path)


def test_what_earlier_runs_have_lost_is_said(capsys):
    print_verification(out(), "store", Verification(3, 2, 100, (), (), lost=("x",)), (), ())
    assert "of earlier runs dropped: 1 attempt" in capsys.readouterr().out


def test_some_tasks_are_computed_anew(call, own):
    result = call("verify", own.url, "--sample", "2")
    again = [line for line in result.lines if line.startswith("computed anew")]
    assert len(again) == 2
    assert all(line.endswith("the same results") for line in again)


def test_two_runs_are_compared(call, write):
    recipe = write()
    call("apply", recipe, "-q", "-j", 1)
    recipe = write(("uses: normalize.log", "uses: normalize.log\n    with: {target_sum: 50}"))
    call("apply", recipe, "-q", "-j", 1)
    store = recipe.parent / "store"
    old, new = open_store(store).runs.names()
    result = call("diff", store, old, new)
    assert result.code == 0
    assert "+  with: {target_sum: 50}" in result.out
    assert "-> 50" in result.out
    assert "layers/lognorm" in result.out
    data = json.loads(call("diff", store, old, new, "--json").out)
    assert {change["slot"] for change in data["slots"]} == {"layers/norm", "layers/lognorm"}
    assert call("diff", store, old, old).out == "the runs are the same\n"
    assert call("diff", store, old, "never").code == 4
    assert call("diff", recipe).out == f"{old} -> {new}\n{result.out}", "the newest two"
    assert call("diff", recipe, new).out == "the runs are the same\n", "with the newest"


def test_one_run_is_compared_with_none(call, write):
    recipe = write()
    call("apply", recipe, "-q", "-j", 1)
    result = call("diff", recipe)
    assert result.code == 4
    assert "there is no run before" in result.err
