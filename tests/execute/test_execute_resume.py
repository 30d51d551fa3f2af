"""Runs that are stopped go on where they were; cores and memory change nothing."""

import signal
import subprocess
from pathlib import Path

import psutil
import pytest
import steps_of_tests
from lab import Lab, digests, done, entry, statuses
from steps_of_tests import GENES_PER_BLOCK, forget

from spatialrun.errors import StoreError
from spatialrun.store.partial import Partial
from spatialrun.store.store import open_store

READ = "  - {id: read, uses: read.visium}\n"
APPLY = "recipe.apply(Options(jobs={jobs}, memory=2 * 10**9))"
ONLY_WORKERS = "import spatialrun.execute.queue as queue; queue.SMALL = -1\n"
KILL_IN_FOURTH_BLOCK = """
from spatialrun.steps import blocks
from spatialrun.steps.svg import SvgSpatialde
blocks.MOST_GENES = 512
block, seen = SvgSpatialde.block, []
def fatal(self, *args):
    seen.append(1)
    if len(seen) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return block(self, *args)
SvgSpatialde.block = fatal
"""


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return out


@pytest.fixture
def blocky(lab, own_steps) -> Lab:
    """A streaming step of ten blocks that notes what it computes beside ``flag``."""
    lab.root.mkdir()
    lab.steps = READ + f"  - {{id: sums, uses: test.blocks, with: {{flag: {lab.root / 'flag'}}}}}\n"
    return lab


@pytest.fixture
def flag(blocky) -> Path:
    return blocky.root / "flag"


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_a_kill_blocks_that_were_finished_are_not_computed_again(blocky, flag, jobs):
    flag.touch()
    ended(blocky.python(APPLY.format(jobs=1)), -signal.SIGKILL)
    setup, *before = forget(flag)
    assert (setup, len(before)) == ("setup", 3)
    flag.unlink()
    run = blocky.apply(jobs=jobs).run
    *after, combine = forget(flag)
    assert combine == "combine"
    assert sorted(map(int, before + after)) == list(range(0, 200, GENES_PER_BLOCK))
    assert statuses(run) == {"read": "cached", "sums": "done"}
    assert "3 of 10 blocks were done before" in entry(run, "sums").facts["log"]


def test_a_resumed_run_comes_to_the_same_as_an_undisturbed_one(blocky, flag, tmp_path):
    undisturbed = digests(blocky.apply().run)
    forget(flag)
    resumed = Lab(tmp_path / "resumed", blocky.samples, blocky.steps)
    flag.touch()
    ended(resumed.python(APPLY.format(jobs=1)), -signal.SIGKILL)
    flag.unlink()
    assert digests(resumed.apply().run) == undisturbed


def test_a_block_that_was_torn_is_computed_again(blocky, flag):
    flag.touch()
    ended(blocky.python(APPLY.format(jobs=1)), -signal.SIGKILL)
    _, *before = forget(flag)
    flag.unlink()
    (torn,) = (blocky.store / "partial").glob(f"*/{int(before[1]):07d}-*.npz")
    torn.write_bytes(torn.read_bytes()[:-10])
    blocky.apply()
    again = forget(flag)
    assert before[1] in again
    assert not {before[0], before[2]} & set(again)


def test_partial_results_are_gone_when_the_task_is_done(blocky, flag):
    flag.touch()
    ended(blocky.python(APPLY.format(jobs=1)), -signal.SIGKILL)
    assert list((blocky.store / "partial").glob("*/*.npz"))
    flag.unlink()
    blocky.apply()
    assert list((blocky.store / "partial").iterdir()) == []


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone"), StoreError("store.permission", "gone")])
def test_blocks_that_cannot_be_saved_for_later_stop_nothing(blocky, monkeypatch, error):
    # Another run may have committed the whole in the meantime and be removing the folder.
    def refuse(*_):
        raise error

    monkeypatch.setattr(Partial, "save", refuse)
    assert blocky.apply().run.status == "done"


def test_a_late_parameter_computes_no_block_again(blocky, flag):
    blocky.apply()
    forget(flag)
    assert blocky.apply("steps.sums.with.factor=3").run.status == "done"
    assert forget(flag) == ["combine"]


@pytest.mark.parametrize("options", [{"jobs": 2}, {"memory": 1}, {"jobs": 2, "memory": 1}])
def test_cores_and_memory_decide_how_many_blocks_are_in_flight_and_nothing_else(blocky, tmp_path, options):
    other = Lab(tmp_path / "other", blocky.samples, blocky.steps)
    assert digests(other.apply(**options).run) == digests(blocky.apply().run)


def test_two_samples_side_by_side_come_to_the_same_as_one_after_another(
    lab, tmp_path, sections, only_workers
):
    lab.samples = {"a": sections["a"], "b": sections["b"]}
    other = Lab(tmp_path / "other", lab.samples, lab.steps)
    one, two = lab.apply(jobs=1).run, other.apply(jobs=2, memory=10**8).run
    assert one.status == two.status == "done"
    assert digests(one) == digests(two)


