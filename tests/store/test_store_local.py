"""The local backend: whole files or none, one creator, one swap, modes of the group, copies where links fail."""

import errno
import fcntl
import multiprocessing
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from spatialrun.errors import StoreError
from spatialrun.store.local import LocalBackend


@pytest.fixture
def backend(tmp_path):
    return LocalBackend(tmp_path)


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_files_are_put_and_read(backend, tmp_path):
    backend.put("a/b", b"one")
    backend.put("a/b", b"two")
    assert backend.get("a/b") == b"two"
    assert backend.size("a/b") == 3
    assert backend.exists("a/b")
    assert backend.exists("a")
    assert list(backend.list("a")) == ["b"]
    assert files(tmp_path) == ["a/b"]


def test_what_is_not_there_is_none(backend):
    backend.put("file", b"")
    for path in ("missing", "missing/deep", "file/deep"):
        assert backend.get(path) is None
        assert backend.size(path) is None
        assert not backend.exists(path)
        assert list(backend.list(path)) == []
        backend.delete(path)


def test_files_and_folders_are_deleted(backend, tmp_path):
    backend.put("a/b", b"")
    backend.put("a/c/d", b"")
    backend.delete("a/b")
    assert files(tmp_path) == ["a/c/d"]
    backend.delete("a")
    assert not backend.exists("a")


def test_a_file_is_created_once(backend, tmp_path):
    assert backend.create("a/b", b"one")
    assert not backend.create("a/b", b"two")
    assert backend.get("a/b") == b"one"
    assert files(tmp_path) == ["a/b"]


def test_a_link_that_was_made_though_it_was_refused_counts_as_made(backend, tmp_path, monkeypatch):
    """NFS asks again for a lost answer, and is told that the name is taken."""

    def link_and_deny(source, target, link=os.link):
        with suppress(FileExistsError):
            link(source, target)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(os, "link", link_and_deny)
    assert backend.create("a/b", b"one")
    assert not backend.create("a/b", b"one")
    assert backend.get("a/b") == b"one"
    assert files(tmp_path) == ["a/b"]


def test_nothing_is_left_of_a_file_that_could_not_be_written(backend, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (backend.put, backend.create):
        with pytest.raises(StoreError, match="No space left") as caught:
            write("a/b", b"content")
        assert caught.value.code == "store.permission"
    assert files(tmp_path) == []


def test_a_file_system_that_cannot_flush_is_good_enough(backend, monkeypatch):
    def unable(descriptor):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unable)
    backend.put("a", b"content")
    assert backend.get("a") == b"content"


def test_a_swap_needs_the_old_content(backend):
    backend.put("a", b"one")
    assert not backend.swap("a", b"other", b"two")
    assert backend.swap("a", b"one", b"two")
    assert backend.get("a") == b"two"
    assert not backend.swap("missing", b"", b"two")


def race(function, root, barrier, results, name):
    backend = LocalBackend(root)
    barrier.wait()
    results.put((name, function(backend, name), backend.get("race/file")))


def create(backend, name):
    return backend.create("race/file", name.encode())


def swap(backend, name):
    return backend.swap("race/file", b"old", name.encode())


def no_links(source, target):
    """What Linux answers where a file system has no hard links."""
    code = errno.EEXIST if os.path.lexists(target) else errno.EPERM
    raise OSError(code, os.strerror(code))


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize(("function", "before"), [(create, None), (create, b""), (swap, b"old")])
def test_of_eight_processes_exactly_one_wins(backend, function, before, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    if before is not None:
        backend.put("race/file", before)
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(8), context.Queue()
    names = [f"process-{number}" * 1000 for number in range(8)]
    processes = [
        context.Process(target=race, args=(function, backend.root, barrier, results, name), daemon=True)
        for name in names
    ]
    for process in processes:
        process.start()
    answers = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    winners = [name for name, won, _ in answers if won]
    assert len(winners) == 1
    assert {seen for _, _, seen in answers} == {winners[0].encode()}
    assert files(backend.root) == ["race/file"]


def test_links_share_their_bytes(backend, tmp_path):
    backend.put("object/c/0", b"0")
    backend.put("object/zarr.json", b"{}")
    backend.link("object", "view/object")
    backend.link("object/c/0", "view/file")
    for one, other in [("object/c/0", "view/object/c/0"), ("object/c/0", "view/file")]:
        assert (tmp_path / one).samefile(tmp_path / other)
    assert files(tmp_path / "view") == ["file", "object/c/0", "object/zarr.json"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP])
class TestWithoutHardLinks:
    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch, code):
        def refuse(source, target):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "link", refuse)

    def test_links_become_copies(self, backend, tmp_path):
        backend.put("object/c/0", b"0")
        backend.link("object", "view/object")
        assert backend.get("view/object/c/0") == b"0"
        assert not (tmp_path / "object/c/0").samefile(tmp_path / "view/object/c/0")

    def test_a_file_is_created_once_all_the_same(self, backend, tmp_path):
        assert backend.create("a", b"one")
        assert not backend.create("a", b"two")
        assert backend.get("a") == b"one"
        assert files(tmp_path) == ["a"]


def test_without_hard_links_a_name_is_claimed_by_an_empty_file_that_counts_as_none(
    backend, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    def die(self, target):
        assert target.read_bytes() == b""
        raise Killed

    monkeypatch.setattr(os, "link", no_links)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        with pytest.raises(Killed):
            backend.create("a", b"one")
    assert backend.create("a", b"two")
    assert not backend.create("a", b"three")
    assert backend.get("a") == b"two"
    assert files(tmp_path) == ["a"]


def test_a_claim_that_another_took_over_is_lost(backend, monkeypatch):
    def slowly(descriptor, operation, lock=fcntl.flock):
        monkeypatch.setattr(fcntl, "flock", lock)
        assert backend.create("a", b"the other's")
        lock(descriptor, operation)

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(fcntl, "flock", slowly)
    assert not backend.create("a", b"ours")
    assert backend.get("a") == b"the other's"


def test_other_faults_of_links_are_told(backend, monkeypatch):
    def fail(source, target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", fail)
    backend.put("object", b"0")
    for write in (lambda: backend.create("a", b""), lambda: backend.link("object", "b")):
        with pytest.raises(StoreError) as caught:
            write()
        assert caught.value.code == "store.permission"


@pytest.mark.parametrize("mode", [0o2770, 0o775, 0o755, 0o700])
def test_everything_has_the_mode_of_the_folder(tmp_path, mode):
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(mode)
    backend = LocalBackend(root)
    before = os.umask(0o077)
    try:
        backend.put("a/b/put", b"")
        backend.create("a/c/created", b"")
        backend.link("a", "linked")
        folder = backend.zarr("written/deep", read_only=False).root
        (folder / "array/c").mkdir(parents=True)
        (folder / "array/c/0").write_bytes(b"")
        backend.share("written")
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {mode}
    assert {mode for path, mode in modes.items() if path.is_file()} == {mode & 0o666}


def test_a_place_that_cannot_be_read_is_told(backend, monkeypatch):
    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StoreError, match="cannot be read: Permission denied") as caught:
        backend.get("store.json")
    assert caught.value.code == "store.permission"


def test_a_place_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written: Not a directory") as caught:
        LocalBackend(tmp_path / "file" / "store").create("a", b"")
    assert caught.value.code == "store.permission"
