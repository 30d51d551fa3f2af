"""A plan of 10,000 tasks: whole processes, bounded in memory; how long they take is told by a benchmark."""

import pytest
from lab import Lab
from large import STEPS, finish, measure, sections

MEMORY = 500_000_000


@pytest.mark.slow
def test_a_plan_of_a_thousand_samples_stays_small(tmp_path):
    lab = Lab(tmp_path, sections(tmp_path / "data", 1000), STEPS)
    lab.load()
    cost, said = measure("plan", str(lab.recipe))
    assert said == "10,000 tasks: 1,000 to run, 9,000 pending"
    assert cost.memory < MEMORY
    finish(lab)
    cost, said = measure("plan", str(lab.recipe))
    assert said == "10,000 tasks, all cached: nothing to do"
    assert cost.memory < MEMORY
