"""The recipes that come along, on a cluster of two worker processes: the digests of a local run, to the last."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import REPOSITORY
from dask_cluster import Cluster
from lab import MEMORY, digests

from spatialrun.api import load
from spatialrun.execute.apply import Options
from spatialrun.execute.events import Event, Listener, ignore
from spatialrun.store.runs import Run

SMALL = ("steps.simulate.with.n_spots=400", "steps.simulate.with.n_genes=600", "steps.simulate.with.n_svg=60")


def run(
    recipe: str, root: Path, *overrides: str, cluster: Cluster | None = None, listener: Listener = ignore
) -> Run:
    """Apply one of the recipes in a folder of its own."""
    (root / "recipes").mkdir(parents=True)
    file = root / "recipes" / recipe
    shutil.copy(REPOSITORY / "recipes" / recipe, file)
    options = Options(jobs=1, memory=MEMORY, scheduler=cluster.address if cluster else None)
    outcome = load(file, overrides).apply(options, listener)
    assert outcome.run.status == "done", outcome.errors
    return outcome.run


@pytest.mark.slow
def test_the_quickstart_comes_to_the_same_digests(tmp_path):
    here = run("quickstart.yaml", tmp_path / "here", *SMALL)
    with Cluster(tmp_path / "cluster") as cluster:
        there = run("quickstart.yaml", tmp_path / "there", *SMALL, cluster=cluster)
    assert digests(there) == digests(here)


@pytest.mark.slow
def test_variable_genes_of_a_real_section_come_to_the_same_digests_though_a_worker_is_killed(tmp_path, data):
    section = (
        f"samples.section.path={data / 'dlpfc_151673' / 'outs'}",
        "steps.read.with.genes=^(?:[A-B]|MOBP|PCP4|SNAP25)",
    )
    here = run("visium_svg.yaml", tmp_path / "here", *section)
    told: list[int] = []
    with Cluster(tmp_path / "cluster") as cluster:

        def kill(event: Event) -> None:
            if event.kind == "task-progress" and event.data["unit"] == "blocks":
                told.append(event.data["done"])
                if len(told) == 1:
                    cluster.workers[0].kill()

        there = run("visium_svg.yaml", tmp_path / "there", *section, cluster=cluster, listener=kill)
    assert len(told) > 2
    assert told == sorted(set(told)), "a block that had been told of was computed again"
    assert digests(there) == digests(here)
