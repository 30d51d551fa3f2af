"""Tasks and blocks on a dask cluster: the same digests, whatever dies; and what is wrong is said beforehand."""

import builtins
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from dask_cluster import Cluster
from distributed import Future
from lab import MEMORY, Lab, codes, digests, entry, statuses
from steps_of_tests import GENES_PER_BLOCK, forget

from spatialrun.errors import StoreError, UsageError
from spatialrun.execute.apply import Options, Outcome
from spatialrun.execute.cluster import ClusterExecutor
from spatialrun.execute.events import Event, Listener, ignore
from spatialrun.store.store import open_store

BLOCKS = "  - {{id: sums, uses: {uses}, with: {{flag: {flag}}}}}\n"


def apply(lab: Lab, cluster: Cluster, listener: Listener = ignore) -> Outcome:
    return lab.load().apply(Options(jobs=1, memory=MEMORY, scheduler=cluster.address), listener)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def streaming(lab, own_steps):
    """A bench with a step of ten blocks; the flag is not there."""

    def streaming(uses: str = "test.blocks") -> Lab:
        lab.steps = "  - {id: read, uses: read.visium, with: {min_spots: 1}}\n"
        lab.steps += BLOCKS.format(uses=uses, flag=lab.root / "flag")
        lab.root.mkdir()
        return lab

    return streaming


def test_a_cluster_comes_to_the_same_digests(lab, sections, applied_once, cluster):
    lab.samples["b"] = sections["b"]
    outcome = apply(lab, cluster)
    assert outcome.run.status == "done", outcome.errors
    made = digests(outcome.run)
    here = digests(applied_once.load().apply(Options(jobs=1, memory=MEMORY)).run)
    assert {place: digest for place, digest in made.items() if place[0] == "a"} == here
    assert statuses(outcome.run, "b") == statuses(outcome.run, "a")
    facts = entry(outcome.run, "svg").facts
    assert facts["wall_s"] > 0
    assert facts["peak_rss"] > 0
    assert not apply(lab, cluster).changed


def test_blocks_are_spread_and_told_of_one_by_one(streaming, cluster):
    lab, events = streaming(), []
    outcome = apply(lab, cluster, events.append)
    assert outcome.run.status == "done", outcome.errors
    noted = forget(lab.root / "flag")
    n_blocks = len(noted) - 2
    assert noted[0] == "setup"
    assert noted[-1] == "combine"
    assert sorted(map(int, noted[1:-1])) == [GENES_PER_BLOCK * block for block in range(n_blocks)]
    told = [event.data["done"] for event in events if _is_progress(event)]
    assert told == list(range(1, n_blocks + 1))


def _is_progress(event: Event) -> bool:
    return event.kind == "task-progress" and event.data["unit"] == "blocks"


def test_a_task_that_fails_on_the_cluster_is_said_as_if_it_had_failed_here(lab, own_steps, cluster):
    lab.root.mkdir()
    (flag := lab.root / "flag").touch()
    lab.steps += f"  - {{id: bad, uses: test.failing, with: {{flag: {flag}}}}}\n"
    outcome = apply(lab, cluster)
    assert codes(outcome.errors) == ["task.failed"]
    assert "the flag is up" in str(outcome.errors[0])
    assert "about to look at the flag" in entry(outcome.run, "bad").facts["log"]
    assert statuses(outcome.run)["svg"] == "done"


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_the_block_that_it_was_computing(streaming, tmp_path):
    lab = streaming("test.mortal")
    (lab.root / "flag").touch()
    with Cluster(tmp_path / "cluster") as cluster:
        outcome = apply(lab, cluster)
        ended = [worker for worker in cluster.workers if worker.poll() is not None]
    assert outcome.run.status == "done", outcome.errors
    assert len(ended) == 1
    noted = forget(lab.root / "flag")
    assert len(noted) == len(set(noted)), "something was computed twice"
    other = Lab(tmp_path / "other", dict(lab.samples), lab.steps)
    assert digests(other.apply().run) == digests(outcome.run)


