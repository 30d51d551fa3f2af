"""The memory that a run is given: refused where a task needs more, and shared by those that run at once."""

from __future__ import annotations

import pytest
from lab import Lab

from spatialrun.errors import UsageError
from spatialrun.execute.budget import PROCESS, needed
from spatialrun.execute.queue import Queue, Ready


@pytest.fixture
def bench(tmp_path, sections):
    uses = {"read": "read.visium", "qc": "qc.metrics", "log": "normalize.log"}
    steps = "".join(f"  - {{id: {id}, uses: {name}}}\n" for id, name in uses.items())
    return Lab(tmp_path / "lab", {"a": sections["a"], "b": sections["b"]}, steps)


def test_too_small_a_budget_is_refused_with_what_is_needed_and_by_which_step(bench):
    recipe = bench.load()
    needs = {str(planned.task.id): needed(planned) for planned in recipe.plan()}
    most = max(needs.values())
    name = max(needs, key=needs.get)
    assert most > PROCESS
    with pytest.raises(UsageError) as raised:
        recipe.plan(memory=most - 1)
    assert raised.value.code == "memory.too-small"
    assert name.split()[0] in raised.value.what
    assert "--memory" in raised.value.hint
    recipe.plan(memory=most)


def test_what_the_error_says_is_enough(bench):
    recipe = bench.load()
    with pytest.raises(UsageError) as raised:
        recipe.plan(memory=10**6)
    said = raised.value.hint.split("--memory ")[1].split("GB")[0]
    recipe.plan(memory=int(float(said) * 10**9))


def test_cached_tasks_need_nothing(bench):
    recipe = bench.load()
    recipe.apply()
    recipe.plan(memory=1)


def test_the_command_line_refuses_before_anything_runs(bench):
    import subprocess
    import sys

    recipe = bench.load().recipe.file
    for command in ("plan", "apply"):
        done = subprocess.run(
            [sys.executable, "-m", "spatialrun", command, str(recipe), "--memory", "100MB"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert "memory.too-small" in done.stderr
    assert not (bench.store / "actions").exists()


def ready(memory: int) -> Ready:
    return Ready(None, None, memory)  # type: ignore[arg-type]


def test_workers_count_with_what_their_process_takes():
    queue = Queue(10**9, "where they pay", process=3 * 10**8)
    for memory in (4 * 10**8, 4 * 10**8):
        queue.add(ready(memory))
    first, place = queue.take((), width=2, idle=0)
    assert place == "worker"
    assert queue.spare([], idle=0, place="worker") == 7 * 10**8
    assert queue.take([first], width=2, idle=0) is None  # 2 x (300 + 400) MB


def test_a_task_that_fits_beside_no_other_process_runs_in_this_one():
    queue = Queue(10**9, "where they pay", process=3 * 10**8)
    for memory in (9 * 10**8, 9 * 10**8):
        queue.add(ready(memory))
    assert queue.take((), width=2, idle=0)[1] == "here"
    assert queue.spare((), idle=0, place="here") == 10**9
