"""``doctor``: what is installed, what the machine has, whether a store does what commits need."""

from __future__ import annotations

import json
import sys

from spatialrun.store.local import LocalBackend


def checks(call, *words):
    return {check["name"]: check for check in json.loads(call("doctor", *words, "--json").out)}


def test_the_installation_and_the_machine(call):
    result = call("doctor")
    assert result.code == 0
    found = checks(call)
    assert {"spatialrun", "python", "numpy", "cores", "memory", "devices", "kernels"} <= found.keys()
    assert found["numpy"]["verdict"] == "ok"
    assert "store" not in {check["group"] for check in found.values()}


def test_what_is_not_installed_is_said_with_how_to_get_it(call, monkeypatch):
    monkeypatch.setattr("spatialrun.doctor.EXTRAS", {"cloud": "no-such-distribution"})
    check = checks(call)["cloud: no-such-distribution"]
    assert (check["verdict"], "spatialrun[cloud]" in check["found"]) == ("absent", True)


def test_torch_is_not_imported_where_it_is_absent(call, monkeypatch):
    monkeypatch.setattr("spatialrun.doctor.find_spec", {}.get)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert checks(call)["devices"]["found"].startswith("cpu")


def test_a_store_is_tried_and_left_as_it_was(call, store):
    before = {path for path in store.rglob("*") if path.is_file()}
    found = checks(call, store)
    assert [found[name]["verdict"] for name in ("writing", "conditional writes", "clock", "hard links")] == [
        "ok"
    ] * 4
    assert found["last run"]["found"].endswith(": done")
    assert {path for path in store.rglob("*") if path.is_file()} == before


def test_a_store_where_two_may_be_first_is_a_fault(call, store, monkeypatch):
    monkeypatch.setattr(LocalBackend, "create", lambda self, path, content: self.put(path, content) is None)
    result = call("doctor", store)
    assert result.code == 1
    assert "two writers may both believe to be first" in result.out


def test_no_store(call, tmp_path):
    assert call("doctor", tmp_path / "nowhere").code == 4
