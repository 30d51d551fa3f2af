"""Tasks that fail: what they cost, what is said, and how the next run goes on."""

import shutil
import time
from pathlib import Path

import psutil
import pytest
from lab import Lab, codes, digests, done, entry, statuses

from spatialrun.errors import StoreError
from spatialrun.execute.events import Event
from spatialrun.store.runs import Runs
from spatialrun.store.store import create_store, open_store

READ = "  - {id: read, uses: read.visium}\n"
LOG = "  - {id: log, uses: normalize.log}\n"


@pytest.fixture
def fragile(lab, own_steps) -> Lab:
    """Steps ``base`` (fails while ``flag`` is there), ``next`` (reads it) and ``other`` (does not)."""
    flag = lab.root / "flag"
    lab.steps = READ
    lab.steps += f"  - {{id: base, uses: test.failing, with: {{flag: {flag}}}}}\n"
    lab.steps += f"  - {{id: next, uses: test.follower, with: {{flag: {flag}, key_added: n}}}}\n"
    lab.steps += f"  - {{id: other, uses: test.constant, with: {{flag: {flag}, key_added: o}}}}\n"
    lab.root.mkdir()
    flag.touch()
    return lab


def objects(lab: Lab) -> set[str]:
    """Attempts that were begun and not taken back."""
    return {path.name for path in (lab.store / "data").iterdir()}


def test_followers_are_skipped_and_all_else_goes_on(fragile):
    outcome = fragile.apply()
    assert outcome.run.status == "failed"
    assert statuses(outcome.run) == {"read": "done", "base": "failed", "next": "skipped", "other": "done"}
    assert entry(outcome.run, "next").facts["because"] == "base a"
    assert (outcome.changed, len(outcome.errors)) == (True, 1)


def test_an_unexpected_error_is_coded_and_its_traceback_is_in_the_log(fragile):
    outcome = fragile.apply()
    (error,) = outcome.errors
    assert (error.code, error.where.step, error.where.sample) == ("task.failed", "base", "a")
    assert "ValueError: the flag is up" in error.what
    facts = entry(outcome.run, "base").facts
    assert facts["log"][0] == "about to look at the flag"
    assert "Traceback (most recent call last):" in facts["log"]
    assert facts["error"]["code"] == "task.failed"


def test_the_next_run_does_only_what_is_missing(fragile):
    fragile.apply()
    (fragile.root / "flag").unlink()
    outcome = fragile.apply()
    assert outcome.run.status == "done"
    assert done(statuses(outcome.run)) == ["base", "next"]
    assert "error" not in entry(outcome.run, "base").facts
    assert not fragile.apply().changed


def test_a_result_of_another_run_does_not_wear_the_error_of_this_one(fragile):
    fragile.apply()
    (fragile.root / "flag").unlink()
    fragile.apply()
    failed_run = sorted(open_store(fragile.store).runs.names())[0]
    (fragile.store / "latest").write_text(failed_run)
    assert "error" not in entry(fragile.apply().run, "base").facts


def test_a_run_that_fails_again_fails_again(fragile):
    first, second = fragile.apply(), fragile.apply()
    assert (codes(first.errors), codes(second.errors)) == (["task.failed"], ["task.failed"])
    assert statuses(second.run) == {"read": "cached", "base": "failed", "next": "skipped", "other": "cached"}


def test_other_samples_are_finished(fragile, sections):
    fragile.samples["b"] = sections["b"]
    fragile.steps = fragile.steps.replace("uses: test.failing,", "uses: test.failing, samples: [a],")
    flag = fragile.root / "flag"
    fragile.steps += f"  - {{id: base_b, uses: test.constant, samples: [b], with: {{flag: {flag}}}}}\n"
    fragile.steps = fragile.steps.replace("uses: test.follower,", "uses: test.follower, after: base_b,")
    run = fragile.apply().run
    assert run.status == "failed"
    assert set(statuses(run, "b").values()) <= {"done", "cached"}  # two of its tasks come to one action


def test_a_failed_task_leaves_nothing_in_the_store(fragile):
    run = fragile.apply().run
    used = {ref.path.split("/")[1] for task in run.tasks.values() for ref in task.outputs.values()}
    setup = {record.attempt for record in records(fragile)} - used
    assert objects(fragile) == used | setup
    assert not any(record.identity["step"] == "test.failing" for record in records(fragile))


def records(lab: Lab) -> list:
    store = open_store(lab.store)
    return [store.actions.get(path.stem) for path in (lab.store / "actions").glob("*/*.json")]


@pytest.mark.parametrize(
    ("kind", "said"),
    [("silent", "did not return column"), ("talkative", "returned more, which it had not declared")],
)
def test_a_step_that_returns_other_than_it_declared(lab, own_steps, kind, said):
    lab.steps = READ + f"  - {{id: odd, uses: test.{kind}, with: {{flag: none}}}}\n"
    outcome = lab.apply()
    (error,) = outcome.errors
    assert (error.code, error.where.step) == ("task.outputs", "odd")
    assert said in error.what
    assert not any(record.identity["step"] == f"test.{kind}" for record in records(lab))


def test_events_tell_of_every_task(fragile):
    events: list[Event] = []
    fragile.apply(listener=events.append)
    kinds = [(event.kind, event.step) for event in events if event.kind != "task-log"]
    assert kinds[0] == ("run-started", "")
    assert {("task-failed", "base"), ("task-skipped", "next"), ("task-done", "other")} < set(kinds)
    assert kinds[-1] == ("run-finished", "")
    assert events[-1].data["counts"] == {"done": 2, "cached": 0, "failed": 1, "skipped": 1}
    assert ("task-log", "base") in [(event.kind, event.step) for event in events]