def test_two_samples_of_the_same_content_come_to_the_same_at_once(lab, sections, only_workers):
    lab.samples = {"a": sections["a"], "b": sections["a"]}
    run = lab.apply(jobs=2).run
    assert run.status == "done"
    found = digests(run)
    assert {slot: d for (sample, slot), d in found.items() if sample == "a"} == {
        slot: d for (sample, slot), d in found.items() if sample == "b"
    }
    assert not lab.apply().changed


def test_ctrl_c_within_a_task_leaves_a_store_to_go_on_with(lab, own_steps):
    flag = lab.root / "flag"
    lab.root.mkdir()
    flag.touch()
    lab.steps = READ + f"  - {{id: stop, uses: test.interrupted, with: {{flag: {flag}}}}}\n"
    lab.steps += f"  - {{id: next, uses: test.follower, with: {{flag: {flag}, key_added: n}}}}\n"
    with pytest.raises(KeyboardInterrupt):
        lab.apply()
    run = open_store(lab.store).runs.latest()
    assert run.status == "interrupted"
    assert statuses(run) == {"read": "done", "stop": "skipped", "next": "skipped"}
    flag.unlink()
    assert done(statuses(lab.apply().run)) == ["stop", "next"]


def test_ctrl_c_before_anything_was_done_keeps_the_last_run(applied, own_steps):
    flag = applied.root / "flag"
    flag.touch()
    applied.steps += f"  - {{id: stop, uses: test.interrupted, with: {{flag: {flag}}}}}\n"
    before = open_store(applied.store).runs.latest()
    with pytest.raises(KeyboardInterrupt):
        applied.apply()
    assert open_store(applied.store).runs.latest() == before


def test_ctrl_c_within_an_export_leaves_no_half_file(applied, own_steps, monkeypatch):
    def interrupted(self, inputs, params, context):
        context.file("file").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(steps_of_tests.HalfExport, "run", interrupted)
    step = "{id: half, uses: test.half_export, with: {flag: none, path: out/a.txt}}"
    applied.steps += f"  - {step}\n"
    with pytest.raises(KeyboardInterrupt):
        applied.apply()
    assert list((applied.root / "out").iterdir()) == []


def test_ctrl_c_ends_the_workers_and_the_next_run_goes_on(lab, sections):
    lab.samples = {"a": sections["a"], "b": sections["b"]}
    code = """
def listen(event):
    if event.kind == "task-started" and event.step == "svg":
        os.kill(os.getpid(), signal.SIGINT)
try:
    recipe.apply(Options(jobs=2, memory=2 * 10**9), listen)
except KeyboardInterrupt:
    import psutil
    print(len(psutil.Process().children()))
"""
    assert ended(lab.python(ONLY_WORKERS + code)).split() == ["0"]
    run = open_store(lab.store).runs.latest()
    assert run.status == "interrupted"
    finished = {id for id, task in run.tasks.items() if task.status == "done"}
    assert finished & {("read", "a"), ("read", "b")}
    again = lab.apply(jobs=2).run
    assert again.status == "done"
    assert {id for id, task in again.tasks.items() if task.status == "cached"} >= finished


def test_workers_end_when_the_run_is_killed(lab, sections):
    lab.samples = {"a": sections["a"], "b": sections["b"]}
    lab.steps = READ
    code = """
import psutil
def listen(event):
    if event.kind == "task-log":
        print(*(child.pid for child in psutil.Process().children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
recipe.apply(Options(jobs=2, memory=2 * 10**9), listen)
"""
    pids = ended(lab.python(ONLY_WORKERS + code), -signal.SIGKILL).split()
    workers = [psutil.Process(int(pid)) for pid in pids if psutil.pid_exists(int(pid))]
    assert pids
    assert psutil.wait_procs(workers, timeout=60)[1] == []
    assert lab.apply().run.status == "done"


@pytest.mark.slow
def test_two_runs_at_once_come_to_the_same(lab):
    code = "outcome = recipe.apply(Options(jobs=1)); print(outcome.run.id, outcome.run.status)"
    ids = []
    for process in [lab.python(code), lab.python(code)]:
        id, status = ended(process).split()
        ids.append(id)
        assert status == "done"
    first, second = (open_store(lab.store).runs.get(id) for id in ids)
    assert digests(first) == digests(second)
    assert not lab.apply().changed


@pytest.mark.slow
def test_the_score_test_killed_and_resumed_is_bit_identical(tmp_path, monkeypatch):
    monkeypatch.setattr("spatialrun.steps.blocks.MOST_GENES", 512)
    steps = (
        "  - {id: simulate, uses: simulate.visium, with: {n_spots: 120, n_genes: 3000, image_size: 64}}\n"
        "  - {id: read, uses: read.visium}\n"
        "  - {id: svg, uses: svg.spatialde, with: {kernel_space: {SE: [300, 600]}}}\n"
    )
    undisturbed, killed = Lab(tmp_path / "one", {}, steps), Lab(tmp_path / "two", {}, steps)
    undisturbed.samples = killed.samples = {"a": None}
    ended(killed.python(KILL_IN_FOURTH_BLOCK + APPLY.format(jobs=1)), -signal.SIGKILL)
    resumed = killed.apply(jobs=2, memory=10**9).run
    assert "3 of 6 blocks were done before" in entry(resumed, "svg").facts["log"]
    assert digests(resumed) == digests(undisturbed.apply().run)
