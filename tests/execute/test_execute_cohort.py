"""Steps on the cohort: one task that reads its members and writes for each of them."""

from pathlib import Path

import numpy as np
import pytest
from lab import Lab, codes, digests, statuses
from steps_of_tests import forget

from spatialrun.errors import RecipeErrors
from spatialrun.execute.recompute import recompute_some
from spatialrun.experiment import open_experiment
from spatialrun.plan.plan import Shapes
from spatialrun.plan.task import Input, TaskId
from spatialrun.slots import COHORT
from spatialrun.store.store import open_store

READ = "  - {id: read, uses: read.visium}\n"
SPOTS = 120


@pytest.fixture
def pair(lab, own_steps, sections) -> Lab:
    """Samples ``a`` and ``b``, joined; every run of the joining is noted beside ``flag``."""
    lab.root.mkdir()
    lab.samples = {"a": sections["a"], "b": sections["b"]}
    lab.steps = READ + f"  - {{id: join, uses: test.joining, with: {{flag: {lab.root / 'flag'}}}}}\n"
    return lab


@pytest.fixture
def flag(pair) -> Path:
    return pair.root / "flag"


def follow(lab: Lab) -> None:
    """Add a step on every sample that reads what the cohort step writes for it."""
    lab.steps += f"  - {{id: next, uses: test.follower, with: {{flag: {lab.root / 'flag'}, key_added: n}}}}\n"


def problems(lab: Lab) -> list:
    with pytest.raises(RecipeErrors) as caught:
        lab.load()
    return list(caught.value.problems)


class TestPlan:
    def test_it_is_one_task_that_reads_its_members_and_writes_for_them(self, pair):
        follow(pair)
        tasks = pair.load().graph.tasks
        join = tasks[TaskId("join", COHORT)]
        assert [id for id in tasks if id.step == "join"] == [join.id]
        assert join.members == ("a", "b")
        reads = {(i.port, i.slot, i.producer, i.output) for i in join.inputs}
        assert ("b/counts", "b:layers/counts", TaskId("read", "b"), "layers/counts") in reads
        assert ("a/axes/obs", "a:axes/obs", TaskId("read", "a"), "axes/obs") in reads
        assert [(w.port, w.slot) for w in join.writes] == [
            ("a/column", "a:obs/noted"),
            ("b/column", "b:obs/noted"),
            ("_cohort/members", "uns/noted"),
            ("_cohort/figure", "figures/noted"),
        ]
        assert Input("column", "obs/noted", join.id, "b:obs/noted") in tasks[TaskId("next", "b")].inputs

    def test_samples_are_its_members_in_the_order_of_the_recipe(self, pair, sections):
        pair.samples["c"] = sections["a"]
        pair.edit("uses: test.joining,", "uses: test.joining, samples: [c, a],")
        assert pair.load().graph.tasks[TaskId("join", COHORT)].members == ("a", "c")

    def test_memory_is_estimated_for_all_members_together(self, pair):
        graph = pair.load().graph
        shapes = Shapes(graph)
        a, b = shapes.of("a"), shapes.of("b")
        joined = shapes.of_task(graph.tasks[TaskId("join", COHORT)])
        assert (joined.n_obs, joined.n_vars, joined.nnz) == (a.n_obs + b.n_obs, 200, a.nnz + b.nnz)

    def test_a_slot_that_one_member_lacks_is_a_problem_of_that_member(self, pair):
        pair.edit("uses: read.visium", "uses: read.visium, samples: [a]")
        (problem,) = problems(pair)
        assert (problem.code, problem.where.step, problem.where.sample) == (
            "recipe.unwritten-read",
            "join",
            "b",
        )
        assert problem.where.slot == "layers/counts"

    def test_two_writers_of_a_members_slot_are_a_problem(self, pair, flag):
        pair.steps += f"  - {{id: also, uses: test.constant, samples: [b], with: {{flag: {flag}}}}}\n"
        (problem,) = problems(pair)
        assert (problem.code, problem.where.sample, problem.where.slot) == (
            "recipe.double-writer",
            "b",
            "obs/noted",
        )

    def test_cohort_steps_read_tables_of_the_cohort_from_each_other(self, pair, flag):
        pair.steps += f"  - {{id: early, uses: test.joining, with: {{flag: {flag}, key_added: before}}}}\n"
        join = pair.load().graph.tasks[TaskId("join", COHORT)]
        assert ("_cohort/before", "uns/before", TaskId("early", COHORT)) in {
            (i.port, i.slot, i.producer) for i in join.inputs
        }
        pair.apply()
        assert forget(flag) == ["a b", "a b _cohort"]


