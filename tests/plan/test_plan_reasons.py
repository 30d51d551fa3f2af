"""Plans: what would run and why, as data; nothing is hashed, computed or written for one."""

import json
import shutil

import pytest
from lab import Lab, digests, entry

from spatialrun.plan.reasons import Reason, compare
from spatialrun.plan.resolver import Decision
from spatialrun.plan.task import TaskId
from spatialrun.store import sources
from spatialrun.store.store import open_store

EXPORT = (
    "  - {id: table, uses: export.table, with: {path: 'out/{sample}.csv', what: var, columns: [chosen]}}\n"
)


def reasons(decision: Decision) -> list[tuple[object, ...]]:
    return [(r.kind, r.name, r.old, r.new) for r in decision.reasons]


def statuses(lab: Lab, *overrides: str) -> dict[str, str]:
    return {id.step: planned.decision.status for id, planned in lab.plan(*overrides).tasks.items()}


def test_without_a_store_everything_is_to_be_done(lab):
    plan = lab.plan()
    decisions = {id.step: planned.decision for id, planned in plan.tasks.items()}
    assert [d.status for d in decisions.values()] == ["run", "pending", "pending", "pending"]
    assert [r.kind for r in decisions["read"].reasons] == ["new", "unread"]
    assert decisions["svg"].waits_for == (TaskId("read", "a"),)
    assert (plan.count("run"), plan.count("pending"), plan.count("cached")) == (1, 3, 0)
    assert not lab.store.exists()


def test_after_a_run_everything_is_cached(applied):
    assert set(statuses(applied).values()) == {"cached"}


def test_a_parameter_that_changed_is_named_from_old_to_new(applied):
    assert reasons(applied.decide("svg", "steps.svg.with.n_svg=12")) == [("parameter", "n_svg", 10, 12)]
    assert applied.decide("svg", "steps.svg.with.n_svg=12").done_stages == ("setup", "blocks")
    assert applied.decide("log", "steps.svg.with.n_svg=12").status == "cached"


def test_a_follower_of_a_change_is_pending(applied):
    decision = applied.decide("chosen", "steps.svg.with.n_svg=12")
    assert (decision.status, decision.waits_for) == ("pending", (TaskId("svg", "a"),))


def test_an_input_that_changed_is_named(applied, own_steps):
    flag = applied.root / "flag"
    applied.steps += f"  - {{id: base, uses: test.failing, with: {{flag: {applied.root / 'none'}}}}}\n"
    applied.steps += f"  - {{id: stop, uses: test.interrupted, with: {{flag: {flag}, key_added: s}}}}\n"
    applied.steps += f"  - {{id: next, uses: test.follower, with: {{flag: {flag}, key_added: n}}}}\n"
    before = applied.apply().run
    flag.touch()
    with pytest.raises(KeyboardInterrupt):
        applied.apply("steps.base.with.value=2", "steps.stop.with.value=2")
    digest = digests(open_store(applied.store).runs.latest())["a", "obs/noted"]
    assert digest != digests(before)["a", "obs/noted"]
    found = reasons(applied.decide("next", "steps.base.with.value=2"))
    assert found == [("input", "obs/noted", digests(before)["a", "obs/noted"], digest)]


def test_source_files_that_changed_have_to_be_read(applied, tmp_path, sections):
    shutil.copytree(sections["b"], tmp_path / "b")
    applied.samples = {"a": tmp_path / "b"}
    decision = applied.decide("read")
    assert decision.status == "run"
    assert [r.kind for r in decision.reasons] == ["unread"]


def test_source_files_that_are_known_to_be_others_are_a_reason(applied, sections):
    applied.samples = {"a": sections["b"]}
    roles = applied.load().graph.tasks[TaskId("read", "a")].externals
    digest = open_store(applied.store).sources.digest(roles)
    (found,) = applied.decide("read").reasons
    assert (found.kind, found.new) == ("source", digest)


def test_the_same_content_at_another_path_is_cached_once_it_was_read(applied, tmp_path, sections):
    shutil.copytree(sections["a"], tmp_path / "moved")
    applied.samples = {"a": tmp_path / "moved"}
    assert [r.kind for r in applied.decide("read").reasons] == ["unread"]
    assert not applied.apply().changed
    assert set(statuses(applied).values()) == {"cached"}


def test_a_new_version_of_the_step_type_is_a_reason(applied, monkeypatch):
    kind = type(applied.load().graph.tasks[TaskId("svg", "a")].step)
    old = kind.version
    monkeypatch.setattr(kind, "version", old + 1)
    assert reasons(applied.decide("svg")) == [("version", "svg.spatialde", old, old + 1)]


def test_another_step_type_under_the_same_id_is_a_reason(applied):
    applied.edit("{id: log, uses: normalize.log}", "{id: log, uses: qc.metrics}")
    assert reasons(applied.decide("log")) == [("step", "qc.metrics", "normalize.log", "qc.metrics")]


def test_a_result_that_is_gone_is_a_reason(applied):
    run = open_store(applied.store).runs.latest()
    shutil.rmtree(applied.store / entry(run, "log").outputs["layers/norm"].path)
    assert reasons(applied.decide("log")) == [("output", "", None, None)]


