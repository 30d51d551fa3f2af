"""Opening and making stores, their runs, partial results and memory of sources; a store that is moved."""

import json
import os
import shutil

import numpy as np
import pytest

from spatialrun.errors import StoreError
from spatialrun.store.actions import ActionRecord
from spatialrun.store.elements import ObjectRef
from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.store.store import create_store, open_store


def code_of(function, *args):
    with pytest.raises(StoreError) as caught:
        function(*args)
    assert caught.value.hint
    return caught.value.code


class TestOpening:
    def test_a_store_is_made_once_and_opened_again(self, tmp_path):
        create_store(tmp_path / "deep" / "store")
        create_store(tmp_path / "deep" / "store")
        assert open_store(str(tmp_path / "deep" / "store")).url == str(tmp_path / "deep" / "store")

    def test_a_missing_store_is_not_made_by_opening_it(self, tmp_path):
        assert code_of(open_store, tmp_path / "store") == "store.missing"
        assert not (tmp_path / "store").exists()

    def test_a_file_is_no_store(self, tmp_path):
        (tmp_path / "store").write_text("")
        for function in (open_store, create_store):
            assert code_of(function, tmp_path / "store") == "store.not-a-store"

    def test_a_place_below_a_file_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        assert code_of(create_store, tmp_path / "file" / "store") == "store.permission"

    def test_a_folder_of_other_things_is_left_alone(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("")
        assert code_of(create_store, tmp_path) == "store.not-a-store"
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_a_folder_with_nothing_but_hidden_files_is_empty(self, tmp_path):
        (tmp_path / ".store.json.0123456789ab").write_text("{")
        (tmp_path / ".DS_Store").write_text("")
        assert create_store(tmp_path).url == str(tmp_path)

    def test_a_store_that_appears_meanwhile_is_used(self, tmp_path, monkeypatch):
        """Another process makes the store and begins to fill it while this one looks."""
        from spatialrun.store import local

        read = local.LocalBackend.get

        def get(self, path):
            content = read(self, path)
            if content is None and not (tmp_path / "store.json").exists():
                (tmp_path / "store.json").write_text('{"spatialrun store":1}')
                (tmp_path / "data").mkdir()
            return content

        monkeypatch.setattr(local.LocalBackend, "get", get)
        assert create_store(tmp_path).url == str(tmp_path)

    def test_a_newer_format_is_told(self, tmp_path):
        (tmp_path / "store.json").write_text('{"spatialrun store": 99}')
        for function in (open_store, create_store):
            with pytest.raises(StoreError, match="format 99") as caught:
                function(tmp_path)
            assert caught.value.code == "store.newer-format"

    @pytest.mark.parametrize("header", ["{ ", "[]", "{}", '{"spatialrun store": "new"}'])
    def test_a_header_of_something_else_is_told(self, tmp_path, header):
        (tmp_path / "store.json").write_text(header)
        for function in (open_store, create_store):
            assert code_of(function, tmp_path) == "store.not-a-store"

    def test_one_whose_making_was_killed_is_made(self, tmp_path):
        for name in ("store.json", ".store.json.0123456789ab"):
            (tmp_path / name).write_text("")
        assert code_of(open_store, tmp_path) == "store.missing"
        assert create_store(tmp_path).url == open_store(tmp_path).url
        (tmp_path / "store.json").write_text("")
        (tmp_path / "thesis.docx").write_text("something of mine")
        assert code_of(create_store, tmp_path) == "store.not-a-store"


def test_a_store_can_be_moved_and_copied(store, tmp_path):
    attempt = store.attempt()
    ref = attempt.write("x", np.arange(3))
    store.actions.commit(attempt, ActionRecord("ab" * 32, attempt.id, {"x": ref}))
    store.runs.save(a_run("one", ref), "recipe")
    shutil.copytree(store.url, tmp_path / "copy")
    shutil.move(store.url, tmp_path / "moved")
    for name in ("copy", "moved"):
        there = open_store(tmp_path / name)
        found = there.runs.latest().slots("s1")["obs/x"]
        assert there.actions.get("ab" * 32).outputs["x"] == found
        assert there.element(found).read().tolist() == [0, 1, 2]
        for file in (tmp_path / name).rglob("*"):
            assert not file.is_file() or str(tmp_path).encode() not in file.read_bytes()


def a_run(id, ref=None, **tasks):
    outputs = {"obs/x": ref or ObjectRef("d", "data/a/x", "array", {"shape": [3]})}
    entries = {
        ("read", "s1"): TaskEntry(
            "read", "s1", "read.visium", "done", "key", {"n": 1}, outputs, {"wall_s": 1.5}
        )
    }
    return Run(
        id, "2026-01-01T00:00:00+00:00", "done", {"s1": {"batch": "b1"}}, entries, {"spatialrun": "0.1.0"}
    )


class TestRuns:
    def test_runs_come_back_as_they_went_in(self, store):
        assert store.runs.latest() is None
        for name in ("one", "two"):
            store.runs.save(a_run(name), "the recipe")
        assert store.runs.latest() == a_run("two")
        assert store.runs.get("one") == a_run("one")
        assert list(store.runs.names()) == ["one", "two"]
        assert store.backend.get("runs/two/recipe.yaml") == b"the recipe"

    def test_later_tasks_write_over_earlier_ones(self):
        run = a_run("one")
        entry = TaskEntry("later", "s1", "x", "done", outputs={"obs/x": ObjectRef("e", "data/b", "array")})
        both = Run("two", "", "done", run.samples, {**run.tasks, ("later", "s1"): entry})
        assert both.slots("s1")["obs/x"].digest == "e"

    def test_an_unknown_run_is_told(self, store):
        assert code_of(store.runs.get, "x") == "store.no-run"
        store.runs.save(a_run("one"), "")
        with pytest.raises(StoreError, match="the newest run is one"):
            store.runs.get("x")

    def test_what_an_interrupted_run_left_is_no_run(self, store):
        store.runs.save(a_run("one"), "")
        store.backend.put("runs/two/view.zarr/zarr.json", b"{}")
        assert list(store.runs.names()) == ["one"]

    @pytest.mark.parametrize("manifest", [None, b"", b"{", b"[]", b"{}", b"\xff"])
    def test_a_damaged_manifest_does_not_end_all_work(self, store, manifest):
        store.runs.save(a_run("one"), "")
        store.runs.save(a_run("two"), "")
        if manifest is None:
            store.backend.delete("runs/two/manifest.json")
        else:
            store.backend.put("runs/two/manifest.json", manifest)
            assert code_of(store.runs.get, "two") == "store.corrupt"
        assert store.runs.latest().id == "one"

    def test_a_lost_pointer_is_found_again(self, store):
        store.runs.save(a_run("one"), "")
        store.runs.save(a_run("two"), "")
        for content in (b"", b"\xff", b"gone"):
            store.backend.put("latest", content)
            assert store.runs.latest().id == "two"


class TestPartial:
    def test_arrays_come_back_as_they_went_in(self, store):
        partial = store.partial("key")
        assert partial.load("block") is None
        arrays = {"a": np.arange(3), "file": np.zeros((0, 2), dtype=np.float32)}
        partial.save("block", arrays)
        found = store.partial("key").load("block")
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype

    def test_a_torn_file_counts_as_absent(self, store):
        partial = store.partial("key")
        partial.save("block", {"a": np.arange(100)})
        content = store.backend.get("partial/key/block.npz")
        for length in (0, 1, 16, 17, len(content) // 2, len(content) - 1):
            store.backend.put("partial/key/block.npz", content[:length])
            assert partial.load("block") is None
        flipped = bytearray(content)
        flipped[-20] ^= 1
        store.backend.put("partial/key/block.npz", bytes(flipped))
        assert partial.load("block") is None

    def test_a_committed_action_leaves_nothing(self, store):
        partial = store.partial("key")
        partial.save("block", {"a": np.arange(3)})
        store.partial("other").save("block", {"a": np.arange(4)})
        partial.discard()
        assert list(store.backend.list("partial")) == ["other"]


class TestSources:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "counts.h5"
        path.write_bytes(b"content")
        return path

    @pytest.fixture
    def reads(self, monkeypatch):
        """The files that are read whole."""
        from spatialrun.store import sources

        read, hash_file = [], sources.file_digest
        monkeypatch.setattr(sources, "file_digest", lambda path: (read.append(path.name), hash_file(path))[1])
        return read

    def test_a_file_is_read_once(self, store, file, reads):
        assert store.sources.recall({"matrix": file}) is None
        digest = store.sources.digest({"matrix": file})
        again = open_store(store.url).sources
        assert again.recall({"matrix": file}) == digest == again.digest({"matrix": file})
        assert reads == ["counts.h5"]

    def test_content_of_the_same_size_counts_when_the_time_differs(self, store, file):
        before = store.sources.digest({"matrix": file})
        facts = file.stat()
        file.write_bytes(b"CONTENT")
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
        assert store.sources.recall({"matrix": file}) is None
        assert store.sources.digest({"matrix": file}) != before

    def test_a_touched_file_is_read_again_to_the_same_digest(self, store, file, reads):
        before = store.sources.digest({"matrix": file})
        os.utime(file, ns=(0, 0))
        assert store.sources.digest({"matrix": file}) == before
        assert reads == ["counts.h5"] * 2

    def test_a_file_put_in_its_place_is_noticed(self, store, file, tmp_path):
        before = store.sources.digest({"matrix": file})
        facts = file.stat()
        other = tmp_path / "other"
        other.write_bytes(b"CONTENT")
        os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        other.replace(file)
        assert store.sources.digest({"matrix": file}) != before

    def test_place_and_name_do_not_matter_but_role_and_kind_do(self, store, file, tmp_path):
        digest = store.sources.digest({"matrix": file})
        (tmp_path / "elsewhere").mkdir()
        moved = file.rename(tmp_path / "elsewhere" / "raw.h5")
        assert store.sources.digest({"matrix": moved}) == digest
        assert store.sources.digest({"positions": moved}) != digest
        as_table = moved.rename(tmp_path / "raw.csv")
        assert store.sources.digest({"matrix": as_table}) != digest

    def test_the_order_of_roles_does_not_matter(self, store, file):
        one = store.sources.digest({"a": file, "b": file})
        assert store.sources.digest({"b": file, "a": file}) == one

    def test_a_file_changed_while_it_is_read_is_not_remembered(self, store, file, monkeypatch):
        from spatialrun.store import sources

        hash_file = sources.file_digest

        def change(path):
            digest = hash_file(path)
            path.write_bytes(b"longer content")
            return digest

        monkeypatch.setattr(sources, "file_digest", change)
        store.sources.digest({"matrix": file})
        assert store.sources.recall({"matrix": file}) is None

    def test_a_torn_memory_is_no_memory(self, store, file):
        digest = store.sources.digest({"matrix": file})
        for memo in store.backend.local("sources").rglob("*.json"):
            memo.write_bytes(b"{")
        assert open_store(store.url).sources.recall({"matrix": file}) is None
        assert open_store(store.url).sources.digest({"matrix": file}) == digest

    def test_a_missing_file_is_not_remembered(self, store, tmp_path):
        assert store.sources.recall({"matrix": tmp_path / "missing"}) is None
        with pytest.raises(FileNotFoundError):
            store.sources.digest({"matrix": tmp_path / "missing"})

    def test_names_need_not_be_text(self, store, tmp_path):
        path = tmp_path / os.fsdecode(b"caf\xe9.h5")
        path.write_bytes(b"content")
        assert store.sources.digest({"matrix": path}) == store.sources.recall({"matrix": path})

    def test_the_memory_holds_no_path(self, store, file):
        store.sources.digest({"matrix": file})
        memos = list(store.backend.local("sources").rglob("*.json"))
        assert [set(json.loads(memo.read_text())) for memo in memos] == [{"digest"}]
