"""Ctrl-C that comes at an awkward moment."""

import signal
from types import SimpleNamespace

import pytest
from lab import Lab, statuses

from spatialrun.execute.apply import _Application
from spatialrun.execute.events import Event
from spatialrun.execute.executors import Executors
from spatialrun.store.store import open_store


def test_while_an_executor_is_made_no_task_is_begun(lab: Lab, monkeypatch):
    at = Executors.at

    def slowly(self, place):
        signal.raise_signal(signal.SIGINT)
        return at(self, place)

    monkeypatch.setattr(Executors, "at", slowly)
    events: list[Event] = []
    with pytest.raises(KeyboardInterrupt):
        lab.apply(listener=events.append)
    assert "task-started" not in [event.kind for event in events]
    run = open_store(lab.store).runs.latest()
    assert (run.status, set(statuses(run).values())) == ("interrupted", {"skipped"})
    monkeypatch.undo()
    assert lab.apply().run.status == "done", "what it had taken is free for others"


def test_that_it_stops_is_said_while_tasks_begin_and_end():
    """The interrupt has a thread of its own: tasks come and go while it looks at them."""
    running: dict[object, object] = {}
    told: list[Event] = []

    class Id:
        def __str__(self) -> str:
            running.clear()
            return "svg a"

    running |= {n: SimpleNamespace(ready=SimpleNamespace(task=SimpleNamespace(id=Id()))) for n in range(3)}
    run = SimpleNamespace(
        running=running,
        graph=SimpleNamespace(tasks={}),
        manifest=(),
        reliance=SimpleNamespace(tell=lambda **_: None),
        listener=told.append,
        executors=SimpleNamespace(stop=lambda: None),
    )
    _Application._tell(run, "run-stopping", running=3)
    assert [event.kind for event in told] == ["run-stopping"]
