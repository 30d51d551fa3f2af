"""Parts of a recipe are brought up to date; what was not chosen stays as the last run has it."""

import shutil
from pathlib import Path

import pytest
from lab import MEMORY, Lab, codes, digests, entry, statuses
from steps_of_tests import forget, notes

from spatialrun.errors import UsageError
from spatialrun.execute.apply import Options, Outcome
from spatialrun.experiment import open_experiment
from spatialrun.plan.task import TaskId
from spatialrun.recipe import loads
from spatialrun.slots import COHORT
from spatialrun.store.store import open_store

STEPS = """\
  - {{id: read, uses: read.visium, with: {{min_counts: 0}}}}
  - {{id: base, uses: test.drifting, with: {{flag: {flag}}}}}
  - {{id: next, uses: test.follower, with: {{flag: {flag}, key_added: n}}}}
  - {{id: other, uses: test.failing, with: {{flag: {bad}, key_added: other}}}}
"""


@pytest.fixture
def bench(lab, own_steps, sections) -> Lab:
    lab.root.mkdir()
    lab.samples = {"a": sections["a"], "b": sections["b"]}
    lab.steps = STEPS.format(flag=lab.root / "flag", bad=lab.root / "bad")
    return lab


@pytest.fixture
def flag(bench) -> Path:
    return bench.root / "flag"


def apply(bench: Lab, *overrides: str, **choice: object) -> Outcome:
    return bench.load(*overrides).select(**choice).apply(Options(jobs=1, memory=MEMORY))


def reasons(bench: Lab, step: str, sample: str = "a", **choice: object) -> list[str]:
    plan = bench.load().select(**choice).plan()
    return [reason.kind for reason in plan.tasks[TaskId(step, sample)].decision.reasons]


class TestParts:
    def test_until_computes_a_step_and_what_it_needs(self, bench):
        run = apply(bench, until="base").run
        assert run.status == "done"
        assert statuses(run) == {"read": "done", "base": "done", "next": "unselected", "other": "unselected"}
        assert not apply(bench, until="base").changed
        assert statuses(apply(bench).run)["base"] == "cached"

    def test_only_computes_a_step_on_what_is_cached(self, bench):
        with pytest.raises(UsageError) as caught:
            apply(bench, only="next")
        assert caught.value.code == "select.not-cached"
        assert open_store(bench.store).runs.latest() is None
        apply(bench, until="base")
        run = apply(bench, only="next").run
        assert statuses(run) == {"read": "cached", "base": "cached", "next": "done", "other": "unselected"}

    def test_only_sees_files_that_were_touched_and_hold_the_same(self, bench, sections, tmp_path):
        bench.samples["a"] = shutil.copytree(sections["a"], tmp_path / "copy")
        apply(bench, until="base")
        for path in bench.samples["a"].rglob("*"):
            path.touch()
        bench.load().select(only="next").plan()
        assert statuses(apply(bench, only="next").run)["next"] == "done"

    def test_samples_restrict_what_is_computed(self, bench):
        run = apply(bench, samples="b").run
        assert set(statuses(run, "b").values()) == {"done"}
        assert set(statuses(run, "a").values()) == {"unselected"}

    def test_a_cohort_of_others_is_used_where_it_is_cached(self, bench):
        bench.steps += (
            f"  - {{id: join, uses: test.joining, with: {{flag: {bench.root / 'j'}, key_added: j}}}}\n"
        )
        given = f"{{flag: {bench.root / 'no'}, key_added: l}}"
        bench.steps += f"  - {{id: last, uses: test.failing, after: join, with: {given}}}\n"
        left = apply(bench, samples="a").run
        assert (statuses(left)["other"], statuses(left)["last"]) == ("done", "unselected")
        apply(bench, until="join")
        run = apply(bench, samples="a").run
        assert (statuses(run, COHORT)["join"], statuses(run)["last"]) == ("cached", "done")

    def test_a_step_between_two_that_were_chosen_alone_must_turn_out_to_be_cached(self, bench, flag):
        apply(bench)
        flag.touch()
        bench.edit("uses: test.drifting, with: {", "uses: test.drifting, with: {value: 2, ")
        bench.steps += (
            f"  - {{id: end, uses: test.follower, after: next, with: {{flag: {flag}, key_added: e}}}}\n"
        )
        outcome = apply(bench, only=["base", "end"])
        assert statuses(outcome.run)["base"] == "done"
        assert codes(outcome.errors) == ["select.not-cached"] * 2
        assert "next" in outcome.errors[0].what


