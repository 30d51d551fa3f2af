"""The small parts: budgets, specs and errors as plain data, listeners."""

import json
import threading

import pytest

from spatialrun.errors import DataError, StoreError, Where
from spatialrun.execute.events import Event, one_at_a_time
from spatialrun.execute.memory import default_budget
from spatialrun.execute.spec import TaskSpec, error_from_json, error_to_json

SPEC = TaskSpec(
    store="store",
    step="svg",
    sample="a",
    uses="svg.spatialde",
    params={"n_svg": 10},
    identity={"step": "svg.spatialde"},
    key="00ff",
    stage_keys={"setup": "11ee"},
    inputs={"counts": {"digest": "d", "path": "data/x/counts", "kind": "sparse", "meta": {"shape": [2, 3]}}},
    writes=("pval",),
    members=(),
    source=None,
    externals={},
    destination=None,
    shape=(2, 3, 4),
    threads=1,
    memory=10**9,
)


def test_the_default_budget_is_a_part_of_what_there_is():
    assert default_budget() > 10**6


@pytest.mark.parametrize("spec", [SPEC, TaskSpec(**{**SPEC.__dict__, "shape": None, "source": "/outs"})])
def test_a_spec_survives_json(spec):
    assert TaskSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize("kind", [DataError, StoreError])
def test_an_error_survives_json(kind):
    error = kind("data.empty", "nothing", where=Where(file="f", line=3, sample="a"), hint="look")
    again = error_from_json(json.loads(json.dumps(error_to_json(error))))
    assert type(again) is kind
    assert (again.code, again.what, again.where, again.hint) == (
        error.code,
        error.what,
        error.where,
        error.hint,
    )


def test_events_are_one_flat_mapping():
    event = Event("task-progress", "svg", "a", {"done": 1, "total": 2}, time=3.0)
    assert event.to_json() == {
        "event": "task-progress",
        "time": 3.0,
        "step": "svg",
        "sample": "a",
        "done": 1,
        "total": 2,
    }
    assert Event("run-started", time=3.0).to_json() == {"event": "run-started", "time": 3.0}


def test_a_listener_is_never_called_by_two_threads_at_once():
    busy = threading.Lock()
    heard = []

    def listen(event: Event) -> None:
        assert busy.acquire(blocking=False), "two threads at once"
        heard.append(event)
        busy.release()

    safe = one_at_a_time(listen)
    threads = [
        threading.Thread(target=lambda: [safe(Event("task-log")) for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 2000
