"""Faults of networks and servers: waited out where they pass, said well where they stay, never a wrong result."""

from __future__ import annotations

import numpy as np
import obstore
import pytest
from lab import Lab, codes, digests
from obstore.exceptions import NotSupportedError
from server import FAULTS, Trouble

from spatialrun.doctor import examine
from spatialrun.errors import StoreError
from spatialrun.store.actions import ActionRecord
from spatialrun.store.remote import RemoteBackend
from spatialrun.store.requests import Patience
from spatialrun.store.store import create_store, open_store

HASTE = Patience(tries=12, first=0.001)


@pytest.fixture
def backend(bucket):
    return RemoteBackend(f"{bucket}/store", HASTE)


class S3Lab(Lab):
    url = ""

    @property
    def text(self):
        return super().text.replace("store: store", f"store: {self.url}")


@pytest.fixture
def cloud(bucket, sections, tmp_path):
    lab = S3Lab(tmp_path / "cloud", {"a": sections["a"]})
    lab.url = f"{bucket}/store"
    return lab


@pytest.mark.parametrize("fault", FAULTS)
def test_each_operation_outlasts_each_fault(server, backend, fault):
    backend.put("old/a", b"one")
    backend.put("old/b/c", b"two")
    server.trouble = Trouble(0.5, seed=3, faults=(fault,))
    for number in range(10):
        backend.put(f"x/{number}", b"value")
        assert backend.get(f"x/{number}") == b"value"
        assert backend.size(f"x/{number}") == 5
        assert backend.create(f"y/{number}", b"one")
        assert not backend.create(f"y/{number}", b"two")
        assert backend.swap(f"y/{number}", b"one", b"three")
        assert backend.get(f"y/{number}") == b"three"
        backend.link("old", f"new/{number}")
        assert list(backend.list(f"new/{number}")) == ["a", "b"]
        assert (backend.local(f"new/{number}") / "b" / "c").read_bytes() == b"two"
        backend.delete(f"new/{number}")
    server.calm()
    assert backend.sizes("new") == {}
    assert len(backend.sizes("y")) == 10


def test_what_was_written_though_nobody_said_so_counts_as_written(server, backend):
    for act in (lambda: backend.create("a", b"one"), lambda: backend.swap("a", b"one", b"two")):
        server.trouble = Trouble(1.0, faults=("unanswered",), count=1, methods=("PUT",))
        assert act()
        assert server.trouble.count == 0
    assert backend.get("a") == b"two"


def test_who_comes_second_after_a_fault_is_still_second(server, backend):
    backend.put("a", b"other")
    server.trouble = Trouble(1.0, faults=("lost",), count=1)
    assert not backend.create("a", b"ours")
    assert backend.get("a") == b"other"


def test_elements_outlast_faults(server, bucket):
    store = create_store(f"{bucket}/store")
    values = {"x": np.arange(300_000.0), "y": np.array(["a", "b"], dtype=object), "z": {"a": {"b": 1}}}
    server.trouble = Trouble(0.3, seed=1)
    attempt = store.attempt()
    refs = {port: attempt.write(port, value) for port, value in values.items()}
    store.actions.commit(attempt, ActionRecord("ab" * 32, attempt.id, refs))
    record = open_store(store.url).actions.get("ab" * 32)
    assert record.outputs == refs
    for port, ref in record.outputs.items():
        np.testing.assert_equal(store.element(ref).read(), values[port])


def test_a_store_that_stays_away_is_an_error_with_a_hint(server, bucket):
    server.trouble = Trouble(1.0)
    backend = RemoteBackend(f"{bucket}/store", Patience(tries=3, first=0.001))
    acts = [
        lambda: backend.get("a"),
        lambda: backend.put("a", b""),
        lambda: backend.create("a", b""),
        lambda: list(backend.list("a")),
        lambda: backend.delete("a"),
        lambda: backend.local("a"),
    ]
    for act in acts:
        with pytest.raises(StoreError) as caught:
            act()
        assert caught.value.code == "store.unreachable"
        assert caught.value.where.file == backend.url
        assert "AWS_ENDPOINT_URL" in caught.value.hint
        assert caught.value.__suppress_context__


def test_a_server_that_is_not_there_is_an_error(server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="no connection can be made") as caught:
        RemoteBackend("s3://bucket/store", Patience(tries=2, first=0.001)).get("a")
    assert caught.value.code == "store.unreachable"


def test_a_bucket_that_is_not_there_is_told_at_once(server):
    for act in (open_store, create_store):
        with server.counted() as requests, pytest.raises(StoreError, match="no such bucket") as caught:
            act("s3://there-is-no-such-bucket/store")
        assert caught.value.code == "store.unreachable"
        assert len(requests) == 1