class TestApply:
    def test_what_it_writes_is_found_at_every_sample(self, pair):
        follow(pair)
        run = pair.apply().run
        assert run.status == "done"
        experiment = open_experiment(pair.store)
        np.testing.assert_array_equal(experiment["a"].obs["noted"], np.arange(SPOTS))
        np.testing.assert_array_equal(experiment["b"].obs["noted"], np.arange(SPOTS, 2 * SPOTS))
        np.testing.assert_array_equal(experiment["b"].obs["n"], np.arange(SPOTS, 2 * SPOTS) + 1)
        assert experiment.table(COHORT, "noted").to_dict()["spots"] == {"a": SPOTS, "b": SPOTS}
        assert experiment.figures["_cohort/noted"].read_text() == "a b"

    def test_a_manifest_keeps_what_belongs_to_whom(self, pair):
        pair.apply()
        run = open_store(pair.store).runs.latest()
        assert set(run.slots(COHORT)) == {"uns/noted", "figures/noted"}
        assert "obs/noted" in run.slots("a")
        assert run.slots("a")["obs/noted"].digest != run.slots("b")["obs/noted"].digest

    def test_a_second_run_does_nothing(self, pair, flag):
        pair.apply()
        assert not pair.apply().changed
        assert forget(flag) == ["a b"]

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_workers_change_nothing(self, pair, tmp_path, jobs, only_workers):
        other = Lab(tmp_path / "other", pair.samples, pair.steps)
        assert digests(other.apply(jobs=jobs).run) == digests(pair.apply().run)

    def test_the_order_of_the_members_and_their_names_enter_the_key(self, pair, flag, sections):
        pair.apply()
        pair.samples = {"b": sections["b"], "a": sections["a"]}
        pair.apply()
        pair.samples = {"b": sections["b"], "z": sections["a"]}
        assert pair.apply().run.status == "done"
        assert forget(flag) == ["a b", "b a", "b z"]

    def test_one_member_more_is_a_reason(self, pair, sections):
        pair.apply()
        pair.samples["c"] = sections["a"]
        decision = pair.apply() and pair.decide("join", "steps.join.with.value=2", sample=COHORT)
        assert [(r.kind, r.name, r.old, r.new) for r in decision.reasons] == [("parameter", "value", 1, 2)]
        del pair.samples["b"]
        decision = pair.decide("join", sample=COHORT)
        assert ("members", "", ["a", "b", "c"], ["a", "c"]) in [
            (r.kind, r.name, r.old, r.new) for r in decision.reasons
        ]

    def test_an_equal_result_leaves_its_readers_cached(self, pair):
        follow(pair)
        pair.edit("with: {flag", "with: {value: 0, flag")
        pair.apply()
        pair.samples = dict(reversed(pair.samples.items()))
        run = pair.apply().run
        assert run.tasks["join", COHORT].status == "done"
        assert {statuses(run, name)["next"] for name in "ab"} == {"cached"}

    def test_a_member_that_fails_takes_it_along(self, pair, flag):
        up = pair.root / "up"
        up.touch()
        pair.steps += (
            f"  - {{id: base, uses: test.failing, samples: [b], with: {{flag: {up}, key_added: other}}}}\n"
        )
        pair.edit("id: join,", "id: join, after: base,")
        follow(pair)
        outcome = pair.apply()
        assert codes(outcome.errors) == ["task.failed"]
        assert outcome.run.tasks["join", COHORT].status == "skipped"
        assert {statuses(outcome.run, name)["next"] for name in "ab"} == {"skipped"}
        up.unlink()
        assert pair.apply().run.status == "done"

    def test_it_can_be_verified_by_computing_it_again(self, pair, flag):
        run = pair.apply().run
        again = recompute_some(open_store(pair.store), run.id, count=9)
        assert [(found.step, found.differing, found.error) for found in again] == [("join", (), None)]
        assert forget(flag) == ["a b", "a b"]
