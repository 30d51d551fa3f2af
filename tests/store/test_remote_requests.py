"""How many requests are made: a run with nothing to do asks for a handful of things, however many tasks it has."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from lab import Lab

from spatialrun.methods.simulate import simulate_visium
from spatialrun.readers import simulated
from spatialrun.store.actions import ActionRecord
from spatialrun.store.store import create_store, open_store

TEN_STEPS = "  - {id: read, uses: read.visium, with: {min_spots: 1}}\n" + "".join(
    f"  - {{id: n{number}, uses: test.constant, with: {{flag: none, key_added: n{number}}}}}\n"
    for number in range(9)
)


class S3Lab(Lab):
    url = ""

    @property
    def text(self):
        return super().text.replace("store: store", f"store: {self.url}")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Ten samples of 20 spots."""
    root = tmp_path_factory.mktemp("cohort")
    size = {"n_spots": 20, "n_genes": 12, "n_domains": 2, "n_svg": 4, "mean_counts": 200, "image_size": 20}
    return {
        f"s{seed}": simulated.write(simulate_visium(**size, seed=seed), root / f"s{seed}")
        for seed in range(10)
    }


def test_nothing_to_do_for_a_hundred_tasks_takes_few_requests(server, bucket, cohort, own_steps, tmp_path):
    lab = S3Lab(tmp_path / "lab", cohort, TEN_STEPS)
    lab.url = f"{bucket}/store"
    first = lab.apply()
    assert first.errors == ()
    assert len(first.run.tasks) == 100
    with server.counted() as requests:
        assert not lab.apply().changed
    assert len(requests) <= 10, requests
    with server.counted() as requests:
        assert lab.plan().count("cached") == 100
    assert len(requests) <= 10, requests
