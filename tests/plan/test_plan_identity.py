"""Keys: what enters them and, as important, what does not."""

import shutil
from dataclasses import replace

import pytest
from lab import Lab
from steps_of_tests import OnDevice

from spatialrun import interpreters
from spatialrun.plan import identity as identities
from spatialrun.plan.identity import action_key, identity, stages
from spatialrun.plan.reasons import Reason
from spatialrun.plan.task import Task, TaskId
from spatialrun.store.entries import TaskEntry
from spatialrun.version import __version__

IDENTITY = {
    "schema": 1,
    "step": "svg.spatialde",
    "version": 1,
    "stage": "final",
    "params": {"layer": "counts", "n_svg": 500, "fdr": 0.05, "kernel_space": None, "names": ["a", "b"]},
    "inputs": [["counts", "layers/counts", "00ff"], ["genes", "axes/var", "11ee"]],
    "source": None,
    "numerics": {"device": "cpu", "numpy": "2.1"},
}


def task(lab: Lab, step: str = "svg", sample: str = "a", **overrides: object) -> Task:
    edits = [f"steps.{step}.with.{name}={value}" for name, value in overrides.items()]
    return lab.load(*edits).graph.tasks[TaskId(step, sample)]


def key(task: Task, digests: dict[str, str] | None = None, source: str | None = None, stage="final") -> str:
    inputs = {i.port: f"digest of {i.slot}" for i in task.inputs} | (digests or {})
    return action_key(identity(task, inputs, source, stage))


def test_the_encoding_of_keys_never_changes():
    # A change here makes every store of every user compute everything again: raise SCHEMA and say so.
    assert action_key(IDENTITY) == "c05baf4cbf7787f7415d4229b9027ef96d77583ddf8931c1e3464ae06bf552b4"


def test_every_part_of_an_identity_enters_the_key():
    changed = {
        "schema": 2,
        "step": "svg.moran",
        "version": 2,
        "stage": "setup",
        "params": {**IDENTITY["params"], "n_svg": 501},
        "inputs": [["counts", "layers/counts", "00fe"], ["genes", "axes/var", "11ee"]],
        "source": "22dd",
        "numerics": {"device": "cpu", "numpy": "2.2"},
    }
    keys = {action_key({**IDENTITY, name: value}) for name, value in changed.items()}
    assert len(keys | {action_key(IDENTITY)}) == len(IDENTITY) + 1


def test_an_identity_holds_all_parameters_with_their_defaults(lab):
    found = identity(task(lab), dict.fromkeys(["axes/var", "counts", "genes", "spatial"], "x"), None)
    assert found["params"]["fdr"] == 0.05
    assert found["params"]["n_svg"] == 10
    assert found["inputs"][1] == ["counts", "layers/counts", "x"]


def test_names_of_steps_samples_and_outputs_do_not_enter(lab, sections):
    before = key(task(lab))
    lab.edit(
        "id: svg, uses: svg.spatialde, with: {", "id: renamed, uses: svg.spatialde, with: {key_added: other, "
    )
    lab.edit("[spatialde.svg]", "[other.svg]")
    lab.samples = {"z": sections["a"]}
    assert key(task(lab, "renamed", "z")) == before


def test_parameters_input_digests_and_sources_enter(lab):
    svg = task(lab)
    assert key(task(lab, min_counts=11)) != key(svg)
    assert key(svg, {"counts": "other"}) != key(svg)
    assert key(svg, source="other") != key(svg, source="one") != key(svg)


def test_the_version_of_the_step_type_enters(lab, monkeypatch):
    svg = task(lab)
    before = key(svg)
    monkeypatch.setattr(type(svg.step), "version", svg.step.version + 1)
    assert key(svg) != before


def test_the_minor_version_of_a_library_that_matters_enters_the_patch_does_not(lab, monkeypatch):
    svg = task(lab)
    monkeypatch.setattr(type(svg.step), "distributions", ("somelib",))

    def with_version(version: str) -> str:
        monkeypatch.setattr(identities, "version", lambda _: version)
        identities._numerics.cache_clear()
        return key(svg)

    try:
        assert with_version("1.2.0") == with_version("1.2.9") != with_version("1.3.0")
    finally:
        identities._numerics.cache_clear()


