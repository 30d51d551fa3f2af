"""Entries of a manifest: decoded when they are asked for, and the same as were written."""

import json

import pytest

from spatialrun.errors import StoreError
from spatialrun.store.elements import ObjectRef
from spatialrun.store.entries import Entries, TaskEntry
from spatialrun.store.runs import Run

REF = ObjectRef("ab", "data/x/y", "array", {"shape": [3], "dtype": "int64"})


def run_of(*entries):
    tasks = {(entry.step, entry.sample): entry for entry in entries}
    return Run("one", "2026-01-01T00:00:00+00:00", "done", {"a": {"group": "tumor"}}, tasks, {"x": "1"})


def entry(step="read", sample="a", **more):
    return TaskEntry(step, sample, "read.visium", "done", "k", {"p": 1.0}, {"obs/x": REF}, more)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry()],
        [entry(log=["a line\nand another", 'a "quote" \\ and ],"checksum":"']), entry("svg", "b")],
        [entry("größe", 'a"b\\')],
    ],
)
def test_a_manifest_is_read_as_it_was_written(entries):
    run = run_of(*entries)
    found = Run.from_bytes(run.to_bytes())
    assert found == run
    assert list(found.tasks) == list(run.tasks)
    assert list(found.tasks.values()) == entries


def test_a_manifest_is_one_document_of_json_with_a_line_for_every_task():
    content = run_of(entry(), entry("svg")).to_bytes()
    assert [task["step"] for task in json.loads(content)["tasks"]] == ["read", "svg"]
    assert [b'"uses"' in line for line in content.splitlines()] == [False, True, True, False]


def test_any_damage_to_a_manifest_is_noticed(store):
    run = run_of(entry(), entry("svg"))
    store.runs.save(run, "")
    whole = run.to_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        store.backend.put("runs/one/manifest.json", bytes(damaged))
        with pytest.raises(StoreError) as caught:
            store.runs.get("one")
        assert caught.value.code == "store.corrupt"
    for length in range(0, len(whole), 7):
        with pytest.raises(ValueError, match="not what was written"):
            Run.from_bytes(whole[:length])


def test_what_is_not_asked_for_is_not_decoded(monkeypatch):
    found = Run.from_bytes(run_of(entry(), entry("svg")).to_bytes())
    monkeypatch.setattr(TaskEntry, "from_json", lambda data: data["step"])
    assert ("svg", "a") in found.tasks
    assert ("svg", "b") not in found.tasks
    assert len(found.tasks) == 2
    assert found.tasks["svg", "a"] == "svg"


def test_a_line_that_is_no_entry_is_refused():
    with pytest.raises(ValueError, match="no task's"):
        Entries([b'{"sample":"a"}'])