class TestWhatStays:
    def test_the_last_runs_results_stay(self, bench):
        whole = apply(bench).run
        bench.edit("key_added: other", "value: 5, key_added: other")
        run = apply(bench, only="base", force="base").run
        assert digests(run) == digests(whole)
        assert statuses(run)["other"] == "unselected"
        assert entry(run, "other").outputs == entry(whole, "other").outputs
        assert list(open_experiment(bench.store)["b"].obs) == list(
            open_experiment(bench.store, whole.id)["b"].obs
        )
        assert reasons(bench, "other") == ["parameter"]

    def test_values_of_spots_that_are_no_more_do_not_stay(self, bench):
        apply(bench)
        bench.edit("min_counts: 0", "min_counts: 1400")
        run = apply(bench, until="read").run
        sample = open_experiment(bench.store, run.id)["a"]
        assert 0 < sample.n_obs < 120
        assert "other" not in sample.obs
        assert statuses(apply(bench).run)["other"] == "done"

    def test_names_that_another_step_has_now_do_not_stay(self, bench):
        apply(bench)
        bench.edit("key_added: other", "key_added: swapped")
        bench.edit("key_added: n}", "key_added: other}")
        run = apply(bench, until="next").run
        assert "obs/other" in entry(run, "next").outputs
        slots = [(sample, slot) for task in run.tasks.values() for sample, slot, _ in task.places()]
        assert len(slots) == len(set(slots))

    def test_a_failure_of_a_part_leaves_the_rest(self, bench):
        whole = apply(bench).run
        (bench.root / "bad").touch()
        outcome = apply(bench, until="other", force="other", samples="a")
        assert codes(outcome.errors) == ["task.failed"]
        assert entry(outcome.run, "next").outputs == entry(whole, "next").outputs
        assert entry(outcome.run, "other", "b").outputs == entry(whole, "other", "b").outputs
        (bench.root / "bad").unlink()


class TestForce:
    def test_a_forced_step_runs_again_and_nothing_after_it(self, bench, flag):
        apply(bench)
        forget(flag)
        assert reasons(bench, "base", force="base") == ["forced"]
        run = apply(bench, force="base", samples="a").run
        assert notes(flag) == ["computed"]
        assert (statuses(run)["base"], statuses(run)["next"]) == ("done", "cached")
        assert not list(open_store(bench.store).findings)

    def test_a_result_that_differs_is_a_finding_and_the_first_stays(self, bench, flag):
        flag.touch()
        first = apply(bench, until="next").run
        again = apply(bench, until="next", force="base", samples="a").run
        assert digests(again) == digests(first)
        (finding,) = open_store(bench.store).findings
        assert (finding.uses, finding.ports) == ("test.drifting", ("column",))
        assert any("other results" in line for line in entry(again, "base").facts["log"])

    def test_all_stages_of_a_forced_step_run_again(self, bench):
        blocks = bench.root / "blocks"
        bench.steps += f"  - {{id: sums, uses: test.blocks, with: {{flag: {blocks}}}}}\n"
        apply(bench, until="sums", samples="a")
        once = forget(blocks)
        apply(bench, until="sums", samples="a")
        assert not notes(blocks)
        apply(bench, only="sums", samples="a", force="sums")
        assert sorted(forget(blocks)) == sorted(once)
        apply(bench, only="sums", samples="a", force="sums")
        assert sorted(notes(blocks)) == sorted(once)


def test_a_task_that_failed_last_time_says_so(bench):
    (bench.root / "bad").touch()
    apply(bench)
    assert reasons(bench, "other") == ["failed"]
    assert bench.decide("other").reasons[0].name == "task.failed"
    apply(bench, only="base")
    assert reasons(bench, "other") == ["failed"], "a run of another part does not forget it"
    bench.edit("key_added: other", "value: 2, key_added: other")
    assert reasons(bench, "other") == ["parameter", "failed"]
    (bench.root / "bad").unlink()
    apply(bench)
    assert reasons(bench, "other") == []


def test_a_run_keeps_what_was_really_run_and_what_was_asked_for(bench):
    run = apply(
        bench, "steps.other.with.value=7", "samples.a.api_token=hush-hush", until=["base"], samples="a"
    ).run
    store = open_store(bench.store)
    kept = store.runs.get(run.id)
    said = ["steps.other.with.value=7", "samples.a.api_token=REDACTED"]
    assert kept.asked == {"set": said, "until": ["base"], "samples": ["a"]}
    head = f"# recipe.yaml --set {said[0]} --set {said[1]} --until base --samples a\n"
    text = store.runs.recipe(run.id)
    assert text.startswith(head)
    assert "value: 7" in text
    assert store.runs.written(run.id) == {"1-recipe.yaml": bench.text}
    again = loads(text, base=bench.root)
    assert [(step.id, step.params) for step in again.steps][3][1].value == 7
    assert not [
        path for path in bench.store.rglob("*") if path.is_file() and b"hush-hush" in path.read_bytes()
    ]
