"""Tasks in processes of their own. No device of these tests is there: it is claimed, or it is the CPU."""

import os
import shlex
import signal
import stat
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from lab import MEMORY, TESTS, Lab, codes, digests, entry, statuses
from steps_of_tests import notes

import spatialrun
from spatialrun import interpreters
from spatialrun.execute import isolated
from spatialrun.execute.apply import Options, Outcome
from spatialrun.execute.devices import NO_GPU
from spatialrun.execute.events import Event

READ = "  - {id: read, uses: read.visium}\n"
GIGABYTE = 10**9


@pytest.fixture
def bench(lab, own_steps) -> Lab:
    lab.root.mkdir()
    lab.steps = READ
    return lab


@pytest.fixture
def flag(bench) -> Path:
    return bench.root / "flag"


def step(bench: Lab, uses: str, *keys: str, id: str = "x", value: int = 1) -> None:
    given = f"flag: {bench.root / 'flag'}, value: {value}, key_added: {id}"
    bench.steps += f"  - {{{', '.join([f'id: {id}', f'uses: {uses}', *keys])}, with: {{{given}}}}}\n"


def apply(bench: Lab, *overrides: str, jobs: int = 2) -> tuple[Outcome, list[Event]]:
    events: list[Event] = []
    outcome = bench.load(*overrides).apply(Options(jobs=jobs, memory=MEMORY), events.append)
    return outcome, events


def failed(bench: Lab, *overrides: str, other: str = "test.constant"):
    """Apply to a step that fails, and one beside it that does not; return the error and the log."""
    step(bench, other, id="other")
    outcome, _ = apply(bench, *overrides)
    (error,) = outcome.errors
    assert (error.where.step, error.where.sample) == ("x", "a")
    assert statuses(outcome.run) == {"read": "done", "x": "failed", "other": "done"}
    return error, entry(outcome.run, "x").facts.get("log", [])