def test_late_parameters_enter_the_last_stage_alone(lab):
    one, other = task(lab), task(lab, n_svg=11)
    assert stages(one.step) == ("setup", "blocks", "final")
    for stage in ("setup", "blocks"):
        assert key(one, stage=stage) == key(other, stage=stage)
    assert key(one) != key(other)
    assert len({key(one, stage=stage) for stage in stages(one.step)}) == 3


def test_the_content_of_a_file_enters_its_path_does_not(lab, tmp_path, sections):
    shutil.copytree(sections["a"], tmp_path / "elsewhere")
    before = key(task(lab, "read"), source="content")
    lab.samples = {"a": tmp_path / "elsewhere"}
    assert key(task(lab, "read"), source="content") == before


def test_the_place_of_a_parameters_file_does_not_enter(lab):
    lab.root.mkdir()
    for name in ("one.csv", "two.csv"):
        (lab.root / name).write_text("barcode,label\nx,y\n")
    lab.steps += "  - {id: labels, uses: annotate.obs, with: {table: one.csv}}\n"
    assert key(task(lab, "labels"), source="s") == key(task(lab, "labels", table="two.csv"), source="s")


def test_an_optional_input_that_is_absent_is_not_an_input(lab):
    svg = task(lab)
    fewer = replace(svg, inputs=svg.inputs[:-1])
    assert key(fewer) != key(svg)


@pytest.mark.parametrize(("step", "expected"), [("read", ("setup", "final")), ("log", ("final",))])
def test_stages(lab, step, expected):
    assert stages(task(lab, step).step) == expected


class TestNumericsOfAGpuStep:
    @pytest.fixture
    def bench(self, lab, own_steps):
        lab.steps = "  - {id: read, uses: read.visium}\n"
        lab.steps += "  - {id: x, uses: test.on_device, with: {flag: none}}\n"
        return lab

    def numerics(self, bench, *overrides):
        found = bench.load(*overrides).graph.tasks[TaskId("x", "a")]
        return identity(found, {i.port: "x" for i in found.inputs}, None)["numerics"]

    def test_the_kind_of_the_device_enters_which_of_several_does_not(self, bench, claimed_devices):
        assert self.numerics(bench) == {"device": "cpu"}
        claimed_devices("cuda:0", "cuda:1")
        kinds = [self.numerics(bench, *edit) for edit in ((), ["gpu.device=cuda:1"], ["gpu.device=cpu"])]
        assert kinds == [{"device": "cuda"}, {"device": "cuda"}, {"device": "cpu"}]

    def test_versions_are_those_of_the_interpreter_that_computes(self, bench, monkeypatch):
        answer = {"python": "3.12.1", "spatialrun": __version__, "versions": {"torch": "9.8.7+cu130"}}
        monkeypatch.setattr(interpreters, "_ask", lambda python, *_: {"/opt/p": answer}[python])
        monkeypatch.setattr(OnDevice, "distributions", ("torch",))
        bench.edit("{flag: none}", "{flag: none}, gpu: {python: /opt/p, device: cuda}")
        assert self.numerics(bench) == {"device": "cuda", "torch": "9.8"}

    def test_another_kind_of_device_is_a_reason_to_run(self, bench, claimed_devices):
        assert bench.apply().run.status == "done"
        assert bench.decide("x").status == "cached"
        claimed_devices("cuda:0")
        decision = bench.decide("x")
        assert decision.status == "run"
        assert decision.reasons == (Reason("numerics", "device", "cpu", "cuda"),)
        assert bench.decide("x", "gpu.device=cpu").status == "cached"


def test_a_key_is_taken_over_only_where_the_identity_is_the_same_to_the_letter():
    before = TaskEntry(
        "svg", "a", "svg.spatialde", "done", "k" * 64, {"params": {"n": 1, "more": [None, "x"]}}
    )
    assert action_key({"params": {"n": 1, "more": [None, "x"]}}, before) == before.key
    for other in (1.0, True, 2, "1"):
        identity = {"params": {"n": other, "more": [None, "x"]}}
        assert action_key(identity, before) == action_key(identity)
    unknown = replace(before, key=None)
    assert action_key(before.identity, unknown) == action_key(before.identity)
