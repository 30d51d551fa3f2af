"""Choices: which tasks a selection stands for, and what the plan says of them."""

import pytest
from lab import Lab

from spatialrun.errors import RecipeErrors, UsageError
from spatialrun.plan.choice import choose, everything
from spatialrun.plan.graph import Graph
from spatialrun.slots import COHORT

STEPS = """\
  - {id: read, uses: read.visium}
  - {id: log, uses: normalize.log, after: read}
  - id: first
    uses: test.constant
    matrix: {value: [1, 2]}
    with: {flag: f}
  - {id: next, uses: test.follower, with: {flag: f, key_added: n}}
  - {id: alone, uses: test.constant, with: {flag: f, key_added: alone}}
  - {id: base, uses: test.constant, with: {flag: f}}
  - {id: join, uses: test.joining, with: {flag: f, key_added: joined}}
  - {id: last, uses: test.failing, after: join, with: {flag: f, key_added: last}}
"""


@pytest.fixture
def bench(lab, own_steps, sections) -> Lab:
    lab.samples = {"a": sections["a"], "b": sections["b"], "c-2": sections["a"]}
    lab.steps = STEPS
    return lab


@pytest.fixture
def graph(bench) -> Graph:
    return bench.load("samples.a.group=tumor", "samples.b.group=tumor", "samples.c-2.group=normal").graph


def steps(choice) -> set[str]:
    return {id.step for id in choice.tasks}


def samples(choice) -> set[str]:
    return {id.sample for id in choice.tasks}


def test_everything_is_chosen_unless_something_is_asked_for(graph):
    assert set(everything(graph).tasks) == set(choose(graph).tasks) == set(graph.tasks)


class TestSteps:
    def test_until_takes_a_step_with_what_it_needs(self, graph):
        choice = choose(graph, until="next")
        assert steps(choice) == {"read", "base", "next"}
        assert samples(choice) == {"a", "b", "c-2"}
        assert steps(choose(graph, until=["log", "alone"])) == {"read", "log", "alone"}
        assert steps(choose(graph, until="last")) == {"read", "join", "last"}, "order counts, too"

    def test_only_takes_a_step_alone(self, graph):
        choice = choose(graph, only="next")
        assert (steps(choice), choice.only) == ({"next"}, True)
        assert {id.step for id in choice.needed} == {"read", "base", "next"}

    def test_the_id_of_a_matrix_stands_for_all_its_combinations(self, graph):
        assert steps(choose(graph, only="first")) == {"first-1", "first-2"}
        assert steps(choose(graph, only="first-2")) == {"first-2"}
        assert {id.step for id in choose(graph, force="first").forced} == {"first-1", "first-2"}

    @pytest.mark.parametrize("option", ["until", "only", "force"])
    def test_unknown_steps_are_named_with_the_nearest(self, graph, option):
        with pytest.raises(RecipeErrors) as caught:
            choose(graph, **{option: ["frist", "nxet"]})
        assert [p.code for p in caught.value.problems] == ["recipe.unknown-step"] * 2
        assert caught.value.problems[0].what == "unknown step 'frist'; did you mean 'first'?"
        assert caught.value.problems[0].where.file == f"--{option} frist"

    def test_until_and_only_exclude_each_other(self, graph):
        with pytest.raises(UsageError, match="exclude each other"):
            choose(graph, until="log", only="next")


class TestSamples:
    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ("a", {"a"}),
            ("c-*", {"c-2"}),
            ("*", {"a", "b", "c-2", COHORT}),
            ("group: tumor", {"a", "b"}),
            ("group: [tumor, normal]", {"a", "b", "c-2", COHORT}),
            ("{group: normal}", {"c-2"}),
            ({"group": "normal"}, {"c-2"}),
            (["a", {"group": "normal"}], {"a", "c-2"}),
            (["a", "b", "c-2"], {"a", "b", "c-2", COHORT}),
        ],
    )
    def test_they_are_chosen_as_a_step_chooses_them(self, graph, asked, found):
        assert samples(choose(graph, samples=asked)) == found

    def test_the_cohort_is_chosen_when_all_of_its_members_are(self, graph):
        assert "join" not in steps(choose(graph, samples=["a", "b"]))
        assert "join" in steps(choose(graph, samples="*"))

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ("d", "unknown sample 'd'"),
            ("c_2", "unknown sample 'c_2'; did you mean 'c-2'?"),
            ("group: tumour", "no sample has group 'tumour'; did you mean 'tumor'?"),
            ("grop: tumor", "did you mean 'group'?"),
            ("group: [", "a value is missing here"),
        ],
    )
    def test_unknown_samples_are_named_with_the_nearest(self, graph, asked, said):
        with pytest.raises(RecipeErrors) as caught:
            choose(graph, samples=asked)
        (problem,) = caught.value.problems
        assert said in problem.what
        assert problem.where.file == f"--samples {asked}"

    def test_steps_and_samples_are_taken_together(self, graph):
        choice = choose(graph, until="next", samples="a")
        assert (steps(choice), samples(choice)) == ({"read", "base", "next"}, {"a"})

    def test_nothing_is_an_error(self, graph):
        with pytest.raises(UsageError) as caught:
            choose(graph, only="join", samples="a")
        assert caught.value.code == "select.nothing"
        with pytest.raises(UsageError) as caught:
            choose(graph, until="log", force="next")
        assert (caught.value.code, "next" in caught.value.what) == ("select.nothing", True)


class TestPlan:
    def test_what_was_asked_for_is_kept(self, graph):
        choice = choose(graph, until="next", samples=["a", {"group": "tumor"}], force=("base",))
        assert choice.asked == {"until": ["next"], "force": ["base"], "samples": ["a", "group: tumor"]}

    def test_only_needs_what_is_cached(self, bench):
        with pytest.raises(UsageError) as caught:
            bench.load().select(only="next").plan()
        assert caught.value.code == "select.not-cached"
        assert caught.value.what == "--only next needs what is not cached: read (a, b, c-2), base (a, b, c-2)"
        assert caught.value.hint == "--until next computes what it needs, too"

    def test_a_sample_whose_cohort_is_not_there_is_left_out_from_there_on(self, bench):
        plan = bench.load().select(samples="a").plan()
        found = {id.step: planned.decision for id, planned in plan.tasks.items() if id.sample == "a"}
        assert found["read"].status == "run"
        assert found["next"].status == "pending"
        assert found["last"].status == "unselected"
        assert [str(id) for id in found["last"].waits_for] == ["join"]
        assert plan.count("unselected") == 1
