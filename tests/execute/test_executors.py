"""The executors of a run: each is made when it is needed, and hears what the others have heard."""

from types import SimpleNamespace

import pytest

from spatialrun.execute.events import ignore
from spatialrun.execute.executors import Executors
from spatialrun.execute.options import Options
from spatialrun.store.store import create_store


class Recorder:
    """An executor that notes whether it was asked to stop."""

    stopped = 0

    def stop(self) -> None:
        self.stopped += 1


@pytest.fixture
def executors(tmp_path):
    graph = SimpleNamespace(recipe=SimpleNamespace(unsafe=frozenset()), tasks={})
    return Executors(graph, create_store(tmp_path / "store"), Options(jobs=2, memory=10**9), ignore)


@pytest.fixture
def made(executors, monkeypatch):
    """The workers that there will be."""
    made = Recorder()
    monkeypatch.setattr(executors, "_pool", lambda: made)
    return made


def test_those_that_are_there_are_asked_to_stop(executors, made):
    assert executors.at("worker") is made
    assert made.stopped == 0
    executors.stop()
    assert made.stopped == 1


def test_one_that_is_made_later_hears_that_it_is_to_stop(executors, made):
    executors.stop()
    assert executors.at("worker").stopped == 1


def test_one_hears_of_it_that_is_being_made(executors, made, monkeypatch):
    def slowly():
        executors.stop()
        return made

    monkeypatch.setattr(executors, "_pool", slowly)
    assert executors.at("worker").stopped == 1


@pytest.mark.parametrize("place", ["here", "alone"])
def test_so_do_this_process_and_processes_for_single_tasks(executors, place):
    executors.stop()
    stopping = executors.at(place)._stopping
    assert stopping if place == "alone" else stopping.is_set()