def program(path: Path, *words: str) -> Path:
    path.write_text(f'#!/bin/sh\nexec {" ".join(map(shlex.quote, words))} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def wait(happened: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class TestDevices:
    def test_without_a_gpu_tasks_take_turns_on_the_cpu_which_is_said_once(self, bench, flag):
        for value, id in enumerate("xy"):
            step(bench, "test.turns", id=id, value=value)
        outcome, events = apply(bench, jobs=3)
        assert outcome.run.status == "done", outcome.errors
        assert notes(flag) == ["in cpu ''", "out cpu ''"] * 2
        warnings = [event.data["line"] for event in events if event.kind == "task-warning"]
        assert warnings == [NO_GPU]
        logs = [entry(outcome.run, id).facts["log"] for id in ("x", "y")]
        assert sum(f"warning: {NO_GPU}" in log for log in logs) == 1
        assert all("printed" in log and "logged" in log for log in logs)
        progress = [event.data for event in events if event.kind == "task-progress" and event.step == "x"]
        assert progress[-1] == {"done": 2, "total": 2, "unit": "turns"}

    def test_who_asks_for_the_cpu_is_not_told_that_there_is_no_gpu(self, bench):
        step(bench, "test.on_device", "gpu: {device: cpu}")
        outcome, events = apply(bench)
        assert outcome.run.status == "done", outcome.errors
        assert "task-warning" not in [event.kind for event in events]

    def test_each_claimed_device_has_one_task_at_a_time_and_is_all_that_it_sees(
        self, bench, flag, claimed_devices, monkeypatch
    ):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7")
        claimed_devices("cuda:0", "cuda:1")
        for value, id in enumerate("xyz"):
            step(bench, "test.turns", id=id, value=value)
        outcome, _ = apply(bench, jobs=4)
        assert outcome.run.status == "done", outcome.errors
        said = [line.partition(" ")[::2] for line in notes(flag)]
        turns = {device: [way for way, where in said if where == device] for _, device in said}
        assert turns.keys() == {"cuda '5'", "cuda 'GPU-7'"}
        assert all(ways == ["in", "out"] * (len(ways) // 2) for ways in turns.values())

    def test_the_one_that_is_named_is_taken(self, bench, claimed_devices, monkeypatch):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        claimed_devices("cuda:0", "cuda:1")
        step(bench, "test.on_device", 'gpu: {device: "cuda:1"}')
        outcome, _ = apply(bench)
        assert "device cuda, CUDA 1" in entry(outcome.run, "x").facts["log"]

    def test_one_that_belongs_to_another_job_is_left_alone(self, bench, claimed_devices, monkeypatch):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
        claimed_devices("cuda:0")
        step(bench, "test.on_device", 'gpu: {device: "cuda:1"}')
        error, log = failed(bench)
        assert error.code == "task.device-missing"
        assert "CUDA_VISIBLE_DEVICES=2 shows cuda:0 alone" in error.what
        assert log == []

    def test_one_that_was_claimed_and_is_not_there(self, bench, claimed_devices):
        pytest.importorskip("torch")
        claimed_devices("cuda:0")
        step(bench, "test.torch_on_device")
        error, _ = failed(bench)
        assert error.code == "task.device-missing"
        assert "test.torch_on_device is to run on cuda, and" in error.what

    def test_one_that_fails_is_looked_for_anew(self, bench, flag, claimed_devices):
        claimed_devices("cuda:0")
        step(bench, "test.device_lost")
        step(bench, "test.on_device", "after: [z]", id="later")
        step(bench, "test.endless", "timeout: 300", id="z")
        flag.touch()

        def listen(event: Event) -> None:
            if event.kind == "task-failed":
                claimed_devices()
                flag.unlink()

        outcome = bench.load().apply(Options(jobs=3, memory=MEMORY), listen)
        assert codes(outcome.errors) == ["task.device-lost"]
        assert entry(outcome.run, "x").identity["numerics"]["device"] == "cuda"
        assert entry(outcome.run, "later").identity["numerics"]["device"] == "cpu"

    def test_a_store_in_memory_is_worked_on_here(self, bench):
        step(bench, "test.on_device")
        outcome, _ = apply(bench, "store=memory://isolated")
        assert outcome.run.status == "done", outcome.errors
        log = entry(outcome.run, "x").facts["log"]
        assert f"process {os.getpid()} of {sys.executable}" in log
        assert log[0] == f"warning: {NO_GPU}"


class TestEnds:
    def test_a_segfault_says_where_it_was_and_a_retry_may_succeed(self, bench, flag):
        step(bench, "test.segfault")
        flag.touch()
        error, log = failed(bench)
        assert error.code == "task.worker-died"
        assert "SIGSEGV" in error.what
        assert "its log ends:" in error.what
        assert "about to crash" in log
        assert any("Segmentation fault" in line for line in log)

        def lower(event: Event) -> None:
            if event.kind == "task-retried":
                flag.unlink()

        again = bench.load().apply(Options(jobs=1, memory=MEMORY, retries=1), lower)
        assert again.run.status == "done", again.errors

    def test_one_that_eats_memory_is_stopped_at_its_cap(self, bench):
        step(bench, "test.eating", "gpu: {memory: 700MB}", value=3000)
        error, log = failed(bench)
        assert error.code == "task.memory"
        assert "more than the 0.700 GB that it may" in error.what
        eaten = int(log[-1].removesuffix(" MB eaten"))
        assert 100 < eaten < 1500

    def test_below_its_cap_nobody_minds(self, bench):
        step(bench, "test.eating", "gpu: {memory: 5GB}", value=60)
        assert apply(bench)[0].run.status == "done"

    def test_one_that_hangs_is_stopped_and_gone(self, bench, flag):
        step(bench, "test.hanging", "timeout: 8")
        flag.touch()
        error, _ = failed(bench, other="test.on_device")
        assert error.code == "task.timeout"
        assert not any(psutil.pid_exists(int(pid)) for pid in notes(flag))

    def test_what_an_exception_says_is_coded_and_its_traceback_is_shown(self, bench, flag):
        step(bench, "test.device_memory")
        flag.touch()
        error, log = failed(bench)
        assert error.code == "task.device-memory"
        assert error.what.splitlines()[0].endswith("CUDA out of memory. Tried to allocate 2.00 GiB.")
        assert "Traceback (most recent call last):" in log
        assert log[-1].strip() in error.what


class TestItNeverOutlivesTheRun:
    @pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGKILL,)])
    def test_that_is_stopped_or_killed(self, bench, flag, signals):
        step(bench, "test.hanging")
        flag.touch()
        own = f"from spatialrun.execute import isolated; isolated.START = {isolated.START!r}\n"
        run = bench.python(own + "recipe.apply(Options(jobs=1))")
        try:
            wait(lambda: notes(flag))
            for each in signals:
                run.send_signal(each)
                time.sleep(0.5)
            run.communicate(timeout=60)
        finally:
            run.kill()
        (pid,) = map(int, notes(flag))
        wait(lambda: has_ended(pid))