def test_a_step_that_is_new_in_the_recipe_is_new(applied):
    applied.steps += "  - {id: qc, uses: qc.metrics}\n"
    assert reasons(applied.decide("qc")) == [("new", "", None, None)]


def test_an_export_that_is_missing_or_altered_is_a_reason(applied):
    applied.steps += EXPORT
    applied.apply()
    assert applied.decide("table").status == "cached"
    file = applied.root / "out/a.csv"
    file.write_text(file.read_text() + "edited\n")
    assert reasons(applied.decide("table")) == [("destination", str(file), "written", "altered")]
    file.unlink()
    assert reasons(applied.decide("table")) == [("destination", str(file), "written", "missing")]


def test_what_names_things_changes_nothing(applied):
    applied.edit("id: svg", "id: renamed")
    applied.edit("key_added: chosen", "key_added: picked")
    applied.samples = {"other": applied.samples["a"]}
    decisions = [planned.decision.status for planned in applied.plan()]
    assert set(decisions) == {"cached"}


def test_outputs_that_change_names_with_each_other_stay_with_their_ports(applied):
    before = applied.decide("log").outputs
    applied.edit("uses: normalize.log}", "uses: normalize.log, with: {norm_added: lognorm, key_added: norm}}")
    after = applied.decide("log")
    assert after.status == "cached"
    assert after.outputs["layers/norm"].digest == before["layers/lognorm"].digest
    assert after.outputs["layers/lognorm"].digest == before["layers/norm"].digest


def test_planning_reads_no_data_and_changes_nothing_on_disk(applied, monkeypatch):
    def refuse(path):
        raise AssertionError(f"{path} was hashed")

    applied.load("steps.svg.with.n_svg=12")
    before = applied.listing()
    monkeypatch.setattr(sources, "file_digest", refuse)
    applied.plan("steps.svg.with.n_svg=12")
    assert applied.listing() == before


def test_estimates_of_memory_come_from_headers_then_from_the_store(lab, applied):
    assert lab.plan().tasks[TaskId("svg", "a")].memory > 100_000_000
    assert applied.plan("steps.svg.with.n_svg=12").tasks[TaskId("svg", "a")].memory > 100_000_000
    assert applied.plan().tasks[TaskId("svg", "a")].memory is None  # nothing is to be run


def test_a_store_whose_last_run_failed_is_planned_from_what_there_is(applied, own_steps):
    flag = applied.root / "flag"
    flag.touch()
    applied.steps += f"  - {{id: fragile, uses: test.failing, with: {{flag: {flag}}}}}\n"
    applied.steps += f"  - {{id: next, uses: test.follower, with: {{flag: {flag}, key_added: n}}}}\n"
    assert applied.apply().run.status == "failed"
    assert reasons(applied.decide("fragile")) == [("failed", "task.failed", None, None)]
    assert applied.decide("fragile", "steps.fragile.with.value=2").reasons == (
        Reason("parameter", "value", 1, 2),
        Reason("failed", "task.failed"),
    )
    assert applied.decide("next").status == "pending"
    assert applied.decide("svg").status == "cached"


def test_a_task_that_was_skipped_is_compared_with_its_last_success(applied, own_steps, sections):
    flag = applied.root / "flag"
    applied.steps += f"  - {{id: base, uses: test.failing, with: {{flag: {flag}}}}}\n"
    applied.steps += f"  - {{id: next, uses: test.follower, with: {{flag: {flag}, key_added: n}}}}\n"
    assert applied.apply().run.status == "done"
    flag.touch()
    assert applied.apply("steps.base.with.value=2").run.status == "failed"
    decision = applied.decide("next", "steps.next.with.value=7")
    assert reasons(decision) == [("parameter", "value", 1, 7)]


@pytest.mark.parametrize("torn", ["", "{", "null", '{"schema": 99}'])
def test_a_torn_record_is_computed_anew(applied, torn):
    run = open_store(applied.store).runs.latest()
    key = entry(run, "log").key
    (applied.store / "actions" / key[:2] / f"{key}.json").write_text(torn)
    assert applied.decide("log", "steps.log.with.norm_added=norm2").status == "run"


def test_changes_are_compared_name_by_name():
    old = json.loads(
        '{"step": "s", "version": 1, "params": {"a": 1, "gone": 2}, "source": "x", '
        '"inputs": [["p", "obs/x", "1"], ["q", "obs/y", "2"]], "numerics": {"numpy": "2.0"}}'
    )
    new = json.loads(
        '{"step": "s", "version": 2, "params": {"a": 3, "added": 4}, "source": "y", '
        '"inputs": [["p", "obs/x", "9"], ["q", "obs/y", "2"]], "numerics": {"numpy": "2.1"}}'
    )
    assert compare(old, new) == [
        Reason("version", "s", 1, 2),
        Reason("parameter", "a", 1, 3),
        Reason("parameter", "added", None, 4),
        Reason("parameter", "gone", 2, None),
        Reason("input", "obs/x", "1", "9"),
        Reason("source", "", "x", "y"),
        Reason("numerics", "numpy", "2.0", "2.1"),
    ]
    assert compare(old, old) == []