def test_a_refusal_is_told_at_once(server, bucket):
    server.trouble = Trouble(1.0, faults=("forbidden",))
    with server.counted() as requests, pytest.raises(StoreError, match="403") as caught:
        open_store(f"{bucket}/store")
    assert caught.value.code == "store.permission"
    assert len(requests) == 1


def test_a_store_without_conditional_writes_is_refused_unless_the_recipe_does_without(server, cloud):
    server.conditional = False
    with pytest.raises(StoreError) as caught:
        cloud.apply()
    assert caught.value.code == "store.conditional-writes"
    assert "unsafe: [conditional-writes]" in caught.value.hint
    backend = open_store(cloud.url).backend
    assert not backend.exists("actions")
    assert not backend.exists("partial")
    cloud.steps += "unsafe: [conditional-writes]\n"
    assert cloud.apply().run.status == "done"
    assert not cloud.apply().changed


BOTH = ("If-None-Match", "If-Match")


@pytest.fixture(params=["501", "unknown"])
def unconditional(request, server, monkeypatch):
    """A store that answers a condition with a 501, or whose client knows that it has none."""
    if request.param == "501":
        server.unimplemented = BOTH
        return

    def put(bucket, path, content, *, mode="overwrite", put=obstore.put, **more):
        if mode != "overwrite":
            raise NotSupportedError("there are no conditional writes")
        return put(bucket, path, content, mode=mode, **more)

    monkeypatch.setattr(obstore, "put", put)


def test_who_does_without_conditional_writes_can_create_and_swap(unconditional, backend):
    assert backend.create("a", b"one")
    assert not backend.create("a", b"two")
    assert not backend.swap("a", b"two", b"three")
    assert backend.swap("a", b"one", b"two")
    assert backend.get("a") == b"two"


def test_a_store_that_knows_no_conditions_is_refused_unless_the_recipe_does_without(unconditional, cloud):
    with pytest.raises(StoreError) as caught:
        cloud.apply()
    assert caught.value.code == "store.conditional-writes"
    cloud.steps += "unsafe: [conditional-writes]\n"
    assert cloud.apply().run.status == "done"
    assert not cloud.apply().changed


def test_the_doctor_says_so_of_a_store_that_knows_no_conditions(unconditional, bucket):
    verdict_of(bucket, "fault")


@pytest.mark.parametrize("unimplemented", [(), *((name,) for name in BOTH)])
def test_the_doctor_looks_at_either_condition(server, bucket, unimplemented):
    server.unimplemented = unimplemented
    verdict_of(bucket, "fault" if unimplemented else "ok")


def verdict_of(bucket, verdict):
    store = create_store(f"{bucket}/store")
    checks = {check.name: check.verdict for check in examine(store) if check.group == "store"}
    assert (checks["writing"], checks["conditional writes"]) == ("ok", verdict)
    assert store.backend.sizes("partial") == {}


def test_a_failing_store_ends_a_run_with_its_error(server, cloud, monkeypatch):
    create_store(cloud.url)
    cloud.load()

    def fail(event):
        if event.kind == "task-started":
            server.trouble = Trouble(1.0, faults=("unavailable",))

    monkeypatch.setattr("spatialrun.store.remote.Patience", lambda: Patience(tries=2, first=0.001))
    with pytest.raises(StoreError) as caught:
        cloud.apply(listener=fail)
    assert caught.value.code == "store.unreachable"


def test_workers_in_other_processes_reach_the_bucket(server, cloud, sections):
    cloud.samples |= {"b": sections["b"]}
    outcome = cloud.apply(jobs=2)
    assert codes(outcome.errors) == []
    verified(open_store(cloud.url), outcome.run)


def with_faults(server, cloud, local, seed):
    server.trouble = Trouble(0.15, seed)
    outcome = cloud.apply()
    again = cloud.apply()
    server.calm()
    assert codes(outcome.errors) == []
    assert digests(outcome.run) == digests(local)
    assert (again.changed, again.run.id) == (False, outcome.run.id)
    verified(open_store(cloud.url), outcome.run)


def verified(store, run):
    """Read everything back."""
    from spatialrun.store.digests import value_digest

    for task in run.tasks.values():
        for ref in task.outputs.values():
            assert value_digest(store.element(ref).read()) == ref.digest


def test_with_faults_at_every_seventh_request_nothing_is_wrong(server, cloud, applied):
    local = open_store(applied.store).runs.latest()
    with_faults(server, cloud, local, seed=0)
    assert sum(server.spoilt.values()) > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_with_faults_at_every_seventh_request_nothing_is_wrong_whatever_the_seed(
    server, cloud, applied, seed
):
    with_faults(server, cloud, open_store(applied.store).runs.latest(), seed)