def test_a_run_says_that_it_waits_for_workers_and_goes_on_when_one_comes(lab, tmp_path, monkeypatch):
    monkeypatch.setattr("spatialrun.execute.cluster.LOOK_EVERY", 0.1)
    events = []
    with Cluster(tmp_path / "cluster", workers=0) as cluster:

        def listener(event: Event) -> None:
            events.append(event)
            if event.kind == "task-warning":
                cluster.add_worker()

        outcome = apply(lab, cluster, listener)
    assert outcome.run.status == "done", outcome.errors
    (warning,) = [event.data["line"] for event in events if event.kind == "task-warning"]
    assert "no worker: the run waits until one comes" in warning


@pytest.mark.slow
def test_an_answer_that_was_lost_with_its_worker_is_asked_for_again(streaming, cluster, monkeypatch):
    """Dask may wait without end for an answer whose worker died when it had just been told of."""
    lab, lost, result = streaming(), [], Future.result

    def once(job: Future, timeout: float | None = None) -> object:
        if timeout is not None and not lost:
            lost.append(job.key)
            raise TimeoutError
        return result(job, timeout)

    monkeypatch.setattr(Future, "result", once)
    outcome = apply(lab, cluster)
    assert outcome.run.status == "done", outcome.errors
    assert len(lost) == 1
    noted = forget(lab.root / "flag")
    assert len(noted) == len(set(noted)), "something was computed twice"


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_a_store_to_go_on_from(streaming, cluster):
    lab = streaming()
    process = lab.python(
        f"recipe.apply(Options(jobs=1, memory={MEMORY}, scheduler={cluster.address!r}),"
        "lambda event: event.kind == 'task-progress' and event.data['unit'] == 'blocks'"
        "  and event.data['done'] >= 3 and os.kill(os.getpid(), signal.SIGKILL))"
    )
    process.communicate()
    outcome = lab.apply()
    assert outcome.run.status == "done", outcome.errors
    assert forget(lab.root / "flag").count("setup") == 1


@pytest.mark.slow
def test_a_cluster_that_goes_away_fails_the_task_and_keeps_what_was_done(streaming, tmp_path):
    lab = streaming()
    with Cluster(tmp_path / "cluster") as cluster:

        def stop(event: Event) -> None:
            if _is_progress(event) and event.data["done"] == 3:
                cluster.stop_scheduler()

        outcome = apply(lab, cluster, stop)
    assert codes(outcome.errors) == ["cluster.lost"]
    assert lab.apply().run.status == "done"
    assert forget(lab.root / "flag").count("setup") == 1


ANOTHER_ZARR = """
import importlib.metadata as metadata
true = metadata.version
metadata.version = lambda name: '2.18.7' if name == 'zarr' else true(name)
"""


@pytest.mark.slow
def test_workers_with_other_versions_are_refused_with_both_lists(lab, tmp_path):
    with (
        Cluster(tmp_path / "cluster", workers=1, prelude=ANOTHER_ZARR) as cluster,
        pytest.raises(UsageError, match="another zarr") as caught,
    ):
        apply(lab, cluster)
    assert caught.value.code == "cluster.versions"
    here, there = caught.value.what.splitlines()[1:]
    assert "zarr 3." in here
    assert "zarr 2.18" in there
    assert not open_store(lab.store).runs.latest()


@pytest.mark.slow
def test_a_worker_that_comes_late_with_other_versions_fails_what_it_is_given(lab, tmp_path):
    with Cluster(tmp_path / "cluster", workers=0) as cluster:

        def come(event: Event) -> None:
            if event.kind == "task-started":
                cluster.add_worker(ANOTHER_ZARR)

        outcome = apply(lab, cluster, come)
    assert codes(outcome.errors) == ["cluster.versions"]


