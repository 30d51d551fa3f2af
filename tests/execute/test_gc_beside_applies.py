"""Collections beside running applies: nothing that a run needs is ever deleted."""

import pytest
from lab import Lab, digests

from spatialrun.store.gc import Policy, collect
from spatialrun.store.store import create_store, open_store
from spatialrun.store.verify import verify

STEPS = """\
  - {id: read, uses: read.visium}
  - {id: log, uses: normalize.log, with: {target_sum: 1000}}
  - {id: sums, uses: test.blocks, with: {flag: FLAG}}
"""
APPLY_OFTEN = """
for number in range({start}, {start} + 8):
    edits = [f"steps.log.with.target_sum={{1000 + number % 3}}", f"steps.sums.with.factor={{number % 2 + 1}}"]
    outcome = spatialrun.load({recipe!r}, edits).apply(Options(jobs=1, memory=2 * 10**9))
    assert not outcome.errors, outcome.errors
"""


@pytest.mark.slow
def test_two_applies_and_collections_in_a_loop(lab, own_steps, tmp_path):
    lab.steps = STEPS.replace("FLAG", str(tmp_path / "flag"))
    undisturbed = Lab(tmp_path / "undisturbed", lab.samples, lab.steps)
    store = create_store(lab.store)
    applies = [lab.python(APPLY_OFTEN.format(start=start, recipe=str(lab.recipe))) for start in (0, 4)]
    gone = 0
    while any(process.poll() is None for process in applies):
        gone += len(collect(store, Policy(keep_runs=1, grace=0)).attempts)
    for process in applies:
        _, err = process.communicate()
        assert process.returncode == 0, err
    assert gone > 0
    run = lab.apply().run
    assert run.status == "done"
    assert digests(run) == digests(undisturbed.apply().run)
    collect(store, Policy(keep_runs=1, grace=0))
    assert verify(open_store(lab.store)).faults == ()
    assert list(store.intents) == []
