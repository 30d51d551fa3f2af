"""What every backend must do, asked of a folder, of memory, of S3, of Google Cloud Storage and of Azure alike."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from test_store_elements import VALUES

from spatialrun.errors import StoreError
from spatialrun.store.actions import ActionRecord
from spatialrun.store.digests import folder_digest, value_digest
from spatialrun.store.store import create_store, open_store
from spatialrun.values import FileBytes

PLACES = ["local", "memory", "s3", "google", pytest.param("azure", marks=pytest.mark.slow)]


@pytest.fixture(params=PLACES)
def store(request, tmp_path):
    match request.param:
        case "local":
            return create_store(tmp_path / "store")
        case "memory":
            return create_store(f"memory://{tmp_path.name}")
        case "google":
            return create_store(f"{request.getfixturevalue('google')}/a folder/store")
        case "azure":
            return create_store(f"{request.getfixturevalue('container')}/a folder/store")
    return create_store(f"{request.getfixturevalue('bucket')}/a folder/store")


@pytest.fixture
def backend(store):
    return store.backend


def test_files_are_put_and_read(backend):
    backend.put("a/b", b"one")
    backend.put("a/b", b"two")
    assert backend.get("a/b") == b"two"
    assert backend.size("a/b") == 3
    assert backend.exists("a/b")
    assert backend.exists("a")


def test_odd_names_are_names(backend):
    for name in ("a/µm 1.json", "a/x+y=z&q?.json", "a/100%.json", "a/'\"#.json"):
        backend.put(name, name.encode())
        assert backend.get(name) == name.encode()
        assert name in backend.sizes("a")


def test_what_is_not_there_is_none(backend):
    for path in ("missing", "missing/deep"):
        assert backend.get(path) is None
        assert backend.size(path) is None
        assert not backend.exists(path)
        assert list(backend.list(path)) == []
        assert backend.sizes(path) == {}
        backend.delete(path)


def test_folders_are_listed_by_name_and_by_size(backend):
    backend.put("a/c", b"1")
    backend.put("a/b/d", b"22")
    backend.put("a/b/e/f", b"333")
    backend.put("ab", b"")
    assert list(backend.list("a")) == ["b", "c"]
    assert backend.sizes("a") == {"a/c": 1, "a/b/d": 2, "a/b/e/f": 3}


def test_files_and_folders_are_deleted(backend):
    for path in ("a/b", "a/c/d", "ab"):
        backend.put(path, b"")
    backend.delete("a/b")
    assert backend.sizes("a") == {"a/c/d": 0}
    backend.delete("a")
    assert not backend.exists("a")
    assert backend.exists("ab")


def test_files_and_folders_get_second_names(backend):
    backend.put("a/b", b"one")
    backend.put("a/c/d", b"two")
    backend.link("a", "x/y")
    backend.link("a/b", "z/w")
    backend.delete("a")
    assert backend.get("x/y/b") == backend.get("z/w") == b"one"
    assert backend.get("x/y/c/d") == b"two"


def at_once(act, names):
    """Let one thread per name act, all beginning at the same time; return the names for which it was true."""
    barrier = threading.Barrier(len(names))

    def run(name):
        barrier.wait()
        return act(name)

    with ThreadPoolExecutor(len(names)) as pool:
        return [name for name, won in zip(names, pool.map(run, names), strict=True) if won]


NAMES = [f"writer-{number}" * 1000 for number in range(8)]
PATHS = [f"race/{number}" for number in range(5)]


def test_of_eight_creators_exactly_one_wins(backend):
    for path in PATHS:
        winners = at_once(lambda name, path=path: backend.create(path, name.encode()), NAMES)
        assert [name.encode() for name in winners] == [backend.get(path)]


def test_of_eight_swappers_exactly_one_wins(backend):
    for path in PATHS:
        backend.put(path, b"old")
        winners = at_once(lambda name, path=path: backend.swap(path, b"old", name.encode()), NAMES)
        assert [name.encode() for name in winners] == [backend.get(path)]


def test_a_file_is_created_once_also_by_who_made_it(backend):
    assert backend.create("a", b"one")
    assert not backend.create("a", b"one")
    assert not backend.create("a", b"two")
    assert backend.get("a") == b"one"


def test_a_swap_needs_the_old_content(backend):
    backend.put("a", b"one")
    assert not backend.swap("a", b"other", b"two")
    assert backend.swap("a", b"one", b"two")
    assert backend.get("a") == b"two"
    assert not backend.swap("missing", b"", b"two")


def test_presence_knows_objects_also_of_attempts_that_came_later(store):
    ref = committed(store, np.arange(3))
    exists = store.backend.presence()
    assert exists(ref.path)
    assert not exists("data/none/x")
    assert exists(committed(store, np.arange(4)).path)


def committed(store, value, port="group/name"):
    attempt = store.attempt()
    ref = attempt.write(port, value)
    key = f"{abs(hash(attempt.id)):064x}"
    return store.actions.commit(attempt, ActionRecord(key, attempt.id, {port: ref})).outputs[port]


@pytest.mark.parametrize("kind", VALUES)
def test_values_come_back_as_they_went_in(store, kind):
    ref = committed(store, VALUES[kind])
    found = open_store(store.url).element(ref).read()
    assert type(found) is type(VALUES[kind])
    assert value_digest(found) == ref.digest


@pytest.mark.parametrize("kind", ["csc", "csr", "sparse without entries"])
def test_columns_are_those_of_the_matrix(store, kind):
    matrix = VALUES[kind]
    element = store.element(committed(store, matrix))
    for start, stop in [(0, 1), (2, matrix.shape[1]), (3, 3), (0, matrix.shape[1])]:
        found = element.columns(start, stop)
        assert (found != matrix.tocsc()[:, start:stop]).nnz == 0


@pytest.mark.parametrize("small", [4 << 20, 0])
def test_columns_of_many_shards_are_those_of_the_matrix(store, monkeypatch, small):
    monkeypatch.setattr("spatialrun.store.layout.CHUNK_ELEMENTS", 100)
    monkeypatch.setattr("spatialrun.store.layout.SHARD_CHUNKS", 4)
    matrix = sp.random(50, 90, density=0.4, format="csc", random_state=0)
    ref = committed(store, matrix)
    monkeypatch.setattr("spatialrun.store.ahead.SMALL", small)
    monkeypatch.setattr("spatialrun.store.ahead.PIECE", 777)
    element = store.element(ref)
    for start in range(0, 90, 7):
        for stop in (start, start + 1, min(90, start + 30), 90):
            found = element.columns(start, stop)
            np.testing.assert_array_equal(found.toarray(), matrix[:, start:stop].toarray())
    np.testing.assert_array_equal(element.read().toarray(), matrix.toarray())


def test_folders_are_sealed_and_brought_back(store, tmp_path):
    attempt = store.attempt()
    folder = attempt.folder("files/outs")
    (folder / "spatial").mkdir()
    (folder / "spatial" / "scale.json").write_text("{}")
    (folder / "matrix.h5").write_bytes(bytes(range(256)) * 1000)
    expected = folder_digest(folder)
    ref = attempt.seal_folder("files/outs")
    attempt.verify()
    assert ref.digest == expected
    path = open_store(store.url).element(ref).path
    assert path.name == "outs"
    assert folder_digest(path) == expected


def test_a_lost_file_of_an_attempt_is_found_before_it_is_committed(store):
    attempt = store.attempt()
    attempt.write("x", FileBytes(b"PNG", ".png"))
    store.backend.delete(f"{attempt.prefix}/x.png")
    with pytest.raises(StoreError, match="is missing") as caught:
        attempt.verify()
    assert caught.value.code == "store.corrupt"


def test_a_lost_chunk_is_an_error_that_says_how_to_go_on(store):
    ref = committed(store, np.arange(3))
    store.backend.delete(f"{ref.path}/c/0")
    with pytest.raises(StoreError, match="missing") as caught:
        store.element(ref).read()
    assert caught.value.code == "store.corrupt"
    assert caught.value.hint.endswith(store.backend.removal(ref.path))


def test_a_discarded_attempt_leaves_nothing(store):
    attempt = store.attempt()
    attempt.write("x", np.arange(3))
    attempt.folder("f")
    attempt.discard()
    assert store.backend.sizes("data") == {}


def test_a_good_place_passes_the_check(backend):
    backend.check_commit()
    backend.check_commit(conditional=False)
    assert backend.sizes("partial") == {}
