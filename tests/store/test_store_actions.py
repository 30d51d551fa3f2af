"""Attempts and action records: all of a task or nothing, and one record per key, come what may."""

import json
import multiprocessing

import numpy as np
import pytest

from spatialrun.errors import StoreError
from spatialrun.store.actions import ActionRecord
from spatialrun.store.elements import ObjectRef
from spatialrun.store.store import open_store
from spatialrun.values import FileBytes

KEY = "ab" * 32
PATH = f"actions/ab/{KEY}.json"


def attempted(store, value=1.0, key=KEY):
    """An attempt with one output, and the record that would make it visible."""
    attempt = store.attempt()
    ref = attempt.write("layers/x", np.full(3, value))
    return attempt, ActionRecord(key, attempt.id, {"layers/x": ref}, {"step": "a"}, {"wall_s": 0.5})


def committed(store, value=1.0):
    attempt, record = attempted(store, value)
    return store.actions.commit(attempt, record)


def value_of(store, record):
    return float(store.element(record.outputs["layers/x"]).read()[0])


def attempts(store):
    return set(store.backend.list("data"))


def test_nothing_is_seen_before_the_record(store):
    attempted(store)
    assert store.actions.get(KEY) is None


def test_a_record_comes_back_as_it_went_in(store):
    record = committed(store)
    assert store.actions.get(KEY) == record
    assert ActionRecord.from_bytes(record.to_bytes()) == record


def test_an_attempt_leaves_a_manifest_of_its_files(store):
    attempt, record = attempted(store)
    attempt.write("figures/f", FileBytes(b"png", ".png"))
    store.actions.commit(attempt, record)
    manifest = json.loads(store.backend.get(f"data/{attempt.id}/manifest.json"))
    root = store.backend.local(attempt.prefix)
    written = {
        p.relative_to(store.backend.root).as_posix(): p.stat().st_size for p in root.rglob("*") if p.is_file()
    }
    del written[f"data/{attempt.id}/manifest.json"]
    assert {path: size for path, (size, _) in manifest["files"].items()} == written


def test_a_folder_is_an_object(store):
    attempt = store.attempt()
    folder = attempt.folder("files/out")
    (folder / "deep").mkdir()
    (folder / "deep" / "a.txt").write_text("content")
    ref = attempt.seal_folder("files/out")
    store.actions.commit(attempt, ActionRecord(KEY, attempt.id, {"files/out": ref}))
    assert ref.meta == {"size": 7}
    assert (store.element(ref).path / "deep" / "a.txt").read_text() == "content"


@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_an_attempt_that_did_not_reach_the_disk_is_not_committed(store, damage):
    attempt, record = attempted(store)
    (chunk,) = (p for p in store.backend.local(attempt.prefix).rglob("c/*"))
    if damage == "cut":
        chunk.write_bytes(chunk.read_bytes()[:-1])
    else:
        chunk.unlink()
    with pytest.raises(StoreError, match=r"c/0 (is missing|holds)") as caught:
        store.actions.commit(attempt, record)
    assert caught.value.code == "store.corrupt"
    assert store.actions.get(KEY) is None


def test_the_second_of_two_uses_the_first_ones_record(store):
    first = committed(store, 1.0)
    second = committed(store, 2.0)
    assert second == first
    assert value_of(store, second) == 1.0
    assert attempts(store) == {first.attempt}


def test_a_record_is_replaced_where_that_is_asked_for(store):
    committed(store, 1.0)
    attempt, record = attempted(store, 2.0)
    assert store.actions.commit(attempt, record, replace=True) == record
    assert store.actions.get(KEY) == record


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"{}", b'{"schema": 99}', b"\xff\xfe", b'{"schema": 1, "outputs": []}'],
)
def test_a_torn_record_is_computed_anew(store, content):
    store.backend.put(PATH, content)
    assert store.actions.get(KEY) is None
    record = committed(store)
    assert store.actions.get(KEY) == record


def test_a_record_cut_anywhere_is_computed_anew(store):
    whole = committed(store).to_bytes()
    for length in range(0, len(whole), 7):
        store.backend.put(PATH, whole[:length])
        assert store.actions.get(KEY) is None


def test_a_record_under_another_key_does_not_count(store):
    record = committed(store)
    other = "cd" * 32
    store.backend.put(f"actions/cd/{other}.json", record.to_bytes())
    assert store.actions.get(other) is None


def test_a_record_whose_object_is_gone_is_computed_anew(store):
    first = committed(store)
    store.backend.delete(first.outputs["layers/x"].path)
    assert store.actions.get(KEY) is None
    second = committed(store)
    assert store.actions.get(KEY) == second
    assert value_of(store, second) == 1.0


def test_an_export_is_not_looked_for_in_the_store(store):
    attempt = store.attempt()
    record = ActionRecord(KEY, attempt.id, {"exports/f": ObjectRef("d", "", "export", {"size": 3})})
    store.actions.commit(attempt, record)
    assert store.actions.get(KEY) == record


def test_a_record_that_comes_between_two_looks_stands(store, monkeypatch):
    store.backend.put(PATH, b"torn")
    attempt, record = attempted(store, 2.0)
    others = []

    def look_and_be_late(path, get=store.backend.get):
        content = get(path)
        if path == PATH and not others:
            others.append(None)
            others.append(committed(open_store(store.url), 1.0))
        return content

    monkeypatch.setattr(store.backend, "get", look_and_be_late)
    assert store.actions.commit(attempt, record) == others[1]
    assert value_of(store, others[1]) == 1.0


@pytest.mark.parametrize("replace", [False, True])
def test_a_record_that_was_made_though_its_making_was_refused_is_ours(store, monkeypatch, replace):
    def link_and_deny(path, content, create=store.backend.create):
        assert create(path, content)
        return False

    monkeypatch.setattr(store.backend, "create", link_and_deny)
    attempt, record = attempted(store)
    assert store.actions.commit(attempt, record, replace=replace) == record
    assert attempts(store) == {attempt.id}
    assert value_of(store, store.actions.get(KEY)) == 1.0


def race(url, barrier, results, number):
    store = open_store(url)
    attempt, record = attempted(store, float(number))
    barrier.wait()
    standing = store.actions.commit(attempt, record)
    results.put((standing.attempt == attempt.id, standing.attempt, value_of(store, standing)))


@pytest.mark.parametrize("before", [None, b"torn"])
def test_of_eight_processes_one_commits_and_all_agree(store, before):
    if before is not None:
        store.backend.put(PATH, before)
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(8), context.Queue()
    processes = [
        context.Process(target=race, args=(store.url, barrier, results, number), daemon=True)
        for number in range(8)
    ]
    for process in processes:
        process.start()
    answers = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    assert sum(won for won, _, _ in answers) == 1
    assert len({(attempt, value) for _, attempt, value in answers}) == 1
    assert attempts(store) == {answers[0][1]}
