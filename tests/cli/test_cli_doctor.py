"""``doctor``: what is installed, what the machine has, whether a store does what commits need."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import pytest

from spatialrun import interpreters
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


def test_devices_are_listed(call, claimed_devices):
    claimed_devices("cuda:0")
    pytest.importorskip("torch")
    found = checks(call)["devices"]
    assert (found["found"], found["verdict"]) == ("cpu, cuda:0 a device that is not there (8 GB)", "ok")


def test_devices_that_cannot_be_asked_for_are_no_fault(call, monkeypatch, tmp_path):
    pytest.importorskip("torch")
    monkeypatch.setattr(interpreters, "_has_a_driver", lambda: True)
    monkeypatch.setattr(interpreters.sys, "executable", str(tmp_path / "gone"))
    found = checks(call)["devices"]
    assert found["verdict"] == "warning"
    assert "cannot be started" in found["found"]


def test_the_interpreters_of_a_recipe(call, store, own_steps, claimed_devices, monkeypatch):
    claimed_devices("cuda:0")
    monkeypatch.setenv("PYTHONPATH", str(Path(interpreters.__file__).parents[1]))
    recipe = store.parent / "gpu.yaml"
    steps = "".join(
        f"  - {{uses: test.on_device, gpu: {{python: {python}}}, with: {{flag: none, key_added: {key}}}}}\n"
        for key, python in [("x", sys.executable), ("y", "/nowhere/python"), ("z", sys.executable)]
    )
    recipe.write_text(f"spatialrun: 1\nstore: none-yet\nsamples: {{a: x}}\nsteps:\n{steps}")
    result = call("doctor", recipe, "--json")
    assert result.code == 1
    assert not (store.parent / "none-yet").exists()
    found = {c["name"]: c for c in json.loads(result.out) if c["group"] == "interpreters"}
    assert list(found) == [sys.executable, "/nowhere/python"]
    assert found[sys.executable]["found"].startswith(f"python {platform.python_version()}, torch ")
    assert "cuda:0 a device that is not there" in found[sys.executable]["found"]
    assert (
        found["/nowhere/python"]["verdict"],
        "cannot be started" in found["/nowhere/python"]["found"],
    ) == (
        "fault",
        True,
    )


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
