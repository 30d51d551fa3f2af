"""Tries, timeouts, and what comes after a failure."""

import os
from pathlib import Path

import pytest
from lab import MEMORY, Lab, codes, entry, statuses
from steps_of_tests import GENES_PER_BLOCK, forget, notes

from spatialrun.execute import watch, worker
from spatialrun.execute.apply import Options
from spatialrun.execute.events import Event
from spatialrun.store.store import open_store

READ = "  - {id: read, uses: read.visium}\n"


@pytest.fixture
def bench(lab, own_steps) -> Lab:
    lab.root.mkdir()
    lab.steps = READ
    return lab


@pytest.fixture
def flag(bench) -> Path:
    return bench.root / "flag"


def step(bench: Lab, uses: str, *keys: str, value: int = 1, **more: object) -> None:
    """Add a step under the id ``x``."""
    given = ", ".join(
        [f"flag: {bench.root / 'flag'}", f"value: {value}", *(f"{k}: {v}" for k, v in more.items())]
    )
    bench.steps += f"  - {{{', '.join(['id: x', f'uses: {uses}', *keys])}, with: {{{given}}}}}\n"


class TestRetries:
    @pytest.mark.parametrize("timeout", ["", "timeout: 60"])
    def test_a_task_is_tried_again_until_it_succeeds(self, bench, flag, timeout):
        step(bench, "test.flaky", "retries: 2", *([timeout] if timeout else []), value=2)
        events: list[Event] = []
        run = bench.apply(listener=events.append).run
        assert run.status == "done"
        assert notes(flag) == ["try"] * 3
        log = entry(run, "x").facts["log"]
        assert [line for line in log if line.startswith(("this is", "try "))] == [
            "this is try 1",
            "try 1 of 3 failed: test.flaky stopped: ValueError: not yet [task.failed]",
            "this is try 2",
            "try 2 of 3 failed: test.flaky stopped: ValueError: not yet [task.failed]",
            "this is try 3",
        ]
        told = [(e.data["number"], e.data["of"]) for e in events if e.kind == "task-retried"]
        assert told == [(2, 3), (3, 3)]

    def test_when_no_try_is_left_it_has_failed(self, bench, flag):
        step(bench, "test.flaky", "retries: 1", value=9)
        outcome = bench.apply()
        assert (codes(outcome.errors), len(notes(flag))) == (["task.failed"], 2)
        assert sum("failed" in line for line in entry(outcome.run, "x").facts["log"]) == 1

    def test_the_options_say_it_for_steps_that_do_not(self, bench, flag):
        step(bench, "test.flaky", value=1)
        assert bench.load().apply(Options(jobs=1, memory=MEMORY)).errors
        forget(flag)
        assert bench.load().apply(Options(jobs=1, memory=MEMORY, retries=1)).run.status == "done"

    def test_a_step_that_says_none_has_none(self, bench, flag):
        step(bench, "test.flaky", "retries: 0", value=1)
        outcome = bench.load().apply(Options(jobs=1, memory=MEMORY, retries=2))
        assert (codes(outcome.errors), len(notes(flag))) == (["task.failed"], 1)

    def test_what_cannot_end_otherwise_is_not_tried_again(self, bench, flag):
        step(bench, "test.silent", "retries: 5")
        events: list[Event] = []
        assert codes(bench.apply(listener=events.append).errors) == ["task.outputs"]
        assert "task-retried" not in [event.kind for event in events]