def test_an_input_that_cannot_be_read_is_the_failure_of_its_task(lab, tmp_path, sections):
    shutil.copytree(sections["a"], tmp_path / "outs")
    lab.samples = {"a": tmp_path / "outs", "b": sections["b"]}
    lab.steps = READ
    loaded = lab.load()
    (tmp_path / "outs/spatial/tissue_lowres_image.png").unlink()  # after the recipe was checked
    outcome = loaded.apply()
    assert [(e.code, e.where.step, e.where.sample) for e in outcome.errors] == [("task.failed", "read", "a")]
    assert set(statuses(outcome.run, "b").values()) == {"done"}


class TestWorkers:
    """Two samples side by side, each in a process of its own."""

    @pytest.fixture
    def pair(self, lab, sections, only_workers) -> Lab:
        others.clear()
        others.update(child.pid for child in psutil.Process().children())
        lab.samples = {"a": sections["a"], "b": sections["b"]}
        lab.steps = READ + LOG
        return lab

    @staticmethod
    def kill_the_first(event: Event) -> None:
        """Kill the worker of ``a`` when that of ``b`` is about to be started."""
        if event.kind == "task-started" and (event.step, event.sample) == ("read", "b"):
            (worker,) = wait_for_children()
            worker.kill()

    def test_one_that_is_killed_costs_its_task_alone(self, pair):
        outcome = pair.apply(jobs=2, listener=self.kill_the_first)
        (error,) = outcome.errors
        assert (error.code, error.where.step, error.where.sample) == ("task.worker-died", "read", "a")
        assert "SIGKILL" in error.what
        assert set(statuses(outcome.run, "b").values()) == {"done"}
        assert set(statuses(outcome.run, "a").values()) == {"failed", "skipped"}

    def test_the_next_run_repairs_what_it_cost(self, pair):
        first = pair.apply(jobs=2, listener=self.kill_the_first).run
        second = pair.apply(jobs=2).run
        assert second.status == "done"
        assert set(statuses(second, "b").values()) == {"cached"}
        assert digests(first).items() <= digests(second).items()

    def test_none_outlives_the_run(self, pair):
        pair.apply(jobs=2)
        assert children() == []

    def test_errors_and_warnings_come_back_as_they_are(self, pair, tmp_path, sections):
        shutil.copytree(sections["b"], tmp_path / "b")
        positions = tmp_path / "b/spatial/tissue_positions.csv"
        positions.write_text("\n".join(positions.read_text().splitlines()[:50]) + "\n")
        pair.samples["b"] = tmp_path / "b"
        events: list[Event] = []
        outcome = pair.apply(jobs=2, listener=events.append)
        (error,) = outcome.errors
        assert (error.code, error.where.sample, error.where.file) == ("data.barcodes", "b", str(positions))
        assert "unplaced: drop" in error.hint
        assert any(event.kind == "task-log" and event.sample == "a" for event in events)

    def test_a_program_needs_no_guard_around_its_main_part(self, pair):
        process = pair.python("print(recipe.apply(Options(jobs=2)).run.status)")
        out, err = process.communicate(timeout=120)
        assert out.split() == ["done"], err


others: set[int] = set()
"""Processes of earlier tests that are still there."""


def children() -> list:
    return [child for child in psutil.Process().children() if child.pid not in others]


def wait_for_children() -> list:
    """The worker of the task that was submitted last is started by a thread: wait until it is there."""
    end = time.monotonic() + 60
    while not (found := children()):
        assert time.monotonic() < end, "no worker was started"
        time.sleep(0.01)
    return found


class TestUnwritableStore:
    """Where results cannot be kept nothing is run."""

    @staticmethod
    def protect(monkeypatch, folder: Path) -> None:
        """Refuse to make folders below ``folder``, as the system would without the permission."""
        mkdir = Path.mkdir

        def refuse(self, *args, **options):
            if self.is_relative_to(folder):
                raise PermissionError(13, "Permission denied", str(self))
            mkdir(self, *args, **options)

        monkeypatch.setattr(Path, "mkdir", refuse)

    @pytest.mark.parametrize("folder", ["", "partial", "sources"])
    def test_is_found_out_before_anything_is_run(self, lab, monkeypatch, folder):
        if folder:
            create_store(lab.store)
        self.protect(monkeypatch, lab.store / folder)
        events: list[Event] = []
        with pytest.raises(StoreError) as caught:
            lab.apply(listener=events.append)
        assert caught.value.code == "store.permission"
        assert str(lab.store) in caught.value.where.file
        assert "task-started" not in [event.kind for event in events]

    def test_is_said_of_the_task_that_finds_it_out(self, lab, monkeypatch):
        self.protect(monkeypatch, lab.store / "data")
        outcome = lab.apply()
        assert [(e.code, e.where.step) for e in outcome.errors] == [("store.permission", "read")]

    def test_a_full_disk_when_the_run_is_saved(self, lab, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Runs, "save", full)
        with pytest.raises(StoreError) as caught:
            lab.apply()
        assert "No space left" in caught.value.what
        monkeypatch.undo()
        assert set(statuses(lab.apply().run).values()) == {"cached"}
