"""The table of a sweep, from manifests made by hand."""

from typing import Any

from spatialrun.store.entries import TaskEntry
from spatialrun.store.runs import Run
from spatialrun.store.sweep import has_measured, has_sweep, sweep


def task(step: str, sample: str, values: dict[str, dict[str, Any]], **measured: float) -> TaskEntry:
    base = step.partition("-")[0]
    facts = {"combination": {"step": base, "values": values}} | ({"measured": measured} if measured else {})
    return TaskEntry(step, sample, "x.y", "done", facts=facts)


def table(*tasks: TaskEntry):
    run = Run("r", "", "done", {"a": {}}, {(task.step, task.sample): task for task in tasks})
    assert has_sweep(run)
    return sweep(run)


def test_what_a_step_measured_stands_with_those_that_read_its_results():
    found = table(
        task("domains-5", "a", {"domains": {"k": 5}}, loss=0.5),
        task("compare-5", "a", {"domains": {"k": 5}, "compare": {"labels": "d-5"}}, ari=0.9),
        task("refine-5", "a", {"domains": {"k": 5}}, changed=3),
    )
    assert found.to_dict("records") == [
        {"k": 5, "labels": "d-5", "sample": "a", "ari": 0.9, "loss": 0.5, "changed": 3}
    ]


def test_names_that_several_steps_have_come_with_the_steps():
    found = table(
        task("one-0", "a", {"one": {"seed": 0}}, ari=0.1),
        task("two-0", "a", {"one": {"seed": 0}, "two": {"seed": 7}}, ari=0.2),
    )
    assert found.to_dict("records") == [
        {"one.seed": 0, "two.seed": 7, "sample": "a", "one.ari": 0.1, "two.ari": 0.2}
    ]


def test_the_cohort_has_a_row_where_it_measured_something():
    joint = task("join-5", "_cohort", {"join": {"k": 5}})
    single = task("compare", "a", {"join": {"k": 5}}, ari=1.0)
    assert list(table(joint, single)["sample"]) == ["a"]
    assert list(table(joint)["sample"]) == ["_cohort"]
    measured = task("join-5", "_cohort", {"join": {"k": 5}}, loss=2.0)
    assert list(table(measured, single)["sample"]) == ["_cohort", "a"]


def test_figures_leave_nothing_to_compare():
    def run(*tasks):
        return Run("r", "", "done", {"a": {}}, {(task.step, task.sample): task for task in tasks})

    drawn = task("map-1", "a", {"map": {"dpi": 30}})
    single = TaskEntry("svg", "a", "x.y", "done", facts={"measured": {"n_tested": 3}})
    assert not has_measured(run(drawn, single))
    assert has_measured(run(drawn, task("svg-1", "a", {"svg": {"n": 1}}, n_tested=3)))


def test_lists_are_text():
    found = table(task("x-1", "a", {"x": {"scales": [1, 2]}}), task("x-2", "a", {"x": {"scales": [3]}}))
    assert list(found["scales"]) == ["[1, 2]", "[3]"]