class TestImports:
    def test_torch_that_is_not_installed(self, bench, monkeypatch):
        hide = "import sys; sys.modules['torch'] = None"
        monkeypatch.setattr(isolated, "START", f"{hide}; {isolated.START}")
        step(bench, "test.torch")
        error, log = failed(bench)
        assert error.code == "task.missing-package"
        assert "Traceback" not in "\n".join(log)
        assert "pip install 'spatialrun[deepst]'" in error.hint
        assert f"test.torch needs torch, which {sys.executable} does not have" in error.what
        assert "gpu: {python:" in error.hint

    def test_torch_that_is_broken(self, bench, tmp_path, monkeypatch):
        (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open shared object')")
        monkeypatch.syspath_prepend(tmp_path)
        step(bench, "test.torch")
        error, _ = failed(bench)
        assert error.code == "task.import"
        assert "libcudart.so.13" in error.what


class TestAnotherInterpreter:
    def test_one_that_is_not_there_fails_the_step_and_no_other(self, bench):
        step(bench, "test.on_device", "gpu: {python: nowhere/python}")
        error, _ = failed(bench)
        assert error.code == "interpreter.missing"
        assert str(bench.root / "nowhere" / "python") in error.what

    def test_one_with_another_spatialrun(self, bench, monkeypatch):
        monkeypatch.setattr(interpreters, "__version__", "99.0")
        monkeypatch.setenv("PYTHONPATH", str(Path(spatialrun.__file__).parents[1]))
        step(bench, "test.on_device", f"gpu: {{python: {sys.executable}}}")
        error, _ = failed(bench)
        assert error.code == "interpreter.versions"
        assert f"has spatialrun {spatialrun.__version__}; this is 99.0" in error.what

    def test_one_that_lacks_what_spatialrun_needs(self, bench, tmp_path):
        (tmp_path / "only").mkdir()
        (tmp_path / "only" / "spatialrun").symlink_to(Path(spatialrun.__file__).parent)
        path = f"PYTHONPATH={tmp_path / 'only'}"
        bare = program(tmp_path / "python", "env", path, sys.executable, "-S")
        step(bench, "test.on_device", f"gpu: {{python: {bare}}}")
        error, log = failed(bench)
        assert error.code == "interpreter.broken"
        assert "ModuleNotFoundError" in error.what
        assert "Traceback (most recent call last):" in log

    def test_one_whose_libraries_are_not_those_of_the_key(self, bench, monkeypatch):
        monkeypatch.setattr(interpreters, "version", lambda _: "99.1.2")
        step(bench, "test.torch_on_device")
        error, _ = failed(bench)
        assert error.code == "interpreter.versions"
        assert f"{sys.executable} has torch " in error.what
        assert "not 99.1 as was planned" in error.what

    def test_one_without_the_step_type(self, bench, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        monkeypatch.setattr(isolated, "START", isolated.START.partition("; ")[2].partition("; ")[2])
        step(bench, "test.on_device", f"gpu: {{python: {sys.executable}}}")
        error, _ = failed(bench)
        assert error.code == "interpreter.versions"
        assert f"{sys.executable} has no test.on_device" in error.what

    def test_a_store_in_memory_is_not_for_others(self, bench, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        step(bench, "test.on_device", f"gpu: {{python: {sys.executable}}}")
        error, _ = failed(bench, "store=memory://other")
        assert error.code == "interpreter.store"

    @pytest.mark.slow
    def test_an_environment_of_its_own(self, bench, tmp_path, monkeypatch):
        monkeypatch.delenv("PYTHONPATH", raising=False)
        venv.create(tmp_path / "other", with_pip=False, symlinks=True)
        python = tmp_path / "other" / "bin" / "python"
        (site,) = (tmp_path / "other").glob("lib/python*/site-packages")
        shared = [str(Path(spatialrun.__file__).parents[1]), str(TESTS), *sys.path]
        (site / "shared.pth").write_text("\n".join(path for path in shared if path))
        step(bench, "test.on_device")
        here, _ = apply(bench)
        bench.edit("uses: test.on_device", f"uses: test.on_device, gpu: {{python: {python}}}")
        assert bench.decide("x").status == "cached"
        bench.edit("value: 1", "value: 2")
        there, _ = apply(bench)
        assert there.run.status == "done", there.errors
        assert any(line.endswith(f" of {python}") for line in entry(there.run, "x").facts["log"])
        bench.edit(f", gpu: {{python: {python}}}", "")
        again = bench.load("store=again").apply(Options(jobs=1, memory=MEMORY))
        assert digests(again.run) == digests(there.run) != digests(here.run)
