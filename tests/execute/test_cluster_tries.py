"""Retries and timeouts are honoured on a dask cluster, too."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_cluster import Cluster
from lab import MEMORY, Lab, codes, entry, statuses
from steps_of_tests import notes

from spatialrun.execute.apply import Options, Outcome

pytestmark = pytest.mark.slow

CHILDREN = """\
from spatialrun.execute import worker
worker.START = "import steps_of_tests as s; s.register(); " + worker.START
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("tries"), prelude=CHILDREN) as cluster:
        yield cluster


@pytest.fixture
def bench(lab, own_steps) -> Lab:
    lab.root.mkdir()
    lab.steps = "  - {id: read, uses: read.visium}\n"
    return lab


@pytest.fixture
def flag(bench) -> Path:
    return bench.root / "flag"


def apply(bench: Lab, cluster: Cluster, *steps: str, overrides: tuple[str, ...] = ()) -> Outcome:
    bench.steps += "".join(f"  - {{{step}}}\n" for step in steps)
    return bench.load(*overrides).apply(Options(jobs=1, memory=MEMORY, scheduler=cluster.address))


def test_a_task_is_tried_again_and_one_that_takes_too_long_is_ended(bench, flag, cluster):
    stuck = bench.root / "stuck"
    stuck.touch()
    outcome = apply(
        bench,
        cluster,
        f"id: flaky, uses: test.flaky, retries: 2, timeout: 60, with: {{flag: {flag}, value: 2}}",
        f"id: endless, uses: test.endless, timeout: 12, with: {{flag: {stuck}, key_added: e}}",
    )
    found = statuses(outcome.run)
    assert found == {"read": "done", "flaky": "done", "endless": "failed"}
    assert notes(flag) == ["try"] * 3
    assert notes(stuck) == ["begun"]
    assert codes(outcome.errors) == ["task.timeout"]
    assert "its timeout of 12 s" in outcome.errors[0].what
    assert "here we go" in entry(outcome.run, "endless").facts["log"]


def test_blocks_that_were_not_begun_in_time_are_not_computed_and_the_others_are_kept(bench, flag, cluster):
    flag.touch()
    step = f"id: sums, uses: test.slow, timeout: 12, with: {{flag: {flag}}}"
    outcome = apply(bench, cluster, step)
    assert codes(outcome.errors) == ["task.timeout"]
    before = [line for line in notes(flag) if line.isdigit()]
    assert 0 < len(before) < 10
    flag.unlink()
    assert apply(bench, cluster, overrides=("steps.sums.timeout=60",)).run.status == "done"
    every = [line for line in notes(flag) if line.isdigit()]
    assert len(every) == len(set(every)) == 10
