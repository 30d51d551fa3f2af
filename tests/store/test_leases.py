"""Leases: one run at a time has an action; those of runs that have ended or died hold nobody up."""

from __future__ import annotations

import os

import pytest

from spatialrun.errors import StoreError
from spatialrun.store import leases
from spatialrun.store.gc import Policy, collect
from spatialrun.store.intents import Intent
from spatialrun.store.store import create_store, open_store


@pytest.fixture(params=["local", "s3"])
def home(request, tmp_path):
    """A store, here and in a bucket."""
    url = tmp_path / "store" if request.param == "local" else f"{request.getfixturevalue('bucket')}/store"
    store = create_store(url)
    store.intents.announce(Intent("mine"))
    return store


def dead():
    """The id of a process that has ended."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def test_one_run_has_an_action_until_it_gives_it_back(home):
    other = open_store(home.url)
    other.intents.announce(Intent("other"))
    assert home.leases.take("key", "mine")
    assert home.leases.take("key", "mine")
    assert not other.leases.take("key", "other")
    assert other.leases.of("key").run == "mine"
    other.leases.give_back("key", "other")
    assert not other.leases.take("key", "other")
    home.leases.give_back("key", "mine")
    assert home.leases.of("key") is None
    assert other.leases.take("key", "other")


@pytest.mark.parametrize(
    "end",
    [
        lambda store: store.intents.withdraw("gone"),
        lambda store: store.intents.announce(Intent("gone", pid=dead())),
        lambda store: store.intents.announce(Intent("gone", host="elsewhere", heartbeat=0.0)),
    ],
    ids=["ended", "dead", "silent for years"],
)
def test_that_of_a_run_that_ended_or_died_is_taken_over(store, end):
    store.intents.announce(Intent("mine"))
    store.intents.announce(Intent("gone"))
    assert store.leases.take("key", "gone")
    end(store)
    assert store.leases.of("key") is None
    assert store.leases.take("key", "mine")
    assert store.leases.of("key").run == "mine"


def test_a_dead_host_is_known_by_its_silence_whatever_the_clocks_say(store, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(leases.time, "monotonic", lambda: now)
    ahead = Intent("far").heartbeat + 7200  # the clock of the other host is two hours ahead
    far = Intent("far", host="elsewhere", heartbeat=ahead)
    store.intents.announce(Intent("mine"))
    store.intents.announce(far)
    assert store.leases.take("key", "far")
    for beat in range(5):  # it lives, though its clock is set back meanwhile
        store.intents.announce(Intent("far", host="elsewhere", heartbeat=ahead - beat))
        assert not store.leases.take("key", "mine")
        now += leases.SILENCE - 1
        assert not store.leases.take("key", "mine")
    now += 2
    assert store.leases.take("key", "mine")


def test_one_that_cannot_be_written_down_holds_nobody_up(store, monkeypatch):
    def refuse(*_):
        raise StoreError("store.permission", "full")

    monkeypatch.setattr(store.backend, "create", refuse)
    assert store.leases.take("key", "mine")


def test_what_stands_there_may_be_anything(store):
    store.intents.announce(Intent("mine"))
    store.backend.put("leases/key", b"\xff\xfe{")
    assert store.leases.take("key", "mine")


def test_those_of_the_dead_are_collected(home):
    home.intents.announce(Intent("gone", pid=dead()))
    assert home.leases.take("one", "mine")
    assert home.leases.take("two", "gone")
    assert home.leases.take("three", "never announced")
    collect(home, Policy(grace=0))
    assert [run for _, run in home.leases] == ["mine"]
