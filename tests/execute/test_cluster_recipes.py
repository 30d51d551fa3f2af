"""The recipes that come along, on a cluster of two worker processes: the digests of a local run, to the last."""

from __future__ import annotations

import pytest
from dask_cluster import Cluster
from lab import digests
from shipped import SMALL, apply_shipped

from spatialrun.execute.events import Event


@pytest.mark.slow
def test_the_quickstart_comes_to_the_same_digests(tmp_path):
    here = apply_shipped("quickstart.yaml", tmp_path / "here", *SMALL)
    with Cluster(tmp_path / "cluster") as cluster:
        there = apply_shipped("quickstart.yaml", tmp_path / "there", *SMALL, scheduler=cluster.address)
    assert digests(there) == digests(here)


@pytest.mark.slow
def test_variable_genes_of_a_real_section_come_to_the_same_digests_though_a_worker_is_killed(tmp_path, data):
    section = (
        f"samples.section.path={data / 'dlpfc_151673' / 'outs'}",
        "steps.visium.with.genes=^[A-E]",
    )
    here = apply_shipped("visium_svg.yaml", tmp_path / "here", *section)
    told: list[int] = []
    with Cluster(tmp_path / "cluster") as cluster:

        def kill(event: Event) -> None:
            if event.kind == "task-progress" and event.data["unit"] == "blocks":
                told.append(event.data["done"])
                if len(told) == 1:
                    cluster.workers[0].kill()

        there = apply_shipped(
            "visium_svg.yaml", tmp_path / "there", *section, scheduler=cluster.address, listener=kill
        )
    assert len(told) > 1
    assert told == sorted(set(told)), "a block that had been told of was computed again"
    assert digests(there) == digests(here)