def test_a_store_that_the_workers_do_not_see_is_refused(lab, cluster, monkeypatch):
    lab.load().apply(Options(jobs=1, memory=MEMORY, scheduler=None))
    store = open_store(lab.store)
    monkeypatch.setattr(store.backend, "put", Mock())  # as if it had gone to another machine's
    with pytest.raises(StoreError, match="does not see the store") as caught:
        ClusterExecutor(cluster.address, store, ["read.visium"], ignore)
    assert caught.value.code == "cluster.store"


def test_a_scheduler_that_does_not_answer_is_said(lab, monkeypatch):
    monkeypatch.setattr("spatialrun.execute.cluster.CONNECT_TIMEOUT", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense://", str(lab.root / "scheduler.json")):
        with pytest.raises(UsageError) as caught:
            lab.load().apply(Options(jobs=1, memory=MEMORY, scheduler=address))
        assert caught.value.code == "cluster.unreachable"


def test_without_the_package_the_way_to_get_it_is_said(lab, monkeypatch):
    true = builtins.__import__

    def absent(name, *arguments, **named):
        if name == "distributed":
            raise ImportError(name)
        return true(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UsageError, match=r"spatialrun\[dask\]") as caught:
        lab.load().apply(Options(jobs=1, memory=MEMORY, scheduler="tcp://127.0.0.1:1"))
    assert caught.value.code == "cluster.no-client"


def test_the_scheduler_is_taken_from_the_environment(monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://there:8786")
    assert Options().scheduler == "tcp://there:8786"
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS")
    assert Options().scheduler is None


OWN_TASKS = (
    "from spatialrun.execute import isolated; "
    "isolated.START = 'import steps_of_tests as s; s.register(); ' + isolated.START"
)


@pytest.fixture(scope="module")
def gpu_cluster(tmp_path_factory) -> Iterator[Cluster]:
    """A worker without a GPU, and one that claims one, which is not there."""
    with Cluster(tmp_path_factory.mktemp("gpu"), workers=1, prelude=OWN_TASKS) as cluster:
        cluster.workers.append(cluster.add_worker(OWN_TASKS, "--resources", "GPU=1"))
        cluster.wait_for(workers=2)
        yield cluster


class TestGpuSteps:
    def test_a_task_has_a_process_of_its_own_there(self, lab, own_steps, gpu_cluster):
        lab.root.mkdir()
        flag = lab.root / "flag"
        lab.steps = "  - {id: read, uses: read.visium}\n"
        for id, uses in (("x", "test.segfault"), ("y", "test.on_device")):
            lab.steps += f"  - {{id: {id}, uses: {uses}, with: {{flag: {flag}, key_added: {id}}}}}\n"
        flag.touch()
        outcome = apply(lab, gpu_cluster)
        assert codes(outcome.errors) == ["task.worker-died"]
        assert "SIGSEGV" in outcome.errors[0].what
        assert statuses(outcome.run) == {"read": "done", "x": "failed", "y": "done"}
        assert entry(outcome.run, "y").facts["log"][0].startswith("device cpu")
        assert all(process.poll() is None for process in gpu_cluster.workers)

    def test_where_a_gpu_was_planned_the_worker_that_has_one_takes_it(self, lab, own_steps, gpu_cluster):
        lab.steps = "  - {id: read, uses: read.visium}\n"
        for id in "xyz":
            lab.steps += f"  - {{id: {id}, uses: test.on_device, with: {{flag: none, key_added: {id}}}}}\n"
        outcome = lab.load("gpu.device=cuda").apply(
            Options(jobs=1, memory=MEMORY, scheduler=gpu_cluster.address)
        )
        assert outcome.run.status == "done", outcome.errors
        logs = [entry(outcome.run, id).facts["log"] for id in "xyz"]
        assert all(log[0].startswith("device cuda, CUDA ") for log in logs)
        assert {log[2] for log in logs} == {f"child of {gpu_cluster.workers[1].pid}"}