class TestTimeouts:
    def test_a_task_that_takes_too_long_is_ended(self, bench, flag):
        step(bench, "test.endless", "timeout: 2")
        bench.steps += f"  - {{id: other, uses: test.constant, with: {{flag: {flag}, key_added: o}}}}\n"
        flag.touch()
        outcome = bench.apply()
        (error,) = outcome.errors
        assert (error.code, error.where.step, error.where.sample) == ("task.timeout", "x", "a")
        assert "2 s" in error.what
        assert error.what.endswith("its log ends:\n  here we go")
        assert statuses(outcome.run) == {"read": "done", "x": "failed", "other": "done"}
        assert entry(outcome.run, "x").facts["log"] == ["here we go"]

    def test_the_next_try_has_as_long_again(self, bench, flag):
        step(bench, "test.endless", "timeout: 5", "retries: 1")
        flag.touch()

        def lower(event: Event) -> None:
            if event.kind == "task-retried":
                flag.unlink()

        assert bench.apply(listener=lower).run.status == "done"

    def test_a_slow_start_of_the_process_takes_none_of_it(self, bench, flag, monkeypatch):
        monkeypatch.setattr(worker, "START", f"import time; time.sleep(8); {worker.START}")
        step(bench, "test.endless", "timeout: 5")
        assert bench.apply().run.status == "done"

    def test_a_process_that_never_starts_is_ended_too(self, bench, flag, monkeypatch):
        monkeypatch.setattr(worker, "START", "import time; time.sleep(600)")
        monkeypatch.setattr(watch, "LONGEST_START", 0.5)
        step(bench, "test.endless", "timeout: 1")
        assert codes(bench.apply().errors) == ["task.timeout"]

    def test_a_task_in_time_is_like_any_other(self, bench, flag):
        step(bench, "test.endless", "timeout: 60")
        assert bench.apply().run.status == "done"
        assert not bench.apply().changed

    def test_a_store_in_memory_holds_nobody_to_it(self, bench, flag):
        step(bench, "test.endless", "timeout: 60")
        assert bench.apply("store=memory://tries").run.status == "done"


class TestFailFast:
    def test_nothing_is_begun_after_a_failure(self, bench, flag):
        step(bench, "test.failing", key_added="noted")
        bench.steps += f"  - {{id: after, uses: test.follower, with: {{flag: {flag}, key_added: n}}}}\n"
        bench.steps += f"  - {{id: other, uses: test.constant, with: {{flag: {flag}, key_added: o}}}}\n"
        flag.touch()
        outcome = bench.load().apply(Options(jobs=1, memory=MEMORY, keep_going=False))
        assert statuses(outcome.run) == {
            "read": "done",
            "x": "failed",
            "after": "skipped",
            "other": "skipped",
        }
        assert outcome.run.status == "failed"
        assert entry(outcome.run, "other").facts["because"] == "x a"

    def test_what_is_cached_stays_known(self, bench, flag, sections):
        bench.apply()
        bench.samples = {"b": sections["b"], "a": sections["a"]}
        step(bench, "test.failing", "samples: [b]")
        flag.touch()
        outcome = bench.load().apply(Options(jobs=1, memory=MEMORY, keep_going=False))
        assert statuses(outcome.run) == {"read": "cached"}
        assert statuses(outcome.run, "b") == {"read": "done", "x": "failed"}


class TestInterrupts:
    def test_once_lets_the_task_come_to_its_end(self, bench, flag):
        step(bench, "test.finishing")
        bench.steps += f"  - {{id: next, uses: test.follower, with: {{flag: {flag}, key_added: n}}}}\n"
        flag.touch()
        events: list[Event] = []
        with pytest.raises(KeyboardInterrupt):
            bench.apply(listener=events.append)
        run = open_store(bench.store).runs.latest()
        assert run.status == "interrupted"
        assert statuses(run) == {"read": "done", "x": "done", "next": "skipped"}
        assert "run-stopping" in [event.kind for event in events]
        assert events[-1].data["counts"]["done"] == 2
        assert statuses(bench.apply().run) == {"read": "cached", "x": "cached", "next": "done"}

    def test_with_the_last_task_done_there_is_nothing_to_interrupt(self, bench, flag):
        step(bench, "test.finishing")
        flag.touch()
        assert bench.apply().run.status == "done"

    @pytest.mark.parametrize("timeout", ["", ", timeout: 300"])
    def test_once_lets_blocks_come_to_their_end(self, bench, flag, timeout):
        bench.steps += f"  - {{id: sums, uses: test.halting{timeout}, with: {{flag: {flag}}}}}\n"
        flag.write_text(str(os.getpid()))
        with pytest.raises(KeyboardInterrupt):
            bench.apply()
        _, *before = forget(flag)
        assert len(before) == 4
        run = bench.apply().run
        assert "4 of 10 blocks were done before" in entry(run, "sums").facts["log"]
        *after, combine = forget(flag)
        assert combine == "combine"
        assert sorted(map(int, before + after)) == list(range(0, 200, GENES_PER_BLOCK))
