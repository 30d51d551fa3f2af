"""Scratch: it goes when its process ends, and where a run has handed it over, when the run says so."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spatialrun.store import scratch

MAKE = "from spatialrun.store import scratch; print(scratch.scratch_folder(), flush=True)"


def made(code=MAKE):
    """The scratch folder of a process that has ended."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def test_that_of_a_process_goes_with_it():
    folder = made()
    assert folder.parent.name.startswith("spatialrun-")
    assert not folder.parent.exists()


def test_threads_that_ask_at_the_same_time_share_one(monkeypatch):
    def slowly(prefix, make=tempfile.TemporaryDirectory):
        time.sleep(0.05)
        return make(prefix=prefix)

    monkeypatch.setattr(tempfile, "TemporaryDirectory", slowly)
    scratch._own.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: scratch.scratch_folder(), range(8)))
    assert all(folder.is_dir() for folder in folders)
    assert len({folder.parent for folder in folders}) == 1


@pytest.fixture
def handed(tmp_path, monkeypatch):
    folder = tmp_path / "handed"
    folder.mkdir()
    monkeypatch.setenv(scratch.HANDED, str(folder))
    return folder


def test_one_that_was_handed_over_is_not_the_process_s_own_to_remove(handed):
    folder = made()
    assert folder.parent == handed
    assert folder.is_dir()


def test_one_that_was_handed_over_can_be_given_back(handed):
    made(f"{MAKE}; scratch.give_back()")
    assert not handed.exists()


def test_one_that_is_not_there_is_not_used(handed):
    handed.rmdir()
    assert not made().exists()
    assert not handed.exists()


def test_without_one_there_is_nothing_to_give_back():
    made(f"{MAKE}; scratch.give_back()")
